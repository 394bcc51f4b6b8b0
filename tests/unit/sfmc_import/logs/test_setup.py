import io
import json
import logging
import threading
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import jsonschema
import pytest
import structlog

from sfmc_import.logs import TIMES, configure

SCHEMA = jsonschema.Draft202012Validator(json.loads(Path("ops/log.schema.json").read_text()))


class Output(io.BytesIO):
    """Standard error as a terminal or as a pipe."""

    def __init__(self, *, terminal: bool = False) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    def records(self) -> list[dict[str, Any]]:
        records = [json.loads(line) for line in self.getvalue().splitlines()]
        for record in records:
            SCHEMA.validate(record)
        return records


@pytest.fixture(autouse=True)
def warnings_as_before() -> Iterator[None]:
    """Let Python's logging take warnings anew in each test, and leave them to pytest afterwards."""
    logging.captureWarnings(capture=False)
    yield
    logging.captureWarnings(capture=False)


def logging_to(out: Output, level: str = "info", form: Literal["auto", "json", "pretty"] = "auto") -> Any:
    configure(level=level, form=form, secrets=["geheim-1"], stream=out)
    return structlog.get_logger("worker.test")


def fail(secret: str) -> None:
    hidden = "local-" + "value"
    raise ValueError(f"cannot log in with {secret}, {len(hidden)}")


@pytest.fixture
def out() -> Output:
    return Output()


def test_our_records_are_json_lines(out: Output) -> None:
    logging_to(out).info("import_started", task_id="4712", attempt=1)

    (record,) = out.records()
    assert record.pop("timestamp").endswith("Z")
    assert record == {
        "event": "import_started",
        "logger": "worker.test",
        "level": "info",
        "task_id": "4712",
        "attempt": 1,
    }


def test_records_of_libraries_take_the_same_form(out: Output) -> None:
    logging_to(out)
    structlog.contextvars.bind_contextvars(request_id="r-1")
    logging.getLogger("some.library").warning("lost %s of %d", "one", 2, extra={"queue": "imports"})

    (record,) = out.records()
    assert (record["event"], record["logger"], record["level"]) == ("lost one of 2", "some.library", "warning")
    assert record["request_id"] == "r-1"


def test_bound_names_stand_in_every_record(out: Output) -> None:
    log = logging_to(out)
    with structlog.contextvars.bound_contextvars(request_id="r-1", customer_key="k", mid="1"):
        log.info("one")
        log.bind(task_id="7").warning("two")
    log.info("three")

    one, two, three = out.records()
    assert (one["request_id"], two["customer_key"], two["task_id"]) == ("r-1", "k", "7")
    assert "request_id" not in three


def test_tracebacks_are_fields_without_secrets_and_locals(out: Output) -> None:
    log = logging_to(out)
    try:
        fail("geheim-1")
    except ValueError:
        log.exception("login_failed")
        logging.getLogger("library").exception("failed")

    text = out.getvalue().decode()
    assert all("ValueError" in record["exception"] for record in out.records())
    assert "geheim-1" not in text
    assert "local-value" not in text


def test_warnings_of_python_become_records(out: Output) -> None:
    logging_to(out)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old way", UserWarning, stacklevel=1)

    (record,) = out.records()
    assert "old way" in record["event"]


def test_records_below_the_level_are_not_made(out: Output) -> None:
    log = logging_to(out, level="warning")
    log.info("small_thing")
    logging.getLogger("library").info("small thing")
    log.error("big_thing")

    assert [record["event"] for record in out.records()] == ["big_thing"]


@pytest.mark.parametrize("name", ["zeep.transports", "urllib3.connectionpool", "requests"])
def test_what_would_tell_envelopes_is_silent_at_debug_too(out: Output, name: str) -> None:
    logging_to(out, level="debug")
    logging.getLogger(name).debug("POST <fueloauth>…")

    assert out.records() == []


def test_a_value_that_json_does_not_know_is_shown_as_text(out: Output) -> None:
    logging_to(out).info("odd_values", path=Path("/x"), many={1}, number=2**70, broken="\ud800", raw=b"\xff")

    (record,) = out.records()
    assert (record["path"], record["many"], record["number"]) == ("/x", [1], 2**70)


def test_each_line_is_whole_however_many_threads_write(out: Output) -> None:
    log = logging_to(out)

    def write(number: int) -> None:
        for count in range(50):
            log.info("from_thread", number=number, count=count, filler="x" * 2000)
            logging.getLogger("library").info("y" * 2000)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(out.records()) == 400


def test_a_line_of_a_whole_second_has_its_fraction_as_all_have() -> None:
    whole = datetime(2026, 11, 28, 9, 50, 19, tzinfo=UTC).strftime(TIMES)

    assert whole == "2026-11-28T09:50:19.000000Z"


def test_a_lost_output_does_not_stop_the_program(out: Output) -> None:
    log = logging_to(out)
    out.close()

    log.info("no_one_listens")
    logging.getLogger("library").info("no listener")


@pytest.mark.parametrize(
    ("form", "terminal", "is_json"),
    [("auto", False, True), ("auto", True, False), ("json", True, True), ("pretty", False, False)],
)
def test_people_get_readable_lines_on_a_terminal(
    form: Literal["auto", "json", "pretty"], *, terminal: bool, is_json: bool
) -> None:
    out = Output(terminal=terminal)
    logging_to(out, form=form).info("import_started", task_id="4712")

    line = out.getvalue()
    assert line.startswith(b"{") is is_json
    assert b"import_started" in line
    assert b"4712" in line


def test_pretty_lines_hide_secrets_in_tracebacks_too() -> None:
    out = Output(terminal=True)
    log = logging_to(out)
    try:
        fail("geheim-1")
    except ValueError:
        log.exception("failed")

    assert b"ValueError" in out.getvalue()
    assert b"geheim-1" not in out.getvalue()


def test_the_client_which_logs_by_stdlib_logging_names_its_request_in_our_records() -> None:
    output = Output()
    configure(form="json", stream=output)
    logging.getLogger("sfmc_import.client").warning(
        "request %s is recorded",
        "r",
        extra={
            "event": "message_not_sent",
            "request_id": "r",
            "customer_key": "k",
            "mid": "1",
            "error": "e",
            "action": "waiting",
        },
    )

    [record] = output.records()
    assert (record["event"], record["request_id"], record["customer_key"]) == ("message_not_sent", "r", "k")
    assert (record["mid"], record["error"], record["action"]) == ("1", "e", "waiting")
