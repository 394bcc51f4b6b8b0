"""What a watcher says of its folders is what the HTTP API takes."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sfmc_producers import watch
from sfmc_server.given import FoldersGiven

LONG = "\N{SNOWMAN}" * 255


def described(**more: Any) -> list[dict[str, object]]:
    files = [
        SimpleNamespace(name=LONG, reason="growing", since=1.0, size=2**40, text="x" * 5000, code="9", again_at=7.5),
        SimpleNamespace(name="b\\xff.csv", reason="unreadable", since=99, size=None, text="", code="", again_at=None),
    ]
    after = SimpleNamespace(to=Path("/done/" + LONG))
    folder = SimpleNamespace(path=Path("/in"), location="/in", after=after)
    given = {"folder": folder, "outage": None, "stuck": None, "waiting_now": files, "mount": ""} | more
    step = given.pop("step", None)
    hanging: Any = SimpleNamespace(scanners=[SimpleNamespace(**given)], step=lambda _: step)
    return watch.describe(hanging, 100.0)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"waiting_now": []},
        {"mount": "nfs4 server:/x / /in"},
        {"outage": SimpleNamespace(since=5, text="Permission denied")},
        {"stuck": SimpleNamespace(since=5, text="No space left on device", is_full=True)},
        {"step": SimpleNamespace(since=7.5, path="/in/" + LONG)},
    ],
)
def test_whatever_a_watcher_says_of_a_folder_is_taken_as_it_is(more: dict[str, Any]) -> None:
    said = described(**more)
    given = FoldersGiven.model_validate({"folders": said})

    assert given.model_dump(exclude_unset=True) == {"folders": said}
