"""What operators do, by the operations that the commands and the API carry out, over the modelled services."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast

from redis import Redis

from sfmc_harness.simulation.calls import Calls
from sfmc_harness.simulation.chance import below, unit
from sfmc_harness.simulation.clocks import SECOND
from sfmc_harness.simulation.cloud import Applied, Cloud, folded
from sfmc_harness.simulation.history import ViolationError
from sfmc_harness.simulation.invariants import Invariants
from sfmc_harness.simulation.pauses import Paused
from sfmc_harness.simulation.ports import MID
from sfmc_import.access import ReadAccess
from sfmc_import.errors import ServiceUnavailableError
from sfmc_import.ledger import RedisLedger
from sfmc_import.ledger.keys import Keys
from sfmc_import.operations import actions, resolving, resuming
from sfmc_import.operations.errors import ConflictError, NotFoundError, OperationError
from sfmc_import.policy import Policies, Policy
from sfmc_import.ports import Deps, LedgerUnavailableError, Refusal
from sfmc_import.routing import Route
from sfmc_import.runs import Run
from sfmc_import.settings import Settings

ME = "operator"
SEEN = "seen in Marketing Cloud"
NO_RUN = "999"
"""A Task.ID that no run has."""

AGAIN_SECONDS = 5.0


@dataclass(frozen=True)
class Console:
    """Stands for the settings of a command: what is read of them."""

    decided_by: Policy
    prefix: str
    account_id: str = MID
    policies: Policies = field(default_factory=Policies)
    routes: tuple[Route, ...] = ()
    redis: str = ""
    broker: str = ""
    client_id: str = "simulated"
    durability: str = "none"
    time_zone: str = "UTC"
    username: str = ""

    def policy(self, _mid: str, _customer_key: str) -> Policy:
        """See sfmc_import.settings.Settings.policy."""
        return self.decided_by


class StandIn(ReadAccess):
    """The access of a command, over Redis in steps."""

    def __init__(self, console: Console, client: Redis, ledger: RedisLedger) -> None:
        super().__init__(cast("Settings", console))
        self.__dict__ |= {"client": client, "keys": Keys(console.prefix), "_decides": ledger}

    def ledger(self) -> RedisLedger:
        """See sfmc_import.access.ReadAccess.ledger."""
        found: RedisLedger = self.__dict__["_decides"]
        return found


class Operator:
    """Somebody who pauses, resumes, cancels and resolves; who finds no Redis gives up."""

    def __init__(
        self, calls: Calls, cloud: Cloud, invariants: Invariants, access: ReadAccess, process: Callable[[], Deps]
    ) -> None:
        self._calls = calls
        self._cloud = cloud
        self._invariants = invariants
        self._pauses = invariants.pauses
        self._access = access
        self._process = process
        self._lifting: dict[str, Paused | None] = {}

    def cancel(self, request: str) -> None:
        """An operator says that a request is not to be started."""
        self._try(lambda: actions.cancel(self._access, request, ME, "wrong file"))

    def force(self, request: str) -> None:
        """An operator lets a request that waits start now."""
        self._try(lambda: actions.force(self._access, request, ME, "needed now"))

    def resume(self, request: str) -> None:
        """An operator has a run followed again."""
        self._try(lambda: resuming.follow_again(self._access, request))

    # --- Pauses.

    def pause(self, key: str, name: str, renamed: int, until: int) -> None:
        """An operator pauses a definition until a time, by a name from when it had been `renamed` so often."""

        def pause() -> None:
            end = datetime.fromtimestamp(until / SECOND, UTC)
            actions.pause(self._access, self._scope(name), ME, "columns change", end)
            self._pauses.confirm(key, name, self._calls.clock.now, until, renamed)

        self._pauses.begin(key, name, until)
        self._try(pause)
        self._pauses.end(key)

    def lift_pause(self, key: str, name: str, renamed: int) -> None:
        """An operator ends a pause, by any name of its definition; if that is not known, by the one it was set by."""
        is_first = key not in self._lifting
        paused = self._lifting.setdefault(key, self._pauses.certain.pop(key, None))

        def lift() -> None:
            try:
                actions.resume(self._access, self._scope(name), ME)
            except NotFoundError as error:
                if paused is None:
                    return
                is_same = is_first and renamed == self._cloud.times_renamed[key]
                if is_same and self._must_be_found(key, name, paused):
                    text = f"{key}, paused as {paused.name!r}, is not resumed as {name!r}: {error}"
                    raise ViolationError("pause not found", text) from error
                if paused.name != name:
                    actions.resume(self._access, self._scope(paused.name), ME)
            self._pauses.lifted(key)

        self._try(lift)
        self._lifting.pop(key, None)
        self._pauses.end(key)

    def _must_be_found(self, key: str, name: str, paused: Paused) -> bool:
        return folded(name) == folded(paused.name) or (paused.is_met and self._pauses.is_met(key, name))

    def _scope(self, name: str) -> str:
        return actions.scope_of(MID, self._access.reader.spelled(MID, name))

    # --- Starts that could not be proved.

    def resolve(self, request: str) -> None:
        """An operator looks at Marketing Cloud and says what became of a start, sometimes something wrong first."""
        runs = self._cloud.of_request(request)
        wrong = self._wrong(runs) if self._chance(1) < 0.5 else None
        if wrong is not None:
            self._try(partial(self._say_wrong, request, wrong))
        if not runs:
            self._try(lambda: resolving.resolve(self._access, request, None, ME, SEEN))
        elif self._chance(3) < 0.5:
            self._correct(request, runs[0])
        elif runs[0].visible_at > self._calls.clock.now or self._chance(2) < 0.2:
            self._try(lambda: resolving.resolve(self._access, request, runs[0].task_id, ME, SEEN, ask=None))
        else:
            self._try(partial(self._say_right, request, runs[0]))

    def _correct(self, request: str, run: Applied) -> None:
        """Say by mistake that nothing was started, and give the run some time later."""
        self._insist(lambda: resolving.resolve(self._access, request, None, ME, SEEN))
        self._calls.sleep(self._chance(4) * 3600)
        self._insist(lambda: resolving.resolve(self._access, request, run.task_id, ME, SEEN, ask=None))

    def _insist(self, command: Callable[[], Any]) -> None:
        while True:
            try:
                command()
            except (LedgerUnavailableError, ServiceUnavailableError):
                self._calls.sleep(AGAIN_SECONDS)
            except OperationError:
                return
            else:
                return

    def _wrong(self, runs: list[Applied]) -> str | None:
        """A run that is not the one of the request, and that can be known to be none of it."""
        keys = {run.key for run in runs}
        others = [run.task_id for run in self._cloud.applied if keys and run.key not in keys]
        found = (*others, NO_RUN)
        return found[below(len(found), self._calls.plan.seed, 9, self._calls.step)]

    def _say_wrong(self, request: str, task: str) -> None:
        try:
            self._checked(request, task)
        except ServiceUnavailableError:
            return
        except OperationError:
            return
        raise ViolationError("wrong answer", f"{request} is resolved with {task}, a run of another definition")

    def _say_right(self, request: str, run: Applied) -> None:
        try:
            self._checked(request, run.task_id)
        except ServiceUnavailableError:
            resolving.resolve(self._access, request, run.task_id, ME, SEEN, ask=None)
        except ConflictError as error:
            is_other = "is one of the definition" in str(error) and not self._invariants.is_unseen(run)
            if is_other or "existed before" in str(error):
                raise ViolationError(
                    "right answer", f"{request} is not resolved with {run.task_id}: {error}"
                ) from error

    def _checked(self, request: str, task: str) -> None:
        port = self._process().marketing_cloud

        def ask(mid: str, task_id: str) -> Mapping[str, Run] | Refusal:
            found = port.runs(mid, [task_id])
            return {each: self._spelled(run) for each, run in found.items()} if isinstance(found, Mapping) else found

        resolving.resolve(self._access, request, task, ME, None, ask=ask, ask_definition=port.definition)

    def _spelled(self, run: Run) -> Run:
        """A row may spell the key otherwise, or show one that the definition had when the run began."""
        key = run.customer_key
        names = (key, key.upper(), f"{key} ", *self._cloud.former(self._cloud.first_key(key)))
        return replace(run, customer_key=names[below(len(names), self._calls.plan.seed, 10, self._calls.step)])

    def _chance(self, place: int) -> float:
        return unit(self._calls.plan.seed, 11, place, self._calls.step)

    @staticmethod
    def _try(command: Callable[[], Any]) -> None:
        try:
            command()
        except (LedgerUnavailableError, ServiceUnavailableError, OperationError):
            return
