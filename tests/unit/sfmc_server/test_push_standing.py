"""A push source says how it stands, as those with a process of their own do: last POST, what fails, since when."""

from typing import Any

from redis import Redis

from sfmc_import.ledger.keys import Keys
from sfmc_producers.push.inbox import Inbox
from sfmc_producers.sources.standing import describe_all
from sfmc_server.authentication import Received, Verifier
from tests.support import posts
from tests.support.push_servers import Push, pushing


def said(push: Push) -> dict[str, Any]:
    standing = push.source.standing
    [found] = describe_all({"drop": standing}, standing.clock())
    return found


def test_before_the_first_post_it_is_ready_and_then_it_says_when_that_was() -> None:
    with pushing() as push:
        before = said(push)
        push.post(posts.cloudevent(), content_type="application/cloudevents+json")
        after = said(push)

    assert before == {
        "folder": "source drop (push, cloudevents)", "location": "push:drop", "state": "watched",
        "files": [], "more": 0,
    }  # fmt: skip
    assert (after["state"], after["looked"]) == ("watched", 0.0)


def test_it_takes_nothing_since_the_first_post_that_was_sent_away_until_one_is_taken() -> None:
    with pushing() as push:
        push.client.ledger_is_down = True
        answer = push.post(posts.cloudevent(), content_type="application/cloudevents+json")
        away = said(push)
        push.client.ledger_is_down = False
        for _ in range(100):
            if push.post(posts.cloudevent(), content_type="application/cloudevents+json").status_code == 200:
                break

    assert (answer.status_code, away["state"], "age" in away, "again" in away) == (503, "not_taken", True, True)
    assert said(push)["state"] == "watched"


def test_a_post_that_was_sent_away_and_never_came_again_is_no_trouble_for_ever() -> None:
    with pushing() as push:
        push.client.ledger_is_down = True
        push.post(posts.cloudevent(), content_type="application/cloudevents+json")
        push.source.forget_not_taken()
        still = said(push)["state"]
        push.source.forget_not_taken(after=0.0)

    assert (still, said(push)["state"]) == ("not_taken", "watched")


def test_a_file_that_waits_for_newer_definitions_is_posted_again_and_is_no_trouble() -> None:
    with pushing(clock=lambda: 0.0) as push:
        push.client.list_age = 0.5
        answer = push.post(posts.cloudevent("a.txt"), content_type="application/cloudevents+json")
        state = said(push)["state"]

    assert (answer.status_code, state) == (503, "watched")


def test_a_file_that_waits_for_newer_definitions_of_the_unit_that_its_event_names_is_no_trouble() -> None:
    event = posts.cloudevent("a.txt")
    event["data"]["mid"] = "510009999"
    with pushing(clock=lambda: 0.0) as push:
        push.client.list_age = 0.5
        answer = push.post(event, content_type="application/cloudevents+json")
        state = said(push)["state"]

    assert (answer.status_code, state) == (503, "watched")


class NoSender(Verifier):
    """Knows no sender."""

    def accepts(self, received: Received) -> bool:
        del received
        return False


def test_posts_of_others_are_counted_and_are_no_trouble() -> None:
    with pushing(NoSender()) as push:
        push.post(posts.cloudevent(), content_type="application/cloudevents+json")

    assert said(push)["state"] == "watched"
    assert said(push)["text"].startswith("refused POSTs: 1, the last at 20")


class Unread(Inbox):
    """Has an event that no producer takes up."""

    seconds: float | None = 100.0

    def __init__(self) -> None:
        super().__init__(Redis(), Keys("sfmc-import:events"), "drop")

    def unread_seconds(self) -> float | None:
        return self.seconds


def test_events_that_no_producer_takes_up_are_said_since_the_oldest_came() -> None:
    inbox = Unread()
    with pushing(inbox=inbox) as push:
        push.source.say_unread()
        waits = said(push)
        inbox.seconds = None
        push.source.say_unread()

    assert (waits["state"], waits["age"] >= 100.0) == ("not_read", True)
    assert said(push)["state"] == "watched"
