"""A file with which an error of this program comes up keeps no other of its folder waiting, and is shown with why."""

import pytest

from tests.support.fake_client import FakeClient
from tests.support.watched_folder import Watched


class Breaking(FakeClient):
    """Raises an error of its own for one file, where it is submitted or reported."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = "poison.csv"

    def submit(self, *, request_id, file, priority=None, **fields):
        if file.name == self.broken:
            raise OverflowError("hunter2")
        return super().submit(request_id=request_id, file=file, priority=priority, **fields)

    def report(self, name, *, file, detail):
        if file.name == self.broken:
            raise OverflowError("hunter2")
        return super().report(name, file=file, detail=detail)


@pytest.mark.parametrize("key", ["contacts", None])
def test_the_other_files_of_the_folder_are_submitted(tmp_path, client, key):
    breaking = Breaking()
    breaking.by_mid = client.by_mid
    watched = Watched(tmp_path, breaking, **({"key": key} if key else {}))
    for name in ("contacts.csv", "poison.csv", "orders.csv"):
        watched.put(name)
    said = watched.pass_time(2, 60, 60)

    assert {each.file.name for each in breaking.requests.values()} == {"contacts.csv", "orders.csv"}
    (held,) = watched.watch.waiting
    assert (held.name, held.code) == ("poison.csv", "task_failed")
    assert held.text == "an error of this program (OverflowError); the log has more"
    assert said.count("scan_failed") == 1

    breaking.broken = ""
    watched.pass_time(60)
    assert watched.watch.waiting == () or watched.watch.waiting[0].reason == "unmatched"
