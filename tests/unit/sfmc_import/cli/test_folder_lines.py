"""What `status` prints about folders: those in trouble first, and for each file that waits why and since when."""

from typing import Any

import pytest

from sfmc_import.cli.doctor_folders import check_folders
from sfmc_import.cli.folder_lines import ALARMS, alarm_lines, folder_lines
from sfmc_import.ledger.reading import SeenFolder
from sfmc_import.operations.folders import FILE_ADVICE, NOT_KNOWN_YET, REASONS, readers, sorted_out, with_file
from sfmc_import.operations.views import FolderView

AT = 1_800_000_000.0
SINCE = "since 2027-01-15 08:00:00 UTC"


def folder(name: str = "/in", state: str = "watched", files: Any = (), more: int = 0, **fields: Any) -> dict[str, Any]:
    return {"folder": name, "location": name, "state": state, "files": list(files), "more": more} | fields


def file(name: str, reason: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "reason": reason, "since": AT} | fields


def seen(location: str, host: str = "h", mount: str = "", *, at: float = AT, stopped: bool = False) -> SeenFolder:
    return SeenFolder(location, location, host, mount, "", at, stopped)


def views(*watchers: list[dict[str, Any]], remembered: Any = (), ago: float = 1.0) -> tuple[FolderView, ...]:
    said = [
        {"watcher": f"h:{number}:x", "seen_at": AT - ago, "folders": folders} for number, folders in enumerate(watchers)
    ]
    return sorted_out(said, remembered, AT)


def test_each_folder_and_each_file_that_waits_has_a_line_with_reason_and_time():
    files = [file("a.csv", "growing", size=3), file("b.csv", "unmatched", text="no route names it")]
    hanging = folder("/mnt", "hanging", since=AT, text="/mnt/x")

    assert [*folder_lines(views([folder(files=files, more=7), hanging]))] == [
        f"  folder  /mnt  HANGING: its file system does not answer (/mnt/x), {SINCE}, by watcher h:0:x",
        "  folder  /in  watched, by watcher h:0:x",
        f"    waits  a.csv  not complete yet, {SINCE}",
        f"    waits  b.csv  no definition matches (no route names it), {SINCE}; to do: {FILE_ADVICE['unmatched']}",
        "    and 7 more",
    ]


def test_a_folder_that_two_watchers_see_alike_stands_there_once():
    full, hanging = folder(files=[file("a.csv", "empty")]), folder(state="hanging", since=AT)
    found = views([folder()], [full], [hanging])

    assert [(each.state, each.watchers, each.waiting) for each in found] == [
        ("hanging", ("h:2:x",), 0),
        ("watched", ("h:0:x", "h:1:x"), 1),
    ]


def test_a_reason_without_words_is_shown_as_it_is():
    lines = [*folder_lines(views([folder(files=[file("a.csv", "new_reason")])]))]

    assert lines[1] == f"    waits  a.csv  new_reason, {SINCE}"


def test_without_watchers_there_is_no_line():
    assert [*folder_lines(views()), *alarm_lines(views())] == []


def test_files_that_wait_for_the_account_are_an_alarm_with_the_cause_and_what_to_do():
    text = "Cannot read the definitions of business unit 7 (login_failed): no"
    found = views([folder(files=[file("a.csv", "unavailable", text=text, code="login_failed")], more=4)])
    [alarm] = alarm_lines(found)
    [finding] = check_folders(found)

    assert alarm.startswith(
        f"folder /in: 5 files in it are not looked at: Redis or the list of definitions does not answer ({text}"
    )
    assert f"{SINCE}; {NOT_KNOWN_YET}; to do: check the login: SFMC_CLIENT_ID" in alarm
    assert (finding.level, finding.fix.startswith("check the login: SFMC_CLIENT_ID")) == ("fail", True)


def test_files_that_are_not_looked_at_for_one_cause_are_one_line_with_their_number():
    held = [file(f"{name}.csv", "unavailable", text="no", code="9") for name in "abcde"]
    _, line = folder_lines(views([folder(files=held)]))

    assert line.startswith("    waits  a.csv, b.csv, c.csv and 2 more  is not looked at: Redis or the list")


def test_an_alarm_counts_the_files_that_it_is_about():
    held = [file("a.csv", "delivering", text="target ftp", code="undelivered"), file("b.csv", "unmatched")]
    [alarm] = alarm_lines(views([folder(files=held)]))

    assert alarm.startswith("folder /in: 1 file in it is not delivered yet (target ftp), since")


def test_the_next_tick_of_a_schedule_is_not_said_a_second_early():
    [line] = folder_lines(views([folder("schedule:x", until=AT - 0.04)]))

    assert "next at 2027-01-15 08:00:00 UTC" in line


@pytest.mark.parametrize(("stopped", "text"), [(True, "its process was stopped"), (False, "NO PROCESS READS IT")])
def test_a_source_with_a_process_of_its_own_is_said_to_need_that(stopped: bool, text: str):
    [found] = views(remembered=[seen("source:q", stopped=stopped)])

    assert found.text.startswith(text)
    assert "process" in str(found.advice)
    assert "watcher" not in str(found.advice)


def test_files_that_wait_for_the_login_have_the_advice_of_the_login_that_is_configured():
    held = file("a.csv", "unavailable", text="no", code="login_failed")
    said = {"watcher": "h:1:x", "seen_at": AT, "folders": [folder(files=[held])]}
    [found] = sorted_out([said], [], AT, "oauth")

    assert str(found.advice).startswith("check SFMC_CLIENT_ID, SFMC_CLIENT_SECRET")
    assert "restart every process that has another login" in str(found.advice)
    assert "SFMC_USERNAME" not in str(found.advice)


def test_files_that_wait_for_themselves_are_no_alarm():
    found = views([folder(files=[file("a.csv", "growing")])])

    assert [*alarm_lines(found)] == []
    [finding] = check_folders(found)
    assert (finding.level, finding.text) == ("ok", "1 folder watched, 1 files wait in them")


def test_a_folder_whose_watcher_is_gone_is_an_alarm_until_one_reads_it_and_a_stopped_one_is_shown():
    remembered = [seen("/gone", at=AT - 90), seen("/ended", stopped=True), seen("/moved", "old"), seen("/in")]
    found = views([folder(), folder("/moved")], remembered=remembered)

    assert [(each.folder, each.state, each.is_trouble) for each in found] == [
        ("/gone", "unseen", True),
        ("/ended", "stopped", False),
        ("/in", "watched", False),
        ("/moved", "watched", False),
    ]
    [alarm] = alarm_lines(found)
    assert alarm.startswith("folder /gone: NO WATCHER READS IT (it was read last on h), since 2027-01-15 07:58:30 UTC")
    assert "sfmc-import folders forget /gone" in alarm
    assert [(each.level, each.text.partition(":")[0]) for each in check_folders(found)] == [
        ("fail", "/gone"),
        ("ok", "/ended"),
        ("ok", "2 folders watched, 0 files wait in them"),
    ]


def test_what_a_dead_watcher_said_last_yields_to_what_another_says_now():
    dead = {"watcher": "h:1:x", "seen_at": AT - 40, "folders": [folder(files=[file("a.csv", "unavailable")])]}
    living = {"watcher": "h:2:x", "seen_at": AT - 1, "folders": [folder()]}
    [found] = sorted_out([dead, living], [], AT)
    [alone] = sorted_out([dead], [], AT)

    assert (found.watchers, found.waiting, found.is_trouble, found.text) == (("h:2:x",), 0, False, "watched")
    assert (alone.waiting, alone.text) == (1, "watched, but not heard of for 40 s")


def test_what_a_watcher_said_more_than_a_minute_ago_holds_no_more():
    [found] = views([folder()], remembered=[seen("/in", at=AT - 61)], ago=61)

    assert (found.state, found.watchers) == ("unseen", ())


NFS, OTHER, ROOT = "nfs4 server:/x / /in", "nfs4 other:/x / /in", "ext4 - / /"


def state_of(mount: str, *remembered: SeenFolder) -> str:
    found = views([folder(mount=mount)], remembered=[seen("/in", mount=mount), *remembered])
    return next(each.state for each in found if each.location == "/in")


def test_a_folder_that_was_a_mount_and_is_none_now_or_another_is_an_alarm_since_then():
    before = seen("/in", mount=NFS, at=AT - 90)
    [found] = views([folder(mount=ROOT)], remembered=[seen("/in", mount=ROOT), before])

    assert (found.state, found.is_trouble, found.since and found.since.timestamp()) == ("replaced", True, AT - 90)
    assert found.text == f"ANOTHER FILE SYSTEM than before (until then it was {NFS}, now it is {ROOT})"
    assert state_of(OTHER, before) == "replaced"


def test_a_folder_on_which_something_is_mounted_now_is_as_it_should_be():
    assert state_of(NFS, seen("/in", mount=ROOT)) == "watched"
    assert state_of(NFS, seen("/in", "elsewhere", mount=OTHER), seen("/b", mount=OTHER)) == "watched"
    assert state_of("", seen("/in", mount=NFS)) == "watched"
    assert state_of(NFS, seen("/in")) == "watched"


def test_of_very_many_folders_in_trouble_the_first_are_named():
    found = views([folder(f"/in/{number:03}", "unreadable", since=AT) for number in range(ALARMS + 3)])

    assert [*alarm_lines(found)][-1] == "3 more folders are in trouble, see below"
    assert [*check_folders(found)][-1].text == "3 more folders are in trouble"


def test_a_file_is_found_by_its_name_in_any_subfolder_with_its_folder():
    files = [file("a.csv", "growing"), file("b/a.csv", "empty"), file("c.csv", "empty")]
    [found] = with_file(views([folder(files=files), folder("/other")]), "a.csv")

    assert (found.folder, [each.name for each in found.files]) == ("/in", ["a.csv", "b/a.csv"])
    assert [*with_file([found], "nothing")] == []


def test_processes_of_one_host_are_named_behind_it_and_it_once():
    assert readers(["h:1:x", "drop/h:2:y", "h:3:z", "other"]) == ["h (1:x, 3:z)", "drop/h:2:y", "other"]


def test_a_source_is_named_as_one_and_says_when_it_was_answered_last():
    said = folder("source drop (sftp://h/in)", "unreachable", since=AT, text="no route", looked_at=AT)
    found = views([{**said, "location": "source:drop"}])

    assert next(alarm_lines(found)).startswith(
        f"source drop (sftp://h/in): DOES NOT ANSWER (no route), {SINCE}; to do: see"
    )
    [line] = folder_lines(found)
    assert line.startswith(
        f"  source  drop (sftp://h/in)  DOES NOT ANSWER (no route), {SINCE}, answered last 2027-01-15"
    )


def test_a_file_that_waits_for_the_account_says_when_it_is_tried_again():
    held = file("a.csv", "unavailable", text="no", code="9", until=AT + 30)
    found = views([folder(files=[held])])

    again = ", tried again at 08:00:30 UTC, and on without an end"
    assert any(again in line for line in alarm_lines(found))
    assert any(line.endswith(again) for line in folder_lines(found))


def test_each_reason_of_a_file_alone_says_what_helps_or_goes_on_by_itself():
    assert {*REASONS} - {*FILE_ADVICE} == {"growing", "unavailable", "delivering"}
