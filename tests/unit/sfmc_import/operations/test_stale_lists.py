"""Which circuits that let no call pass say that a list of definitions may be old."""

from datetime import UTC, datetime

import pytest

from sfmc_import.operations.open_circuits import OpenCircuit
from sfmc_import.operations.stale_lists import marked
from sfmc_import.operations.views import FolderFileView, FolderView

SEEN = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("circuit", "is_marked"),
    [
        (OpenCircuit(code="9", since=5.0), True),
        (OpenCircuit(code="9", since=5.0, is_untried=True), True),
        (OpenCircuit(code="login_failed", since=5.0, is_of_login=True), True),
        (OpenCircuit(code="login_failed", since=5.0, is_of_login=True, is_untried=True), False),
        (OpenCircuit(code="9"), False),
    ],
)
def test_a_login_that_no_process_tries_any_more_makes_no_list_old(circuit: OpenCircuit, is_marked: bool) -> None:
    file = FolderFileView(
        name="a.csv", reason="unmatched", text="no definition matches", since=SEEN, advice="correct it"
    )
    folder = FolderView(folder="/in", location="/in", state="watched", text="", seen_at=SEEN, files=(file,))
    [found] = marked([folder], [circuit], "")

    assert ("the list of definitions may be old" in found.files[0].text) is is_marked
    assert (found.files[0].advice == "correct it") is not is_marked
