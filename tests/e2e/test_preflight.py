"""The preflight of a route, with real processes and the sandbox; the example of its page as written."""

from pathlib import Path

from sfmc_local.processes import stop
from tests.support.processes import RunningSystem, running_system
from tests.support.soap_conversation import Conversation, thing
from tests.support.sources import example_of, use_policy
from tests.support.waiting import eventually

FIELDS = (
    "<Field><Name>Id</Name><IsPrimaryKey>true</IsPrimaryKey><FieldType>Number</FieldType></Field>"
    "<Field><Name>Mail</Name><IsRequired>true</IsRequired><FieldType>EmailAddress</FieldType></Field>"
)
SECRET = "someone-private"


def define(system: RunningSystem) -> None:
    people = thing("DataExtension", f"<CustomerKey>people</CustomerKey><Name>people</Name><Fields>{FIELDS}</Fields>")
    assert Conversation(system.sandbox).create(people).text("OverallStatus") == "OK"
    destination = {"xsi:type": "DataExtension", "CustomerKey": "people"}
    form = {"FileType": "CSV", "HeaderLines": 1, "FieldMappingType": "InferFromColumnHeadings"}
    system.sandbox.control.define("people", FileSpec="people_2.csv", DestinationObject=destination, **form)


def put(system: RunningSystem, folder: Path, name: str, content: str) -> None:
    system.sandbox.drop(name, content)
    (folder / name).write_text(content)


def test_a_wrong_file_starts_nothing_and_says_where_and_a_sound_one_is_imported(tmp_path: Path) -> None:
    with running_system() as system:
        define(system)
        system.worker()
        system.beat()
        put(system, tmp_path, "people_1.csv", f"Id,Mail\n1,a@example.com\n2,{SECRET}\n")
        put(system, tmp_path, "people_2.csv", "Id,Mail\n1,a@example.com\n2,b@example.com\n")
        options = ("--stable-seconds", "0.1", "--rescan", "0.2", "--json")
        watcher = system.start("watch", str(tmp_path), *options, **use_policy(system, example_of("preflight")))
        rejected, completed = system.await_event("rejected"), system.await_event("completed")
        log = system.log_of(watcher)
        eventually(lambda: "preflight_failed" in log.read_text(), 30, "it is logged")
        stop(watcher)

        assert rejected["data"]["file"]["name"] == "people_1.csv"
        assert rejected["data"]["code"] == "preflight"
        assert rejected["data"]["text"] == "line 3, column Mail: no email address"
        assert (completed["data"]["file"]["name"], completed["data"]["rows_total"]) == ("people_2.csv", 2)
        assert len(system.sandbox.control.performs("people")) == 1
        assert SECRET not in log.read_text() + str(system.events())
