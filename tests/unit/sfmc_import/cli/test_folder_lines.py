from sfmc_import.cli.folder_lines import watcher_lines

AT = 1_800_000_000.0


def folder(name="/in", state="watched", files=(), more=0, **fields):
    return {"folder": name, "location": name, "state": state, "files": list(files), "more": more} | fields


def file(name, reason, **fields):
    return {"name": name, "reason": reason, "since": AT} | fields


def test_each_folder_and_each_file_that_waits_has_a_line_with_reason_and_time():
    files = [file("a.csv", "growing", size=3), file("b.csv", "unmatched", text="no route names it")]
    hanging = folder("/mnt", "hanging", since=AT, text="/mnt/x")

    assert watcher_lines([{"folders": [folder(files=files, more=7), hanging]}]) == [
        "  folder  /in  watched",
        "    waits  a.csv  not complete yet, since 2027-01-15 08:00:00 UTC",
        "    waits  b.csv  no definition matches (no route names it), since 2027-01-15 08:00:00 UTC",
        "    and 7 more",
        "  folder  /mnt  HANGING: its file system does not answer (/mnt/x), since 2027-01-15 08:00:00 UTC",
    ]


def test_a_folder_that_two_watchers_see_alike_stands_there_once():
    full, hanging = folder(files=[file("a.csv", "empty")]), folder(state="hanging", since=AT)
    watchers = [{"folders": [folder()]}, {"folders": [full]}, {"folders": [hanging]}]

    assert [line.split("  ")[1:3] for line in watcher_lines(watchers)] == [
        ["folder", "/in"],
        ["folder", "/in"],
        ["", "waits"],
    ]


def test_a_reason_without_words_is_shown_as_it_is():
    lines = watcher_lines([{"folders": [folder(files=[file("a.csv", "new_reason")])]}])

    assert lines[1] == "    waits  a.csv  new_reason, since 2027-01-15 08:00:00 UTC"


def test_without_watchers_there_is_no_line():
    assert watcher_lines([]) == []
