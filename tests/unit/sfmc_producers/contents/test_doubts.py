"""A login is asked about at first and after a doubt, and not all the time; what is refused stops the source."""

import pytest

from sfmc_producers.contents.doubts import AGAIN_SECONDS, Doubts
from sfmc_producers.sources.receiving import SourceRefusedError, SourceUnavailableError


class Store:
    """Counts questions; `says` is raised. `now` is its clock."""

    def __init__(self) -> None:
        self.says: Exception | None = None
        self.asked, self.now = 0, 1000.0

    def ask(self) -> None:
        self.asked += 1
        if self.says is not None:
            raise self.says


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def doubts(store: Store) -> Doubts:
    return Doubts(store.ask, lambda: store.now)


def test_a_login_that_is_right_is_asked_about_once(store: Store, doubts: Doubts) -> None:
    for _ in range(3):
        doubts.require()
        store.now += 10 * AGAIN_SECONDS
    assert store.asked == 1


def test_files_that_cannot_be_opened_lead_to_one_question_each_half_a_minute(store: Store, doubts: Doubts) -> None:
    for _ in range(100):
        doubts.raise_doubt()
        doubts.require()
        store.now += AGAIN_SECONDS / 10
    assert 9 <= store.asked <= 11


def test_a_refused_login_is_raised(store: Store, doubts: Doubts) -> None:
    store.says = SourceRefusedError("bucket drop: AccessDenied", "check it")
    with pytest.raises(SourceRefusedError, match="AccessDenied"):
        doubts.require()


def test_a_store_that_does_not_answer_stops_nothing_and_is_asked_again(store: Store, doubts: Doubts) -> None:
    store.says = SourceUnavailableError("bucket drop: no answer")
    doubts.require()
    doubts.require()
    assert store.asked == 1
    store.now += AGAIN_SECONDS
    store.says = SourceRefusedError("bucket drop: AccessDenied", "check it")
    with pytest.raises(SourceRefusedError):
        doubts.require()
