"""A POST is answered when disk or replicas have what came of it; until then its sender is asked to come later."""

import re
from collections.abc import Iterator

import pytest

from tests.support import posts
from tests.support.push_servers import Push, pushing

BATCH = {"content_type": "application/cloudevents-batch+json"}


@pytest.fixture
def push() -> Iterator[Push]:
    with pushing() as made:
        yield made


def test_a_post_is_not_taken_while_its_requests_are_not_confirmed_and_taken_once_when_they_are(push: Push) -> None:
    push.client.confirms_nothing = True
    refused = push.post(posts.cloudevent())
    push.client.confirms_nothing = False
    answers = [push.post(posts.cloudevent()).status_code for _ in range(100)]

    assert (refused.status_code, answers[-1]) == (503, 200)
    assert "retry-after" in refused.headers
    assert push.client.started == [("orders.csv", "orders")]


def test_why_a_post_is_not_taken_is_said_of_its_source(push: Push) -> None:
    push.client.confirms_nothing = True
    push.post(posts.cloudevent())

    said = push.source.standing.describe("drop", 0.0, 1)
    assert said is not None
    assert (said["state"], "has not confirmed in time" in str(said["text"])) == ("not_taken", True)


def test_a_post_that_cannot_be_read_is_not_taken_while_its_dead_letter_is_not_confirmed(push: Push) -> None:
    push.letters.confirms_nothing = True

    assert push.post(posts.cloudevent(data=1)).status_code == 503


def said(push: Push) -> tuple[object, str]:
    about = push.source.standing.describe("drop", 0.0, 1)
    assert about is not None
    return about["state"], str(about.get("text", ""))


def test_a_post_that_is_not_taken_names_the_one_cause_and_when_it_was_refused_last(push: Push) -> None:
    push.letters.confirms_nothing = True
    push.post(posts.cloudevent(data=1))
    state, text = said(push)

    assert state == "not_taken"
    assert re.fullmatch(r"letters are not confirmed; refused last at ..:..:.. UTC, the next POST asks anew", text)


def test_what_confirms_again_is_said_to_although_none_posts(push: Push) -> None:
    push.client.confirms_nothing = push.letters.confirms_nothing = True
    push.post([posts.cloudevent(), posts.cloudevent(data=1)], **BATCH)
    push.client.confirms_nothing = False
    for _ in range(100):
        push.source.forget_not_taken()
    still = said(push)[0]
    push.letters.confirms_nothing = False
    for _ in range(100):
        push.source.forget_not_taken()

    assert (still, said(push)[0]) == ("not_taken", "watched")


def test_the_events_of_one_post_are_confirmed_together(push: Push) -> None:
    push.post([posts.cloudevent(f"{number}.csv", id=str(number)) for number in range(20)], **BATCH)

    assert [len(each) for each in push.client.confirmed] == [20]
