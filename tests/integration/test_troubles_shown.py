"""What an operator sees when something is broken: the broker, the questions about runs, an empty import, a circuit."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from sfmc_import.access import ReadAccess
from sfmc_import.attempts import ASKED_BEFORE, SENT
from sfmc_import.cli.doctor import check_circuits
from sfmc_import.cli.doctor_folders import check_losses
from sfmc_import.cli.main import cli
from sfmc_import.cli.overview import standing_lines, whole_lines
from sfmc_import.cli.repair import what_is_next
from sfmc_import.cli.requests_shown import request_lines, table_lines
from sfmc_import.ends import Subject, commands
from sfmc_import.ends import actions as actions_of
from sfmc_import.events import kind
from sfmc_import.faults import NotApplied
from sfmc_import.ledger import RedisLedger
from sfmc_import.ledger.broker_state import BrokerState
from sfmc_import.ledger.keys import Keys
from sfmc_import.ledger.opening import ledger_settings, open_ledger
from sfmc_import.ledger.operator_keys import WARNINGS
from sfmc_import.operations import actions, requests, tokens
from sfmc_import.operations.broker import NO_WORKER_HEARS
from sfmc_import.operations.errors import ConflictError, NotFoundError
from sfmc_import.operations.fixing import advice_for_wait, fix_for
from sfmc_import.operations.overview import overview
from sfmc_import.operations.status import standing, status
from sfmc_import.policy import Policy
from sfmc_import.runs import Accepted, Definition
from sfmc_import.settings import load
from sfmc_import.states import Lease, StartNow
from sfmc_import.worker_process import WriteLossWatch
from tests.support.console import MID, Person, World, console_over

NO_BROKER = "redis://127.0.0.1:9/0"


@pytest.fixture
def world(redis_server: Any) -> Iterator[World]:
    with console_over(redis_server.url) as made:
        yield made


def started(world: World, name: str, task: str) -> str:
    """Record a request and its run."""
    request_id = world.submit(name=name, key=name)
    start(world, request_id, name, task)
    return request_id


def start(world: World, request_id: str, key: str, task: str) -> None:
    ledger = open_ledger(world.access.settings)
    asked = ledger.load(request_id)
    assert asked is not None
    decision = ledger.claim(asked, "worker", Policy(on_error="free"), Definition(customer_key=key))
    assert isinstance(decision, StartNow), decision
    assert ledger.record_intent(decision.lease, (), window=0) is not None
    assert ledger.started(decision.lease, Accepted(task_id=task), 0, Policy(), reconciled=False)


def claimed(world: World, key: str) -> tuple[RedisLedger, Lease]:
    """Submit a request and let a worker take it."""
    ledger = open_ledger(world.access.settings)
    asked = ledger.load(world.submit(name=key, key=key))
    assert asked is not None
    decision = ledger.claim(asked, "worker", Policy(), Definition(customer_key=key))
    assert isinstance(decision, StartNow), decision
    return ledger, decision.lease


def ends(world: World, request_id: str, outcome: str) -> None:
    ledger = open_ledger(world.access.settings)
    (run,) = ledger.followed([request_id])
    ledger.ended(run, outcome, None, Policy())


def test_without_its_broker_status_and_console_show_the_ledger_and_name_the_broker(redis_server: Any) -> None:
    with console_over(redis_server.url) as made:
        request_id = made.submit(name="waits.csv")
        person = made.person("viewer")
        settings = load({"SFMC_REDIS_URL": redis_server.url, "SFMC_ACCOUNT_ID": MID, "SFMC_BROKER_URL": NO_BROKER})
        access = ReadAccess(settings)
        object.__setattr__(made.access, "settings", settings)
        made.access.__dict__.pop("broker", None)
        state = BrokerState(made.access.client, ledger_settings(settings))
        state.note(is_away=True)
        page = person.see("/")
        shown = requests.show(access, request_id)
        whole, first = status(access), overview(access)
        of_definition = standing(access, "orders", MID).missing
        known = made.person("viewer").see(f"/definition?mid={MID}&customer_key=orders").text

    assert page.status_code == 200
    assert "waits.csv" in page.text
    assert "Requests stay in the ledger" in page.text
    assert whole.broker is not None
    assert ("127.0.0.1:9" in whole.broker.text, whole.broker.since is not None) == (True, True)
    said = f"{whole.broker.since:%Y-%m-%d %H:%M:%S} UTC"
    assert said in page.text
    assert any(f", since {said}" in str(line) for line in whole_lines(whole))
    assert (whole.queued, first.counts.dead_letters) == (None, None)
    assert f", since {said}" in known
    assert any("does not answer" in each for each in of_definition)
    assert shown.waiting is not None
    assert shown.waiting.text.endswith(NO_WORKER_HEARS)
    assert "No worker runs (none has run yet)" in shown.waiting.text


def test_a_run_that_cannot_be_asked_for_is_a_trouble_with_its_code(world: World) -> None:
    request_id = started(world, "fails.csv", "4711")
    ledger = open_ledger(world.access.settings)
    (run,) = ledger.followed([request_id])
    for _ in range(2):
        ledger.progressed(run, None, 30, NotApplied("read_timeout", "no answer in time"))
    [trouble] = [each for each in status(world.access).troubles if each.reason == "following"]
    page = world.person("viewer").see("/").text

    assert trouble.codes == ("read_timeout",)
    assert f"Business unit {MID}: following 1 run since" in page
    assert "<code>read_timeout</code> no answer in time" in page
    assert "; it fails since <time" in page
    assert f"To do: {fix_for('read_timeout', '')}" in page
    advice = f"{advice_for_wait('read_timeout', None, '')}, once sfmc-import worker and sfmc-import beat run"
    assert requests.show(world.access, request_id).advice == advice
    ledger.progressed(run, "Processing", 30)
    assert [each for each in status(world.access).troubles if each.reason == "following"] == []


def test_a_run_with_an_odd_status_says_what_marketing_cloud_says_until_when_and_what_to_do(world: World) -> None:
    request_id = started(world, "odd.csv", "4712")
    ledger = open_ledger(world.access.settings)
    (run,) = ledger.followed([request_id])
    ledger.progressed(run, "Paused", 30)
    view = requests.show(world.access, request_id)
    page = world.person("viewer").see(f"/request?id={request_id}").text

    assert view.waiting is not None
    assert view.waiting.text.startswith("Marketing Cloud says Paused")
    assert (view.waiting.then, view.waiting.deadline is not None) == ("follow_timed_out", True)
    assert str(view.advice).startswith("look at the run in Marketing Cloud")
    assert "Marketing Cloud says Paused" in page
    assert "then follow timed out" in page


def test_an_import_without_rows_is_listed_for_a_day_with_its_advice(world: World) -> None:
    request_id = started(world, "empty.csv", "4713")
    ends(world, request_id, "completed_empty")
    page = world.person("viewer").see("/").text

    assert [each.request_id for each in status(world.access).warnings] == [request_id]
    assert "Completed, and to be looked at" in page
    assert "Look whether the file was empty" in page
    world.access.client.zadd(Keys().name_of(WARNINGS), {request_id: (world.access.reader.now() - 90_000) * 1000})
    assert status(world.access).warnings == ()


def failed_then_imported(world: World, name: str, versions: tuple[str, str]) -> tuple[str, str]:
    """A request that failed, and a newer one for a file of its name that was imported."""
    made = []
    for version, outcome in zip(versions, ("import_failed", "completed"), strict=True):
        asked = world.client.submit(customer_key=name, mid=MID, file={"name": name, "version": version})
        start(world, asked.request_id, name, f"{name}-{outcome}")
        ends(world, asked.request_id, outcome)
        made.append(asked.request_id)
    return made[0], made[1]


def test_a_failure_whose_file_was_imported_since_is_settled_and_replayed_by_force_alone(world: World) -> None:
    failed, newer = failed_then_imported(world, "again.csv", ("1", "1"))
    view = requests.show(world.access, failed)
    page = world.person("viewer").see(f"/request?id={failed}").text

    assert failed not in [each.request_id for each in status(world.access).failures]
    assert (view.settled_by, view.next) == (newer, ["replay --force"])
    assert str(view.advice).startswith("nothing: a newer request has imported the same file")
    assert [kind(event) for event in requests.life(world.access, view)][-2:] == ["import_failed", "settled"]
    assert f"settled by request {newer}" in page
    with pytest.raises(ConflictError, match="has imported its file since"):
        actions.replay(world.access, failed, "ann")


def test_a_start_without_an_answer_says_so_and_until_when_it_is_waited_for(world: World) -> None:
    request_id = world.submit(name="silent.csv", key="silent")
    ledger = open_ledger(world.access.settings)
    asked = ledger.load(request_id)
    assert asked is not None
    decision = ledger.claim(asked, "worker", Policy(), Definition(customer_key="silent"))
    assert isinstance(decision, StartNow), decision
    before = requests.show(world.access, request_id).attempting
    ledger.record_intent(decision.lease, (), window=0)
    view = requests.show(world.access, request_id)
    lines = " ".join(map(str, [*request_lines(view, 0.0), *table_lines(view, 0.0)]))

    assert before is not None
    assert view.attempting is not None
    assert str(before.text).startswith(f"{ASKED_BEFORE} No worker runs")
    assert str(view.attempting.text).startswith(f"{SENT} No worker runs")
    assert view.attempting.until is not None
    assert f"none yet until {view.attempting.until:%Y-%m-%d %H:%M:%S} UTC" in lines
    assert "no answer of Marketing Cloud yet until" in lines
    for path in ("/", f"/request?id={request_id}"):
        assert "Marketing Cloud has not answered yet" in world.person("viewer").see(path).text


def test_a_run_that_is_asked_for_without_an_answer_says_since_when(world: World) -> None:
    request_id = started(world, "asked.csv", "4720")
    ledger = open_ledger(world.access.settings)
    (run,) = ledger.followed([request_id])
    ledger.polling([request_id], "worker")
    asked = requests.show(world.access, request_id).waiting
    ledger.progressed(run, "Processing", 30)
    answered = requests.show(world.access, request_id).waiting

    assert asked is not None
    assert answered is not None
    assert " UTC, without an answer yet. No worker runs" in asked.text
    assert "without an answer" not in answered.text


def test_a_run_and_a_start_say_which_process_that_would_go_on_with_them_does_not_run(world: World) -> None:
    followed = started(world, "no-beat.csv", "4721")
    attempted = world.submit(name="no-worker.csv", key="no-worker")
    ledger = open_ledger(world.access.settings)
    asked = ledger.load(attempted)
    assert asked is not None
    decision = ledger.claim(asked, "worker", Policy(), Definition(customer_key="no-worker"))
    assert isinstance(decision, StartNow), decision
    ledger.record_intent(decision.lease, (), window=0)
    of_run, of_start = requests.show(world.access, followed).waiting, requests.show(world.access, attempted).attempting
    page = world.person("viewer").see(f"/request?id={followed}").text

    assert of_run is not None
    assert of_start is not None
    assert all(f"No {each} runs" in of_run.text for each in ("worker", "beat"))
    assert "No beat runs" in page
    assert ("No worker runs" in str(of_start.text), "No beat runs" in str(of_start.text)) == (True, False)
    assert "start sfmc-import worker" in str(of_start.text)


def test_a_further_attempt_has_its_deadline_and_what_helps_on_its_pages(world: World) -> None:
    request_id = world.submit(name="again.csv", key="again")
    ledger = open_ledger(world.access.settings)
    asked = ledger.load(request_id)
    assert asked is not None
    for fault in (NotApplied("read_timeout", "no answer in time"), None):
        decision = ledger.claim(asked, "worker", Policy(), Definition(customer_key="again"))
        assert isinstance(decision, StartNow), decision
        if fault is not None:
            ledger.retry(decision.lease, fault, 0.0)
    view = requests.show(world.access, request_id)
    person = world.person("viewer")

    assert (view.state, view.attempting is not None and view.attempting.then) == ("starting", "gave_up")
    for path in ("/", f"/request?id={request_id}"):
        page = person.see(path).text
        assert "then gave up" in page
        assert fix_for("read_timeout", "") in page


def test_a_start_that_is_said_not_to_have_happened_is_replayed_by_the_command_that_show_names(world: World) -> None:
    view = requests.show(world.access, world.submit(name="unknown.csv"))
    names = commands(actions_of("not_started"), Subject(request_id=view.request_id, customer_key="k", mid=MID))

    assert str(names[0][1]) in what_is_next(view, None)


def test_a_failure_under_whose_name_a_newer_file_came_is_listed_and_says_what_a_replay_would_import(
    world: World,
) -> None:
    failed, newer = failed_then_imported(world, "newer.csv", ("1", "2"))
    view = requests.show(world.access, failed)
    operator = world.person("operator")

    assert failed in [each.request_id for each in status(world.access).failures]
    assert (view.settled_by, view.newer_import, view.next) == (None, newer, ["replay --force", "settle"])
    assert "a replay imports what lies there under the name now" in str(view.advice)
    assert "not the file of this request" in operator.see(f"/request/replay?id={failed}").text
    assert newer in operator.see(f"/request?id={failed}").text
    assert any(newer in str(each) for each in request_lines(view, 0.0))
    with pytest.raises(ConflictError, match="has imported a newer file of its name since"):
        actions.replay(world.access, failed, "ann")


@pytest.mark.parametrize("code", ["9", "17", "http_429", "12"])
def test_doctor_fails_while_starts_wait_for_the_account_and_no_circuit_is_open(world: World, code: str) -> None:
    ledger, lease = claimed(world, "waits.csv")
    ledger.retry(lease, NotApplied(code, "not now", account_wide=True), 60)

    found = [each for each in check_circuits(world.access.settings) if f"({code})" in each.text]

    assert [(each.level, each.check) for each in found] == [("fail", "calls")]
    assert re.search(rf"starts wait in business unit {MID} since .* UTC, next try at .* UTC: ", found[0].text)


def test_doctor_fails_while_questions_before_starts_fail_and_warns_while_runs_cannot_be_asked_for(world: World) -> None:
    ledger, lease = claimed(world, "waits.csv")
    ledger.retry(lease, NotApplied("http_status", "HTTP 500"), 60)
    started(world, "runs.csv", "4730")
    (run,) = ledger.followed([each.request_id for each in requests.followed(world.access)])
    ledger.progressed(run, None, 30, NotApplied("read_timeout", "no answer in time"))
    found = {each.text.partition(" in business unit")[0]: each for each in check_circuits(world.access.settings)}
    page = world.person("viewer").see("/").text
    one = standing(world.access, "runs.csv", MID)
    of_one = world.person("viewer").see(f"/definition?mid={MID}&customer_key=runs.csv").text

    assert {what: each.level for what, each in found.items()} == {"starts wait": "fail", "runs need a look": "warn"}
    assert "It holds 1 request, of waits.csv" in found["starts wait"].text
    [of_starts] = [each for each in status(world.access).troubles if each.reason == "backoff"]
    assert f"To do: {found['starts wait'].fix}" == of_starts.advice
    assert [each.reason for each in one.troubles] == ["backoff", "following"]
    assert f"{MID}: backoff for" in " ".join(map(str, standing_lines(one, world.access.reader.now())))
    assert all(f"Business unit {MID}: backoff since" in text for text in (page, of_one))
    assert "It holds 1 request, of waits.csv; if nothing changes, it ends as gave_up" in page


def test_doctor_passes_while_a_limit_of_this_deployment_lets_starts_wait(world: World) -> None:
    ledger, lease = claimed(world, "limited.csv")
    ledger.retry(lease, NotApplied("quota", "not now", account_wide=True), 60)

    assert [each for each in check_circuits(world.access.settings) if "quota" in each.text] == []


def test_an_outage_of_the_broker_counts_from_its_first_note_and_ends_with_one(world: World) -> None:
    state = BrokerState(world.access.client, ledger_settings(world.access.settings))
    assert world.access.reader.broker_away_since() is None
    state.note(is_away=True)
    begun = world.access.reader.broker_away_since()
    state.note(is_away=True)

    assert (begun is not None, world.access.reader.broker_away_since()) == (True, begun)
    missing = world.access.reader.running().missing
    assert [each.partition(" (")[0] for each in missing] == ["no worker runs", "no beat runs"]
    state.note(is_away=False)
    assert world.access.reader.broker_away_since() is None


def test_a_loss_of_writes_is_an_alarm_on_every_surface_until_starts_are_careful_no_more(
    world: World, redis_server: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = world.submit(name="gone.csv")
    ledger = open_ledger(world.access.settings)
    watch = WriteLossWatch(ledger)
    assert not watch.beat()
    world.access.client.flushall()
    assert watch.beat()
    [loss] = status(world.access).losses
    person = Person(world.http)
    login = person.see("/login").text
    person.log_in(tokens.add(world.access, "eve", "viewer", "test"))
    refused = world.http.request("GET", "/v1/status", headers={"authorization": f"Bearer {world.tokens['viewer']}"})
    monkeypatch.setenv("SFMC_REDIS_URL", redis_server.url)
    monkeypatch.setenv("SFMC_ACCOUNT_ID", MID)
    with pytest.raises(SystemExit) as ended:
        cli.main(["status"], "sfmc-import", standalone_mode=False)
    shown = " ".join(capsys.readouterr().out.split())
    with pytest.raises(NotFoundError, match="Redis lost writes, noticed at 20"):
        requests.show(world.access, gone)

    assert (loss.survived_until, loss.may_be_new, loss.until > loss.since) == (None, False, True)
    assert loss.text.startswith(f"Redis was empty at {loss.since:%Y-%m-%d %H:%M:%S} UTC: nothing of before is known")
    assert f"Until {loss.until:%Y-%m-%d %H:%M:%S} UTC each start looks first for runs" in loss.text
    assert "submit again what is not shown here" in loss.advice
    assert (ended.value.code, loss.text in shown, loss.text in person.see("/").text) == (1, True, True)
    assert all("Redis lost writes, noticed at 20" in text for text in (login, refused.text))
    assert [(each.level, each.check) for each in check_losses((loss,))] == [("fail", "losses")]
    assert overview(world.access).losses == (loss,)


def test_a_ledger_that_lost_its_last_writes_says_from_when_the_newest_event_is(world: World) -> None:
    world.submit(name="kept.csv")
    ledger = open_ledger(world.access.settings)
    ledger.write_probe("w", 5)
    [loss] = status(world.access).losses

    assert loss.survived_until is not None
    assert f"the newest event that it still had is of {loss.survived_until:%Y-%m-%d %H:%M:%S} UTC" in loss.text
    assert "requests and pauses of after it are missing" in loss.text
    assert loss.advice.startswith("see whether the pauses are still those that were set; ")
    assert "tokens" not in loss.advice


def test_a_restart_that_shows_no_loss_is_said_without_an_alarm(world: World) -> None:
    world.submit(name="kept.csv")
    server = open_ledger(world.access.settings).server
    server.note("one", 5, world.access.client.execute_command)
    server.note("two", 5, world.access.client.execute_command)
    [loss] = status(world.access).losses

    assert (loss.is_proved, loss.is_alarm, loss.survived_until is None) == (False, False, False)
    assert loss.text.startswith("Redis was started anew, or another one took over, noticed at 20")
    assert loss.advice.startswith("nothing after an orderly restart;")
    assert [each.level for each in check_losses((loss,))] == ["warn"]


def test_a_restart_after_redis_was_emptied_changes_nothing_of_what_is_said_of_that(world: World) -> None:
    watch = WriteLossWatch(open_ledger(world.access.settings))
    assert not watch.beat()
    world.access.client.flushall()
    assert watch.beat()
    [first] = status(world.access).losses
    world.submit(name="later.csv")
    server = open_ledger(world.access.settings).server
    for name in ("one", "two"):
        server.note(name, 5, world.access.client.execute_command)
    [loss] = status(world.access).losses

    assert (loss.since, loss.is_alarm) == (first.since, True)
    assert loss.text.startswith(f"Redis was empty at {first.since:%Y-%m-%d %H:%M:%S} UTC")
    assert "no request, no event, no token and no pause" in loss.text
    assert loss.advice.startswith("pause again what must not start; ")
    assert loss.again is not None
    assert ", and a loss or another server of Redis was noticed again at 20" in loss.text


def test_an_empty_ledger_that_may_be_new_is_said_without_an_alarm(
    world: World, redis_server: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    access = ReadAccess(world.access.settings.model_copy(update={"prefix": "other:"}))
    access.ledger().server.note("one", 5, access.client.execute_command)
    monkeypatch.setenv("SFMC_REDIS_URL", redis_server.url)
    monkeypatch.setenv("SFMC_PREFIX", "other:")
    cli.main(["status"], "sfmc-import", standalone_mode=False)
    [loss] = status(access).losses

    assert loss.may_be_new
    assert loss.advice.startswith("nothing for a new one; otherwise pause again what must not start; ")
    assert "The ledger was empty at 20" in " ".join(capsys.readouterr().out.split())
    assert [each.level for each in check_losses((loss,))] == ["warn"]
