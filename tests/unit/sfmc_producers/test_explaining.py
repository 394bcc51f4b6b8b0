"""What is said about a file: each rule, the definition, and what would follow."""

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sfmc_import.checking import Days
from sfmc_import.faults import NotApplied, Rejected
from sfmc_import.outlook import Standing
from sfmc_import.policy import Policy
from sfmc_import.request import FileInfo
from sfmc_import.routing import Route
from sfmc_import.runs import Definition
from sfmc_producers.file_ids import request_id_of
from sfmc_producers.sources.arrivals import Arrival
from sfmc_producers.sources.explaining import Explained, Explaining
from sfmc_producers.sources.intake import Intake
from sfmc_producers.sources.questions import explained, explained_lines, would_submit
from sfmc_producers.submitter import RoutingRules, Submitter

NOON = datetime(2026, 3, 7, 12, tzinfo=UTC)
OWN = Route(pattern="own_*.csv", customer_key="contacts", name="ours")
ALL = Route(pattern="*.txt", customer_key="missing")


class Ledger:
    """Has one standing for every file."""

    def __init__(self, asked: Any = None, **standing: Any) -> None:
        self._standing, self._asked = Standing(**standing), asked

    def now(self) -> float:
        return NOON.timestamp()

    def standing(self, *given: Any) -> Standing:
        return self._asked(*given) if self._asked else self._standing


class Explainer:
    """Has one explanation for every arrival."""

    def __init__(self, explained: Explained) -> None:
        self._explained = explained

    def explain(self, _arrival: object) -> Explained:
        return self._explained


def explain(
    client, name: str, *, answer: Any = None, key: str | None = None, policy=None, own_route=OWN, **standing: Any
) -> Explained:
    def definition(mid: str, customer_key: str) -> Any:
        known = (each for each in client.by_mid.get(mid, ()) if each.customer_key == customer_key)
        return next(known, None) if answer is None else answer

    rules = RoutingRules(definitions=client, routes=(own_route, ALL), time_zone="UTC")
    explaining = Explaining(
        intake=Intake("drop", Submitter(client, rules, lambda: 0.0, lambda: NOON)),
        ledger=Ledger(**standing),
        definitions=definition,
        policies=lambda *_: policy or Policy(),
        days=Days(zone=ZoneInfo("UTC"), margin=60.0),
        own=(own_route,),
    )
    file = FileInfo(location="/in", name=name, size=3, modified_ns=int((NOON.timestamp() - 7200) * 1e9))
    return explaining.explain(Arrival(file=file, customer_key=key))


def shown(explained: Explained) -> list[tuple[str, bool]]:
    return [(each.rule, each.matched) for each in explained.rules]


def test_each_rule_up_to_the_first_that_matches_is_named(client) -> None:
    by_route, by_spec = (
        explain(client, "own_1.csv", answer=Definition(customer_key="contacts")),
        explain(client, "orders.csv"),
    )

    assert shown(by_route) == [("route 1 of the source ours (own_*.csv)", True)]
    assert shown(by_spec) == [
        ("route 1 of the source ours (own_*.csv)", False),
        ("route 1 (*.txt)", False),
        ("FileSpec of orders", True),
    ]
    assert (by_route.decision.what, by_spec.decision.what) == ("start", "start")


@pytest.mark.parametrize(("full", "of"), [("nightly", "the group nightly"), ("*", "the account")])
def test_a_wait_for_the_end_of_another_import_is_said(client, full: str, of: str) -> None:
    policy = Policy(group="nightly", group_limit=2, max_running=2)
    decision = explain(client, "orders.csv", policy=policy, running={full: 2}).decision

    assert (decision.what, decision.reason, decision.request_id, decision.until) == ("wait", "rate_limited", None, None)
    assert decision.text.startswith(f"waits until an import of {of} has ended because ")
    assert decision.text.endswith("as many imports run as may (rate_limited)")


def test_a_file_that_nothing_matches_says_why(client) -> None:
    found = explain(client, "Orders.csv")

    assert "upper and lower case (orders)" in found.rules[-1].why
    assert (found.decision.what, found.decision.reason, found.request_id) == ("nothing", "case_differs", None)
    client.define("more", "orders.csv")
    assert explain(client, "orders.csv").decision.reason == "ambiguous_route"


def test_who_names_the_definition_is_said(client) -> None:
    assert shown(explain(client, "x", key="contacts")) == [("the event names contacts", True)]


def test_the_group_of_the_definition_is_said(client) -> None:
    answer = Definition(customer_key="contacts")
    found = explain(client, "own_1.csv", answer=answer, policy=Policy(group="nightly", group_limit=1)).as_dict()
    alone = explain(client, "own_1.csv", answer=answer).as_dict()

    assert found["group"] == "nightly"
    assert "  group       nightly: only so many of its imports run at once" in [*explained_lines(found)]
    assert "group" not in alone


def test_while_definitions_cannot_be_read_nothing_is_known(client) -> None:
    client.cloud_is_down = True

    found = explain(client, "orders.csv")

    assert found.decision.what == "unknown"
    assert str(found.rules[-1].why).startswith("they cannot be read now (")
    refused = NotApplied("connection", "no answer")
    assert explain(client, "own_1.csv", answer=refused).decision.reason == "connection"


@pytest.mark.parametrize(("answer", "reason"), [(None, "43010"), (Rejected("4", "no right"), "4")])
def test_a_definition_that_there_is_not_or_that_is_refused_is_a_rejection(client, answer, reason) -> None:
    found = explain(client, "a.txt", answer=answer)

    assert (found.decision.what, found.decision.reason) == ("reject", reason)


@pytest.mark.parametrize(
    ("fields", "when", "what", "reason"),
    [
        ({"file_spec": "other.csv"}, "reject", "reject", "pattern_mismatch"),
        ({"file_spec": "other.csv"}, "wait", "wait", "file_check"),
        ({"file_spec": "other.csv"}, "start", "start", ""),
        ({"max_file_age": 1}, "reject", "reject", "file_too_old"),
        ({"max_file_age": 1}, "wait", "reject", "file_too_old"),
        ({"max_file_age": 1, "max_file_age_offset": 2}, "reject", "start", ""),
    ],
)
def test_what_is_checked_right_before_a_start_is_said(client, fields, when, what, reason) -> None:
    answer, policy = Definition(customer_key="contacts", **fields), Policy(when_mismatch=when)
    found = explain(client, "own_1.csv", answer=answer, policy=policy)

    assert (found.decision.what, found.decision.reason) == (what, reason)


@pytest.mark.parametrize(
    ("standing", "text"),
    [
        ({"own": {"request_id": "o", "state": "completed"}}, "duplicate of request o (completed): its own request"),
        ({"handled": {"request_id": "h"}}, "duplicate of request h: the same file"),
        (
            {"window_left": 3600.0, "window_by": "w"},
            (
                "waits until 2026-03-07 13:00:00 UTC because MaxImportFrequency of the definition, or the pause after"
                " an import that ended in Error, is not over (window), by request w"
            ),
        ),
        (
            {"holder": {"request_id": "r"}, "window_left": 3600.0},
            (
                "waits until request r has ended because another request of the definition is not finished, or comes"
                " first: one runs at a time (single_flight)"
            ),
        ),
        (
            {"first": {"request_id": "f"}},
            (
                "waits until request f has ended because another request of the definition is not finished, or comes"
                " first: one runs at a time (single_flight)"
            ),
        ),
        (
            {"is_paused": True},
            (
                "waits until an operator resumes it because an operator paused its definition, its business unit or"
                " everything (paused)"
            ),
        ),
        (
            {"is_paused": True, "pause_left": 60.0},
            (
                "waits until 2026-03-07 12:01:00 UTC because an operator paused its definition, its business unit or"
                " everything (paused)"
            ),
        ),
    ],
)
def test_what_the_ledger_has_is_said_in_a_sentence(client, standing, text) -> None:
    found = explain(client, "orders.csv", **standing)

    assert found.decision.text == text
    assert found.as_dict()["decision"]["text"] == text


def test_its_own_request_counts_also_when_its_definition_is_gone(client) -> None:
    assert explain(client, "a.txt", own={"request_id": "o", "state": "rejected"}).decision.what == "duplicate"


def test_a_definition_that_comes_first_is_named(client) -> None:
    found = explain(client, "orders.csv", policy=Policy(after=("contacts",)), now=NOON.timestamp())

    text = "waits until definition contacts has a completed run because the policy names a definition that must have a"
    assert found.decision.text == f"{text} completed run first (after)"
    assert (found.decision.reason, found.decision.request_id) == ("after", None)


@pytest.mark.parametrize(
    ("route", "name", "spec"),
    [
        (
            Route(pattern="own_*.csv", customer_key="contacts", deliver="ftp", deliver_as="all.csv"),
            "own_1.csv",
            "all.csv",
        ),
        (
            Route(pattern="*.csv.gz.pgp", customer_key="contacts", deliver="ftp", unpack=("pgp", "gz")),
            "a.csv.gz.pgp",
            "a.csv",
        ),
    ],
)
def test_a_file_is_judged_under_the_name_that_it_has_at_the_target(client, route, name, spec) -> None:
    answer = Definition(customer_key="contacts", file_spec=spec)
    found = explain(client, name, answer=answer, own_route=route)

    assert found.decision.text == "start"
    sent = replace(found.file, name=spec)
    assert found.target is not None
    assert found.request_id == request_id_of(found.file, found.target) != request_id_of(sent, found.target)
    assert (found.as_dict()["file"]["name"], found.as_dict()["file"]["fingerprint"]) == (name, found.file.fingerprint)
    said: Any = would_submit(Explainer(found))(Arrival(file=found.file))  # type: ignore[arg-type]
    assert said.request_id == found.request_id


def test_a_file_that_was_rejected_before_its_delivery_is_a_duplicate_of_its_own_request(client) -> None:
    route = Route(pattern="*.gz", customer_key="contacts", deliver="ftp", unpack=("gz",))

    def standing(_mid: str, _key: str, file: FileInfo, request_id: str, *_: object) -> Standing:
        asked.append((file.name, file.fingerprint, request_id))
        return Standing(own={"request_id": "r", "state": "rejected"})

    asked: list[tuple[str, str, str]] = []
    found = explain(client, "a.csv.gz", answer=Definition(customer_key="contacts"), own_route=route, asked=standing)
    assert found.decision.text == "duplicate of request r (rejected): its own request"
    assert asked == [("a.csv", found.file.fingerprint, found.request_id)]


@pytest.mark.parametrize(
    ("route", "answer", "said"),
    [
        (
            Route(pattern="*", customer_key="contacts", deliver="ftp", deliver_as="a:b.csv"),
            Definition(customer_key="contacts"),
            "refused: the target takes no file whose name has ':'",
        ),
        (
            Route(pattern="*", customer_key="contacts", deliver="sftp"),
            Rejected("43010", "no such definition"),
            "refused: it is not known where definition contacts reads its file",
        ),
    ],
)
def test_a_file_that_its_target_refuses_gets_no_request_and_is_refused_by_a_dry_run_too(
    client, route, answer, said
) -> None:
    found = explain(client, "own_1.csv", answer=answer, own_route=route)
    assert (found.decision.what, found.decision.reason, found.request_id) == ("nothing", "refused", None)
    assert found.decision.text.startswith(said)
    dry: Any = would_submit(Explainer(found))(Arrival(file=found.file))  # type: ignore[arg-type]
    assert (dry.what, dry.customer_key, dry.text) == ("refused", "contacts", found.decision.text[9:])

    own = {"request_id": "r", "state": "rejected"}
    known = explain(client, "own_1.csv", answer=answer, own_route=route, own=own)
    assert known.decision.reason == "same_request"


@pytest.mark.parametrize("name", [".orders.csv", "orders.csv.part", "orders.csv.done"])
def test_without_a_source_a_file_that_watchers_ignore_starts_nothing_and_an_event_of_it_is_explained(
    client, name: str
) -> None:
    whole = explain(client, "orders.csv", answer=Definition(customer_key="contacts"))
    ignores = Explaining(
        intake=Intake(
            "explain",
            Submitter(client, RoutingRules(definitions=client, routes=(), time_zone="UTC"), lambda: 0.0, lambda: NOON),
        ),
        ledger=Ledger(),
        definitions=lambda *_: None,
        policies=lambda *_: Policy(),
        days=Days(zone=ZoneInfo("UTC"), margin=60.0),
    )
    found = explained(ignores, None, Arrival(file=FileInfo(location="/in", name=name)))

    assert found["decision"]["reason"] == "ignored"
    assert "a watcher takes it only with --complete" in found["decision"]["text"]
    by_event: Any = SimpleNamespace(explain=lambda _: whole, ledger=Ledger())
    by_event.ledger.watchers = by_event.ledger.folders_seen = list
    taken = explained(by_event, None, Arrival(file=FileInfo(location="/in", name=name), event_id="e1"))
    assert taken["decision"]["what"] == whole.decision.what == "start"
