"""Wrong changes to the pure rules of the worker; module, what stands there once, what stands there instead."""

RULES = (
    ("worker.domain.retrying", "min(self.cap, ", "max(self.cap, "),
    ("worker.domain.retrying", "self.floor + (longest - self.floor) * chance", "longest * chance"),
    ("worker.domain.following", 'row.status == "Error"', 'row.status == "Failed"'),
    ("worker.domain.following", "if run.overdue:", "if not run.overdue:"),
    ("worker.domain.following", "if row.errors:", "if row.errors and row.total:"),
    ("worker.domain.following", "if row.total == 0", "if not row.total"),
    ("worker.domain.reconciling", "if len(unclaimed) == 1:", "if len(unclaimed) >= 1:"),
    ("worker.domain.policy", "max(float(own), self.frequency_floor)", "float(own)"),
    ("worker.domain.policy", "if self.frequency is None else self.frequency", "or self.frequency or 0"),
    ("worker.domain.policy", 'return self.when_in_doubt == "repeat"', "return True"),
    ("worker.domain.life", '(("starting",), "reconciling"', '(("retrying",), "reconciling"'),
    ("worker.messages", "return self.version is not None or self.modified_ns is not None", "return True"),
    ("worker.messages", '"\\0".join(map(str, parts))', '"".join(map(str, parts))'),
    ("worker.service.starting", "- deps.timing.call - _MARGIN", ""),
    ("worker.service.starting", "        with suppress(LedgerDownError):\n", "        if True:\n"),
    ("worker.service.reconciling", "isinstance(runs, Rejected) and not decision.late", "isinstance(runs, Rejected)"),
    ("worker.service.reconciling", "if not verdict.late:", "if verdict.late:"),
    ("worker.service.sweeping", 'if due.state not in {"started", "gone"}', 'if due.state not in {"started"}'),
)
"""Each must be noticed by the unit tests of domain, messages and service."""
