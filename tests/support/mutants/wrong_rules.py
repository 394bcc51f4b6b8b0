"""Wrong changes to the pure rules of the worker; module, what stands there once, what stands there instead."""

RULES = (
    ("sfmc_import.retrying", "min(self.cap, ", "max(self.cap, "),
    ("sfmc_import.retrying", "self.floor + (longest - self.floor) * chance", "longest * chance"),
    ("sfmc_import.runs", 'row.status == "Error"', 'row.status == "Failed"'),
    ("sfmc_import.runs", "if run.overdue:", "if not run.overdue:"),
    ("sfmc_import.runs", "if row.errors:", "if row.errors and row.total:"),
    ("sfmc_import.runs", "if row.total == 0", "if not row.total"),
    ("sfmc_import.runs", "if len(unclaimed) == 1:", "if len(unclaimed) >= 1:"),
    ("sfmc_import.policy", "max(float(own), self.frequency_floor)", "float(own)"),
    ("sfmc_import.policy", "if self.frequency is None else self.frequency", "or self.frequency or 0"),
    ("sfmc_import.policy", 'return self.when_ambiguous == "repeat"', "return True"),
    ("sfmc_import.states", '(("starting",), "reconciling"', '(("retrying",), "reconciling"'),
    ("sfmc_import.request", "return self.version is not None or self.modified_ns is not None", "return True"),
    ("sfmc_import.request", '"\\0".join(map(str, parts))', '"".join(map(str, parts))'),
    ("sfmc_import.service", "- deps.timing.call - _MARGIN", ""),
    ("sfmc_import.service", "        with suppress(LedgerUnavailableError):\n", "        if True:\n"),
    ("sfmc_import.service", "isinstance(runs, Rejected) and not decision.late", "isinstance(runs, Rejected)"),
    ("sfmc_import.service", "if not verdict.late:", "if verdict.late:"),
    ("sfmc_import.service", 'if due.state not in {"started", "missing_record"}', 'if due.state not in {"started"}'),
)
"""Each must be detected by the unit tests of domain, messages and service."""
