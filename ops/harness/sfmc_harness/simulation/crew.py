"""Actors that run code of the product, each in a thread, of which one moves at a time; it pauses before each call."""

import threading
from collections.abc import Callable


class KilledError(BaseException):
    """Stands for kill -9: nothing of the product may catch it."""


class Actor:
    """One task of a worker, one submit of a source or one command of an operator; `host` is the process it runs in.

    `request` is the request that it works on. It goes on at `ready_at`, in milliseconds of the virtual clock.
    """

    def __init__(self, host: str, request: str = "") -> None:
        self.host = host
        self.request = request
        self.ready_at = 0
        self.about = ""
        self.is_killed = False
        self.has_ended = False
        self.error: BaseException | None = None


def _none(_: Actor) -> None:
    """No actor goes on."""


def _taken_lock() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


class Crew:
    """Gives the turn to one actor and takes it back when that actor ends, or pauses and none is to go on."""

    def __init__(self) -> None:
        self.current: Actor | None = None
        self._back = _taken_lock()
        self._idle: list[_Seat] = []
        self._seats: dict[Actor, _Seat] = {}
        self._choose: Callable[[Actor], Actor | None] = _none

    def begin(self, actor: Actor, body: Callable[[], None]) -> None:
        """Prepare an actor; it runs from its first turn on."""
        seat = self._idle.pop() if self._idle else _Seat(self)
        self._seats[actor] = seat
        seat.given = (actor, body)

    def turn(self, actor: Actor, choose: Callable[[Actor], Actor | None] | None = None) -> Actor:
        """Let an actor run until it pauses or ends; gives the last one that had the turn.

        Whenever one pauses `choose` says who goes on, in the thread of that one: to change threads costs most.
        """
        self._choose = choose or _none
        self._give(actor)
        self._back.acquire()
        last, self.current = self.current, None
        assert last is not None
        if last.has_ended:
            self._idle.append(self._seats.pop(last))
        return last

    def _give(self, actor: Actor) -> None:
        self.current = actor
        self._seats[actor].go.release()

    def pause(self) -> None:
        """Give the turn back; called by the actor that has it. Raises KilledError when it was killed meanwhile."""
        actor = self.current
        assert actor is not None
        if not actor.is_killed:
            following = self._choose(actor)
            if following is actor:
                return
            seat = self._seats[actor]
            if following is None:
                self._back.release()
            else:
                self._give(following)
            seat.go.acquire()
        if actor.is_killed:
            raise KilledError

    def kill(self, actor: Actor) -> None:
        """End a paused actor at the place where it stands."""
        actor.is_killed = True
        self.turn(actor)

    def give_back(self) -> None:
        """Called by a seat whose actor has ended."""
        self._back.release()

    def close(self) -> None:
        """End the threads; every actor must have ended."""
        for seat in self._idle:
            seat.given = None
            seat.go.release()
        self._idle.clear()


def _error_of(body: Callable[[], None]) -> BaseException | None:
    try:
        body()
    except BaseException as error:  # noqa: BLE001 - the simulation judges whatever ended it
        return error
    return None


class _Seat:
    """A thread that actors use one after another."""

    def __init__(self, crew: Crew) -> None:
        self.go = _taken_lock()
        self.given: tuple[Actor, Callable[[], None]] | None = None
        threading.Thread(target=self._serve, args=(crew,), daemon=True).start()

    def _serve(self, crew: Crew) -> None:
        while True:
            self.go.acquire()
            if self.given is None:
                return
            actor, body = self.given
            actor.error = KilledError() if actor.is_killed else _error_of(body)
            actor.has_ended = True
            crew.give_back()
