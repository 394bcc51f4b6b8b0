"""One advice for each bad end, the same in the runbook; the runbook has every code that can be shown."""

import ast
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from sfmc_import.ends import Subject, actions, advice_for_end, commands
from sfmc_import.faults import CODES, GATED, OF_A_LOOK, SITUATIONS, TEXTS
from sfmc_import.operations.fixing import FIXES, OR_ANOTHER_LOGIN, OTHER, advice_for, advice_for_wait, fix_for
from sfmc_import.states import FAILED, NOT_STARTED, TERMINAL, UNFINISHED, WARNED
from sfmc_import.waiting import sentence

ROOT = Path(__file__).parents[3]
RUNBOOK = (ROOT / "ops/docs/runbook.md").read_text("utf-8")
OF_CODES = RUNBOOK.partition("## What failed: the codes")[2].partition("\n## ")[0]
FAULTS = {"NotApplied", "Ambiguous", "Rejected"}
REJECTED = (
    *("4", "http_400", "pattern_mismatch", "file_too_old", "43010", "two_definitions", "other_business_unit"),
    *("preflight", "damaged", "bad_signature", "invalid"),
)
SUBJECT = Subject(request_id="r", customer_key="K", mid="7", task_id="4711")


def sources() -> Iterator[Path]:
    """The modules of the worker; what the client of our own API meets is no failure of a request."""
    yield from (each for each in (ROOT / "worker/sfmc_import").rglob("*.py") if "api_client" not in each.parts)


def codes_of(path: Path) -> Iterator[str]:
    """The codes that a module gives to faults by name."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FAULTS and node.args:
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield first.value


def codes_of_scripts() -> Iterator[str]:
    for each in files("sfmc_import.ledger").iterdir():
        if each.name.endswith(".lua"):
            yield from re.findall(r"code = '(\w+)'|attempt\('(\w+)'|error_of\(r, '(\w+)'", each.read_text("utf-8"))


def test_the_runbook_has_every_code_that_can_be_shown() -> None:
    known = {*GATED, *OF_A_LOOK, "no_code", *REJECTED, *SITUATIONS, *map(str, CODES), *(code for _, code in TEXTS)}
    known |= {code for path in sources() for code in codes_of(path)}
    known |= {code for found in codes_of_scripts() for code in found if code}

    assert len(known) > 60
    assert sorted(code for code in known - {""} if f"`{code}`" not in OF_CODES) == []


@pytest.mark.parametrize("state", [*FAILED, *WARNED])
def test_the_runbook_advises_of_an_end_what_all_surfaces_do(state: str) -> None:
    assert str(advice_for_end(state, None)) in RUNBOOK


@pytest.mark.parametrize("code", REJECTED)
def test_the_runbook_advises_of_a_code_what_all_surfaces_do(code: str) -> None:
    assert str(advice_for_end("rejected", code)) in RUNBOOK


@pytest.mark.parametrize("code", ["43010", "other_business_unit", "http_400", "damaged", "invalid"])
def test_no_replay_is_advised_where_it_would_ask_for_the_same_wrong_thing(code: str) -> None:
    assert not any("replay" in each for each in actions("rejected", code))
    assert "replay" not in str(advice_for_end("rejected", code))


def test_other_codes_are_replayed_and_what_was_imported_since_only_by_force() -> None:
    assert actions("rejected", "11") == actions("rejected") == ("replay", "settle")
    assert actions("import_failed", is_settled=True) == ("replay --force",)
    assert actions("import_failed", is_imported=True) == ("replay --force", "settle")
    assert actions("rejected", "43010", is_imported=True) == ("start", "settle")


def test_what_is_being_replayed_is_replayed_once_more_only_by_force() -> None:
    assert actions("import_failed", is_replayed=True) == ("replay --force", "settle")
    assert actions("not_started", is_replayed=True) == ("replay --force", "resolve")
    assert actions("cancelled", is_replayed=True) == ("replay --force",)
    assert actions("rejected", "43010", is_replayed=True) == ("start", "settle")


@pytest.mark.parametrize("state", [*TERMINAL, *UNFINISHED, NOT_STARTED])
def test_each_action_has_a_command(state: str) -> None:
    assert all(commands([name], SUBJECT) for name in actions(state))


def test_an_unknown_start_has_two_commands_that_exclude_each_other() -> None:
    assert [(lead, str(command)) for lead, command in commands(["resolve"], SUBJECT)] == [
        ("if it ran", "sfmc-import resolve r --task-id N"),
        ("if it did not", "sfmc-import resolve r --not-started --reason TEXT"),
    ]


@pytest.mark.parametrize(
    ("scope", "words"), [("all", "--all"), ("mid:7", "--unit --mid 7"), ("key:7:K", "K --mid 7"), ("", "K --mid 7")]
)
def test_the_pause_that_holds_a_request_is_the_one_that_is_ended(scope: str, words: str) -> None:
    subject = Subject(request_id="r", customer_key="K", mid="7", scope=scope)

    assert [str(command) for _, command in commands(["resume"], subject)] == [f"sfmc-import resume {words}"]


@pytest.mark.parametrize("code", ["12", "login_failed"])
def test_a_login_that_does_not_count_is_advised_by_the_one_that_is_configured(code: str) -> None:
    assert "SFMC_USERNAME" not in str(fix_for(code, "oauth"))
    assert str(fix_for(code, "legacy")).startswith("check SFMC_USERNAME")
    assert all(name in str(fix_for(code, "")) for name in ("SFMC_CLIENT_ID", "SFMC_USERNAME"))
    assert "SFMC_CLIENT_ID" in advice_for((code,), "oauth")


@pytest.mark.parametrize("code", ["4", "11", "permission_failed"])
def test_a_right_that_is_missing_is_advised_as_one(code: str) -> None:
    assert "rights Automations" in FIXES[code]


def test_a_wait_says_what_to_do_and_that_it_goes_on() -> None:
    assert advice_for_wait("dns", None, "") == f"{FIXES['dns']}; it goes on by itself after that"
    assert advice_for_wait("17", None, "") == FIXES["17"]
    assert advice_for_wait("never seen", "Processing", "") == f"{OTHER}; it goes on by itself after that"
    assert advice_for_wait(None, "Processing", "") is None
    assert str(advice_for_wait(None, "Paused", "")).startswith("look at the run in Marketing Cloud")


@pytest.mark.parametrize(
    ("reason", "code", "status", "begin"),
    [
        ("rate_limited", "quota", None, "Calls are spread over the minute"),
        ("rate_limited", "running_limit", None, "As many imports run as may"),
        ("rate_limited", "17", None, "Marketing Cloud limits"),
        ("following", "", "Processing", "The import runs"),
        ("following", "", None, "The import runs"),
        ("following", "", "Paused", "Marketing Cloud says Paused"),
        ("following", "", "Unknown", "Marketing Cloud says Unknown"),
        ("following", "http_503", "Processing", "Marketing Cloud does not say how the run goes"),
    ],
)
def test_the_sentence_of_a_wait_names_its_cause(reason: str, code: str, status: str | None, begin: str) -> None:
    assert sentence(reason, code, status).startswith(begin)


def test_a_definition_that_was_replaced_and_a_key_that_a_route_names_wrongly_have_advice_that_helps() -> None:
    replaced, absent = (str(advice_for_end("rejected", code)) for code in ("pattern_mismatch", "43010"))

    assert replaced.startswith("if the text says that the definition was changed, look at it and replay the request")
    assert "if a [[route]] or a source names this key, correct it there too" in absent


def test_what_fails_for_one_login_may_go_on_before_with_another() -> None:
    said = f"it goes on by itself after that{OR_ANOTHER_LOGIN}"

    assert str(advice_for_wait("login_failed", None, "oauth", "circuit_open")).endswith(said)
    assert OR_ANOTHER_LOGIN not in str(advice_for_wait("token_unavailable", None, "oauth", "circuit_open"))
