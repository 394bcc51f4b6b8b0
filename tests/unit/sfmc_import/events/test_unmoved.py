"""What a gone consumer held is taken also where the clock of Redis went back since it was delivered."""

from collections.abc import Mapping
from typing import Any

from sfmc_import.events.asking import Membership
from sfmc_import.events.unmoved import Unmoved


def held(name: bytes, idle: int = 0, consumer: bytes = b"gone") -> dict[str, Any]:
    return {"message_id": name, "consumer": consumer, "time_since_delivered": idle, "times_delivered": 1}


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_what_is_as_new_as_a_while_before_is_found_and_nothing_else():
    clock = Clock()
    unmoved = Unmoved(60, clock)
    assert unmoved.is_due()
    assert (
        unmoved.among([held(b"1-0"), held(b"2-0"), held(b"3-0", consumer=b"own"), held(b"4-0", idle=5)], b"own") == []
    )
    assert not unmoved.is_due()
    clock.now += 60
    assert unmoved.is_due()
    later = [held(b"1-0"), held(b"2-0", idle=7), held(b"3-0", consumer=b"own"), held(b"4-0", idle=65), held(b"5-0")]

    assert unmoved.among(later, b"own") == [b"1-0"]
    assert unmoved.among([held(b"1-0"), held(b"5-0")], b"own") == [b"5-0"]


def asked(member: Membership, answers: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Drive one receive, and give the commands that it sent."""
    commands, asking = list[tuple[Any, ...]](), member.receive(10, None)
    command = next(asking)
    try:
        while True:
            commands.append(command)
            command = asking.send(answers[command[0]])
    except StopIteration:
        return commands


def test_a_consumer_of_a_group_gives_such_entries_the_age_at_which_they_are_claimed():
    clock = Clock()
    member = Membership("events", "mine", claim_after=2.0, clock=clock)
    answers = {
        "XGROUP CREATE": True,
        "XINFO CONSUMERS": [],
        "XPENDING": [held(b"1-0")],
        "XAUTOCLAIM": [b"0-0", [], []],
        "XREADGROUP": [],
        "XCLAIM": [b"1-0"],
        "XRANGE": [],
        "XREVRANGE": [],
    }
    assert "XCLAIM" not in {each[0] for each in asked(member, answers)}
    assert {"XPENDING", "XCLAIM"}.isdisjoint(each[0] for each in asked(member, answers))
    clock.now += 2
    commands = asked(member, answers)

    assert [each for each in commands if each[0] == "XCLAIM"] == [
        ("XCLAIM", "events", "mine", member.consumer, 0, b"1-0", "IDLE", 2000, "JUSTID")
    ]
    assert [each[0] for each in commands].index("XCLAIM") < [each[0] for each in commands].index("XAUTOCLAIM")
