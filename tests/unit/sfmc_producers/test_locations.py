"""deliver = "sftp" leads to the target that is the file location from which the definition reads."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from sfmc_import.faults import NotApplied, Rejected
from sfmc_import.request import FileInfo
from sfmc_import.routing import Route
from sfmc_import.runs import FileLocation
from sfmc_import.settings import load
from sfmc_producers.delivery.deliveries import Target
from sfmc_producers.delivery.opening import open_targets
from sfmc_producers.delivery.progress import Lines
from sfmc_producers.delivery.sftp import SftpOptions
from sfmc_producers.delivery.targets import TargetOptions
from sfmc_producers.sources.arrivals import Arrival
from sfmc_producers.sources.intake import Intake
from sfmc_producers.submitter import InvalidRequest, RoutingRules, Submitter
from tests.support.fake_client import FakeClient
from tests.support.watched_folder import NOON

ENHANCED = FileLocation("ExactTarget Enhanced FTP")
PARTNER = FileLocation("partner sftp", "5e1ad037")


class Taken(Exception):  # noqa: N818 - no failure
    """Says which target took the file."""


class Recording(Target):
    def take(self, job: Any) -> Any:
        raise Taken(self.name, job.name)


def target(name: str, location: str | None = None, mid: str | None = None, kind: str = "sftp") -> Target:
    options = TargetOptions(location=location, mid=mid)
    return Recording(name, options, name, lambda: None, None, lambda: 0.5, name, kind)  # type: ignore[arg-type, return-value]


TARGETS = [
    target("plain"),
    target("eftp", "ExactTarget Enhanced FTP"),
    target("other-unit", "ExactTarget Enhanced FTP", "7"),
    target("partner", "Partner SFTP "),
    target("bucket", "partner sftp", kind="s3"),
]


class Cloud(FakeClient):
    """Says the same location of every definition."""

    answer: Any = ENHANCED

    def location(self, _mid: str, _key: str, *, max_age: float) -> Any:
        del max_age
        return self.answer


def deliver(answer: Any, kind: str = "sftp", mid: str | None = None) -> Any:
    client = Cloud(routes=[Route(pattern="*", customer_key="k", deliver=kind, mid=mid)])
    client.answer = answer
    targets = {each.name: each for each in TARGETS}
    rules = RoutingRules(definitions=client, routes=client.routes, targets=targets)  # type: ignore[arg-type]
    intake = Intake("s", Submitter(client, rules, lambda: 0.0, lambda: NOON))  # type: ignore[arg-type]
    arrival = Arrival(file=FileInfo(location="/in", name="a.csv", version="1"), open_content=partial(open, "a"))  # type: ignore[arg-type]
    try:
        return intake.take(arrival)
    except Taken as taken:
        return taken.args[0]


@pytest.mark.parametrize(
    ("answer", "kind", "mid", "name"),
    [
        (ENHANCED, "sftp", None, "eftp"),
        (ENHANCED, "sftp", "7", "other-unit"),
        (PARTNER, "sftp", None, "partner"),
        (PARTNER, "s3", None, "bucket"),
        (ENHANCED, "plain", None, "plain"),
    ],
    ids=["usual", "other-unit", "partner", "s3", "named"],
)
def test_a_file_goes_to_the_target_that_is_the_location_of_its_definition(answer, kind, mid, name) -> None:
    assert deliver(answer, kind, mid) == name


def test_a_location_may_be_named_by_its_object_id() -> None:
    assert deliver(replace(PARTNER, customer_key=None, object_id="partner sftp")) == "partner"


@pytest.mark.parametrize(
    ("answer", "mid", "said"),
    [
        (FileLocation("vendor"), None, 'location vendor, which is no [[target]] of kind sftp: add location = "vendor"'),
        (FileLocation(None, "77aa"), None, 'add location = "77aa"'),
        (ENHANCED, "8", "of business unit 8 reads its file from the location ExactTarget Enhanced FTP"),
        (Rejected("43010", "no such definition"), None, "no such definition (43010)"),
    ],
    ids=["vendor", "object-id", "unit", "definition"],
)
def test_a_location_that_no_target_is_is_said_with_what_to_do(answer, mid, said) -> None:
    found = deliver(answer, mid=mid)
    assert isinstance(found, InvalidRequest)
    assert said in found.problems[0]


def test_while_marketing_cloud_does_not_say_the_location_the_file_waits() -> None:
    assert deliver(NotApplied("connection", "Marketing Cloud does not answer")) is False


assert SftpOptions, "loading asyncssh starts a process, which no test may"

EFTP = '[[target]]\nname = "eftp"\nkind = "sftp"\nhost = "h"\nuser = "u"\nagent = true\n'
ROUTE = '[[route]]\npattern = "*"\ncustomer_key = "k"\n'
LOCATION = 'location = "ExactTarget Enhanced FTP"\n'
S3 = '[[target]]\nname = "drop"\nkind = "s3"\nbucket = "drop"\n'


def problems(tmp_path: Any, text: str) -> list[str]:
    file = tmp_path / "policy.toml"
    file.write_text(text)
    settings = load({"SFMC_CONFIG": str(file), "SFMC_ACCOUNT_ID": "510001234"})
    found: list[str] = []
    open_targets(settings, Lines, found)
    return found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (EFTP + ROUTE + 'deliver = "sftp"\n', 'add location = "ExactTarget Enhanced FTP"'),
        (EFTP + LOCATION + ROUTE + 'deliver = "s3"\n', "no [[target]] of kind s3"),
        (EFTP + ROUTE + 'deliver = "ftp"\n', "there is no [[target]] ftp; there are: eftp"),
        (ROUTE + 'deliver = "ftp"\n', "there is no [[target]] ftp; there are: none"),
        (EFTP.replace("eftp", "sftp"), "stands for the file location of a definition; choose another name"),
        (EFTP + LOCATION + (EFTP + LOCATION).replace("eftp", "two"), "two location: given for two targets"),
        (S3.replace('bucket = "drop"', ""), "bucket"),
        (S3.replace("s3", "ftp"), "there is no such kind; use sftp or s3"),
    ],
    ids=["no-location", "no-s3", "no-target", "no-targets", "name", "twice", "no-bucket", "kind"],
)
def test_what_can_deliver_nowhere_is_said_at_the_start(tmp_path, text, said) -> None:
    [line] = problems(tmp_path, text)
    assert said in line


def test_what_can_deliver_is_no_problem(tmp_path) -> None:
    assert problems(tmp_path, EFTP + LOCATION + S3 + ROUTE + 'deliver = "sftp"\n' + ROUTE + 'deliver = "drop"\n') == []
