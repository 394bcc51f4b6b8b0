"""The two Marketing Clouds of these tests, set up by the same calls."""

from collections.abc import Sequence
from typing import Protocol
from uuid import NAMESPACE_OID, uuid5

from sfmc_import.faults import Ambiguous, Fault, NotApplied, Rejected
from sfmc_import.marketing_cloud import SoapMarketingCloud
from sfmc_import.marketing_cloud.http import BootClock
from sfmc_import.ports import MarketingCloud
from sfmc_import.runs import Accepted, Definition
from tests.support.fake_marketing_cloud import FakeMarketingCloud
from tests.support.sandbox_server import ACCOUNT_ID, SandboxProcess

MID = str(ACCOUNT_ID)

FAKE_FAULTS = {
    "transient": (NotApplied("13", "deadlock"), False),
    "account_wide": (NotApplied("17", "throttled", account_wide=True), False),
    "refused": (Rejected("43060", "Validation Error"), False),
    "lost_before": (Ambiguous("reset", "cut"), False),
    "lost_after": (Ambiguous("reset", "cut"), True),
}
SANDBOX_FAULTS = {
    "transient": "fault_13",
    "account_wide": "fault_17",
    "refused": "error_43060",
    "lost_before": "drop_before_applying",
    "lost_after": "drop_after_applying",
}


class Subject(Protocol):
    """A Marketing Cloud for which a test says what exists and what goes wrong."""

    service: MarketingCloud

    def define(self, customer_key: str, max_import_frequency: int | None = None) -> None: ...

    def object_id(self, customer_key: str) -> str:
        """Give the ObjectID of a definition."""
        ...

    def applied(self, customer_key: str) -> Sequence[str]:
        """Give the task ids of the starts that really happened."""
        ...

    def break_start(self, kind: str) -> None:
        """Let the next start fail: transient, account_wide, refused, lost_before or lost_after."""
        ...

    def break_queries(self) -> None:
        """Let all queries fail until further notice."""
        ...

    def hide_next_run(self) -> None:
        """Let the row of the next run come late."""
        ...


def start(subject: Subject, customer_key: str, seconds: float = 60.0) -> Accepted | Fault:
    """Start a definition, with time enough."""
    return subject.service.start(MID, customer_key, not_after=BootClock().boottime() + seconds)


class Fake:
    """The fake of the service's tests."""

    def __init__(self) -> None:
        self.service = self.fake = FakeMarketingCloud(mid=MID)

    def define(self, customer_key: str, max_import_frequency: int | None = None) -> None:
        object_id = str(uuid5(NAMESPACE_OID, customer_key))
        definition = Definition(
            customer_key=customer_key, max_import_frequency=max_import_frequency, object_id=object_id
        )
        self.fake.add(definition, MID)

    def object_id(self, customer_key: str) -> str:
        return str(uuid5(NAMESPACE_OID, customer_key))

    def applied(self, customer_key: str) -> Sequence[str]:
        return [perform.task_id for perform in self.fake.performs if perform.customer_key == customer_key]

    def break_start(self, kind: str) -> None:
        fault, applied = FAKE_FAULTS[kind]
        self.fake.fail("start", fault, applied=applied)

    def break_queries(self) -> None:
        for operation in ("definition", "definitions", "runs_of", "runs"):
            self.fake.fail(operation, NotApplied("13", "deadlock"), times=1000)

    def hide_next_run(self) -> None:
        self.fake.hidden_looks = 1000


class Real:
    """The adapter, against a sandbox process."""

    def __init__(self, service: SoapMarketingCloud, sandbox: SandboxProcess) -> None:
        self.service = service
        self.control = sandbox.control

    def define(self, customer_key: str, max_import_frequency: int | None = None) -> None:
        frequency = {} if max_import_frequency is None else {"MaxImportFrequency": max_import_frequency}
        self.control.define(customer_key, **frequency)

    def object_id(self, customer_key: str) -> str:
        return str(self.control.definition(customer_key)["ObjectID"])

    def applied(self, customer_key: str) -> Sequence[str]:
        return [perform["task_id"] for perform in self.control.performs(customer_key)]

    def break_start(self, kind: str) -> None:
        self.control.add_fault(SANDBOX_FAULTS[kind], "Perform", count=1)

    def break_queries(self) -> None:
        self.control.add_fault("fault_13", "Retrieve", count=1000)

    def hide_next_run(self) -> None:
        self.control.add_fault("late_row", "Perform", seconds=3600, count=1)
