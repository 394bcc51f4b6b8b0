"""Which circuits that let no call pass say that a list of definitions may be old."""

from datetime import UTC, datetime

import pytest

from sfmc_import.operations.open_circuits import OpenCircuit
from sfmc_import.operations.stale_lists import marked
from sfmc_import.operations.views import FolderFileView, FolderView

SEEN = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("circuit", "is_marked", "reader"),
    [
        (OpenCircuit(code="9", since=5.0), True, ""),
        (OpenCircuit(code="9", since=5.0, is_untried=True), True, "ab12"),
        (OpenCircuit(code="login_failed", since=5.0, is_of_login=True), True, "ab12"),
        (OpenCircuit(code="login_failed", since=5.0, is_of_login=True, login="ab12"), True, "ab12"),
        (OpenCircuit(code="login_failed", since=5.0, is_of_login=True, login="ab12"), True, ""),
        (OpenCircuit(code="login_failed", since=5.0, is_of_login=True, login="ab12"), False, "cd34"),
        (OpenCircuit(code="login_failed", since=5.0, is_of_login=True, is_untried=True), False, ""),
        (OpenCircuit(code="9"), False, ""),
    ],
)
def test_a_login_that_its_watcher_does_not_have_or_that_none_tries_makes_no_list_old(
    circuit: OpenCircuit, is_marked: bool, reader: str
) -> None:
    file = FolderFileView(
        name="a.csv", reason="unmatched", text="no definition matches", since=SEEN, advice="correct it"
    )
    about = {"folder": "/in", "location": "/in", "state": "watched", "text": "", "seen_at": SEEN}
    folder = FolderView(**about, files=(file,), watchers=("w1",))
    [found] = marked([folder], [circuit], "", {"w1": reader, "w2": "ab12"})

    assert ("the list of definitions may be old" in found.files[0].text) is is_marked
    assert (found.files[0].advice == "correct it") is not is_marked
