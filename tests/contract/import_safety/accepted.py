"""Differences that are accepted: which step, which row, and why."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Accepted:
    """`module` and `row` are patterns of whole names, `becomes` one of what the row became."""

    module: str
    step: str
    row: str
    becomes: str
    reason: str

    def covers(self, module: str, step: str, row: str, after: str) -> bool:
        """Tell whether this is the difference."""
        pairs = ((self.module, module), (self.step, step), (self.row, row), (self.becomes, after))
        return all(re.fullmatch(pattern, text, re.DOTALL) for pattern, text in pairs)


SOAP = r"sfmc_import\.(marketing_cloud(\..*)?|bootstrap|celery_app|tasks|cli\.(doctor|run))|sfmc_harness\..*"
CELERY = r"sfmc_import\.(celery_app|tasks|scheduler)|sfmc_harness\..*"
ACCEPTED = (
    Accepted(
        SOAP + r"|sfmc_sandbox\..*",
        "import",
        "audit",
        "socket.bind",
        "urllib3 asks whether this machine has IPv6 when it is imported; nothing is sent",
    ),
    Accepted(
        SOAP,
        "import",
        "warnings.filters",
        r".*",
        "urllib3 adds two filters for its own warnings when it is imported",
    ),
    Accepted(
        CELERY,
        "import",
        r"celery\.apps",
        r".*sfmc-import.*|.*noop.*",
        "Celery keeps a weak list of all apps; ours is not the current one",
    ),
    Accepted(
        CELERY,
        "import",
        r"celery\.finalizers",
        r"\d+",
        "Celery's own modules register their built-in tasks when they are imported",
    ),
    Accepted(
        r"sfmc_import\.client",
        "submit",
        r"kombu\.transport cache",
        r"\[.*'redis'.*\]",
        "kombu remembers that the name redis is its own class, as it does for every program that connects",
    ),
    Accepted(r"sfmc_import\.client", "submit", "audit", r"socket\.connect", "a request goes to Redis"),
    Accepted(
        r"sfmc_import\.celery_app",
        "configure",
        r"kombu\.aliases",
        r".*\('sfmc', 'sfmc_transport\.channel:Transport'\).*",
        "for a unix socket kombu needs a name: ours; the names that kombu has stay",
    ),
    Accepted(
        r"sfmc_import\.celery_app",
        "configure",
        r"kombu\.transport cache",
        r"\[.*\]",
        "kombu remembers the class of a transport by its name",
    ),
)


def unexpected(module: str, steps: dict[str, dict[str, list[str]]]) -> list[str]:
    """Give one line for each difference that is not accepted."""
    return [
        f"{module}, {step}: {row} was {before[:300]} and is {after[:300]}"
        for step, rows in steps.items()
        for row, (before, after) in rows.items()
        if not any(each.covers(module, step, row, after) for each in ACCEPTED)
    ]
