"""The pages that change something: each says first what will happen, and is carried out by a form of this login."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid4, uuid5

from sfmc_import.client import Submission
from sfmc_import.errors import ServiceUnavailableError
from sfmc_import.operations import actions, knowing, listing, pausing, requests, resolving, resuming
from sfmc_import.operations.errors import ConflictError, InvalidError, NotFoundError, OperationError
from sfmc_import.operations.views import RequestView, time_of
from sfmc_import.request import BadRequestError
from sfmc_import.settings.values import MAX_SECONDS, read_duration
from sfmc_server.console import mistakes
from sfmc_server.console.advising import LABELS
from sfmc_server.console.asking import Ask, Moved, Shown
from sfmc_server.console.mistakes import Wrong
from sfmc_server.console.paths import request_path


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What can be done with a request."""

    label: str
    needs_reason: bool
    effects: Callable[[RequestView], list[str]]
    run: Callable[[Ask, RequestView], Moved]


# --- What will happen, in sentences.


def _of_cancel(view: RequestView) -> list[str]:
    del view
    return [
        "The request ends as cancelled. Nothing is sent to Marketing Cloud.",
        "Its file counts as handled: it starts nothing more, unless somebody replays this request.",
        "If a worker is sending the start at this moment, nothing is cancelled, and the page says so.",
    ]


def _of_force(view: RequestView) -> list[str]:
    reason = view.waiting.reason if view.waiting else ""
    until = view.waiting.until if view.waiting and reason == "window" else None
    opens = f" (it opens {until:%Y-%m-%d %H:%M:%S} UTC)" if until else ""
    paused = ["It is paused: it goes on waiting until the pause ends, also when it is forced."]
    return [
        *(paused if view.waiting and (reason == "paused" or view.waiting.pause) else []),
        f"The request does not wait for the window{opens}: it starts as soon as its definition is free.",
        "Nor does it wait for the definitions that its order names (after).",
        "MaxImportFrequency of the definition is passed over once. One run at a time still holds, and so do pauses.",
    ]


def _of_replay(view: RequestView) -> list[str]:
    said = ["A new request for the same file is recorded; it names this one, and this one stays as it is."]
    if view.settled_by is not None:
        since = f"Request {view.settled_by} has imported a file of this name since: this one is settled."
        return [since, *said, "What lies there under this name is imported once more, inside the window too (force)."]
    if view.settled_operator is not None:
        since = f"{view.settled_operator} has said that this one is dealt with."
        return [since, *said, "Its file is imported all the same, inside the window too (force)."]
    if view.newer_import is not None:
        since = f"Request {view.newer_import} has imported a newer file of this name since."
        now = "What lies there under this name now is imported, not the file of this request; also inside the window."
        return [since, *said, now]
    if view.is_replayed:
        since = f"It was replayed as request {view.replayed_by}, which is {view.replay_state}."
        return [since, *said, "So its file may be imported twice, inside the window too (force)."]
    if _needs_force(view):
        return [*said, "The file is imported again although it was imported, inside the window too (force)."]
    return [*said, "It waits like any other: for a pause, the window, and other requests of the definition."]


def _of_resolve(view: RequestView) -> list[str]:
    again = f"It was replayed as request {view.replayed_by}: another run may import its file twice."
    return [
        *([again] if view.replayed_by else []),
        "With a Task.ID: Marketing Cloud is asked first; then it counts as the run of this request and is followed.",
        "Without one: nothing was started. The window and the file are free, and the request can be replayed.",
        "If it was started after all, a replay imports the file twice.",
    ]


def _of_settle(view: RequestView) -> list[str]:
    return [
        f"The request stays {view.state.replace('_', ' ')}, and leaves the lists of what a person must look at.",
        "Nothing is started or cancelled. Who said so and why stands on its page and in its events.",
    ]


def _of_follow(view: RequestView) -> list[str]:
    return [f"The workers ask Marketing Cloud for the result of run {view.task_id} again, until a new deadline."]


# --- Doing it.


def _cancel(ask: Ask, view: RequestView) -> Moved:
    actions.cancel(ask.access, view.request_id, ask.user.name, ask.written("reason"))
    return Moved(request_path(view.request_id), "cancelled")


def _force(ask: Ask, view: RequestView) -> Moved:
    actions.force(ask.access, view.request_id, ask.user.name, ask.written("reason") or "")
    return Moved(request_path(view.request_id), "forced")


def _replay(ask: Ask, view: RequestView) -> Moved:
    done = actions.replay(
        ask.access, view.request_id, ask.user.name, ask.written("reason"), force=_needs_force(view), new_id=once(ask)
    )
    return Moved(request_path(done.new_request_id or view.request_id), "replayed")


def _resolve(ask: Ask, view: RequestView) -> Moved:
    task = ask.written("task_id")
    if (task is None) != (ask.written("what") == "not_started"):
        text = "say either which run it was, or that nothing was started"
        raise InvalidError(text, "choose one of the two", field="task_id")
    check = None if ask.written("unchecked") else resolving.ask_marketing_cloud
    by, reason, force = ask.user.name, ask.written("reason"), bool(ask.written("force"))
    resolving.resolve(ask.access, view.request_id, task, by, reason, force=force, ask=check)
    return Moved(request_path(view.request_id), "resolved")


def _settle(ask: Ask, view: RequestView) -> Moved:
    actions.settle(ask.access, view.request_id, ask.user.name, ask.written("reason") or "")
    return Moved(request_path(view.request_id), "settled")


def _follow(ask: Ask, view: RequestView) -> Moved:
    resuming.follow_again(ask.access, view.request_id)
    return Moved(request_path(view.request_id), "followed")


def _needs_force(view: RequestView) -> bool:
    return "replay --force" in view.next


ACTIONS: Mapping[str, Action] = {
    "cancel": Action(label=LABELS["cancel"], needs_reason=False, effects=_of_cancel, run=_cancel),
    "force": Action(label=LABELS["force"], needs_reason=True, effects=_of_force, run=_force),
    "replay": Action(label=LABELS["replay"], needs_reason=False, effects=_of_replay, run=_replay),
    "resolve": Action(label=LABELS["resolve"], needs_reason=False, effects=_of_resolve, run=_resolve),
    "settle": Action(label=LABELS["settle"], needs_reason=True, effects=_of_settle, run=_settle),
    "follow": Action(label=LABELS["follow"], needs_reason=False, effects=_of_follow, run=_follow),
}


def offered(view: RequestView) -> list[tuple[str, str]]:
    """Give name and label of each action that would help a request."""
    names = dict.fromkeys(each.partition(" ")[0] for each in view.next)
    return [(name, LABELS[name]) for name in names if name in LABELS]


def confirm(ask: Ask) -> Shown:
    """Show what an action on a request will do, with the form that does it."""
    ask.check_operator()
    is_start = ask.path["action"] == START
    if not is_start:
        _action(ask)
    view = requests.show(ask.access, ask.given("id") or "")
    _check_fits(ask, view)
    return _start_again(view) if is_start else _asked(ask, view)


def _asked(ask: Ask, view: RequestView, wrong: Wrong | None = None, status: int = 200) -> Shown:
    """Give the form, also again with what was written in it and what is wrong with that."""
    action = _action(ask)
    needs_reason = action.needs_reason or (ask.path["action"] == "replay" and _needs_force(view))
    values = {"view": view, "name": ask.path["action"], "action": action, "effects": action.effects(view)}
    values |= {"needs_reason": needs_reason, "seen": seen(view), "once": ask.form.get("once") or uuid4().hex}
    given = {name: ask.written(name) or "" for name in ("what", "task_id", "unchecked", "force", "reason")}
    return Shown("confirm.html", values | {"given": given, "wrong": wrong or {}, "is_still": bool(wrong)}, status)


def act(ask: Ask) -> Shown | Moved:
    """Do it, unless the request has moved on since the form was shown; what is not valid is asked for again."""
    ask.check_operator()
    action, view = _action(ask), requests.show(ask.access, ask.given("id") or "")
    if not _is_done(ask, view):
        _check_seen(ask, view)
    try:
        return action.run(ask, view)
    except OperationError as error:
        if not error.field:
            raise
        return _asked(ask, view, mistakes.of_error(error), mistakes.status_of(error))
    except ServiceUnavailableError as error:
        # Nothing was done: Marketing Cloud is asked before.
        if error.advice is not resolving.UNCHECKED:
            raise
        return _asked(ask, view, mistakes.of_error(error, "unchecked"), mistakes.status_of(error))


def _is_done(ask: Ask, view: RequestView) -> bool:
    """Tell whether this form has replayed the request already, and comes once more."""
    made = ask.access.reader.request(once(ask)) if ask.path["action"] == "replay" else None
    return made is not None and made.get("replays") == view.request_id


def _check_seen(ask: Ask, view: RequestView) -> None:
    if ask.form.get("seen") != seen(view):
        now = f"was replayed as request {view.replayed_by}" if view.is_replayed else f"is {view.state} now"
        text = f"request {view.request_id} has moved on: it {now}, and nothing was done"
        raise ConflictError(text, "look at it again", view.state)
    _check_fits(ask, view)


def _action(ask: Ask) -> Action:
    action = ACTIONS.get(ask.path["action"])
    if action is None:
        raise NotFoundError("there is no such action")
    return action


def _check_fits(ask: Ask, view: RequestView) -> None:
    if ask.path["action"] not in dict(offered(view)):
        text = f"request {view.request_id} is {view.state}: {ask.path['action']} does not fit"
        raise ConflictError(text, "look at it again", view.state)


def seen(view: RequestView) -> str:
    """Give what of a request a person saw when a form was shown, and that nothing had come of it since its end."""
    forced = " force" if _needs_force(view) else ""
    return f"{view.state} {view.since.timestamp() if view.since else 0:.3f}{forced}"


def once(ask: Ask) -> str:
    """Give the id of what a form makes: the same form sent again makes nothing new."""
    return str(uuid5(NAMESPACE_URL, f"urn:sfmc-import:console:{ask.csrf}:{ask.form.get('once', '')}"))


# --- Start.


START = "start"
"""The action that makes another request: it has the form of the page that starts one."""

_START = ("customer_key", "mid", "location", "name", "version", "reason")


def start_form(ask: Ask) -> Shown:
    """Ask what is to be started."""
    ask.check_operator()
    given = {name: ask.given(name) or "" for name in _START}
    return _start_asked({**given, "mid": given["mid"] or ask.access.mid(None) or ""}, {})


def _start_again(view: RequestView) -> Shown:
    """Ask the same with what a request had that was refused: what is wrong in it is to be corrected."""
    file = {} if view.file is None else view.file.model_dump(include={"location", "name", "version"}, exclude_none=True)
    given = {name: file.get(name, "") for name in _START} | {"customer_key": view.customer_key, "mid": view.mid}
    return _start_asked(given, {}, view)


def _start_asked(given: Mapping[str, str], wrong: Wrong, of: RequestView | None = None) -> Shown:
    values = {"given": given, "wrong": wrong, "is_still": bool(wrong), "of": of}
    return Shown("start.html", values, 422 if wrong else 200)


def start(ask: Ask) -> Shown | Moved:
    """Say what will happen, and with the second form submit the request; what is not valid is asked for again."""
    ask.check_operator()
    given = {name: ask.written(name) or "" for name in _START}
    if not given["name"] and (given["location"] or given["version"]):
        return _start_asked(given, {"name": "a folder or a version needs the name of the file"})
    wanted = _submission(ask, given)
    try:
        if ask.form.get("confirmed"):
            wanted["request_id"] = once(ask)
            done = ask.client.submit(**wanted)
            return Moved(request_path(done.request_id), "submitted")
        ask.client.state_of(wanted)
    except BadRequestError as error:
        return _start_asked(given, mistakes.of_start(error.problems))
    return Shown("start_confirm.html", {"given": given, "known": _known(ask, given), "once": uuid4().hex})


def _submission(ask: Ask, given: Mapping[str, str]) -> Submission:
    file = {name: given[name] for name in ("location", "name", "version") if given[name]} if given["name"] else None
    return {
        "customer_key": given["customer_key"] or None,
        "mid": given["mid"] or None,
        "file": file,
        "source": f"console: {ask.user.name}",
        "reason": given["reason"] or None,
    }


def _known(ask: Ask, given: Mapping[str, str]) -> listing.DefinitionView | None:
    try:
        return listing.definition(ask.access, given["mid"], given["customer_key"])
    except NotFoundError:
        return None


# --- Pauses.


def pauses(ask: Ask) -> Shown:
    """Show what is paused."""
    return Shown("pauses.html", {"found": actions.pauses(ask.access), "now": time_of(ask.access.reader.now())})


def pause_form(ask: Ask) -> Shown:
    """Say what a pause does, and ask for its reason."""
    ask.check_operator()
    return _pause_asked(ask, ask.query, {})


def _pause_asked(ask: Ask, given: Mapping[str, str], wrong: Wrong) -> Shown:
    scope = _scope(ask, given)
    current, hint = pausing.as_written(ask.access, scope)[1], knowing.hint_of_scope(ask.access, scope)
    fields = {name: given.get(name, "").strip() for name in ("mid", "customer_key", "reason", "duration")}
    values = {"current": current, "fields": fields, "hint": hint, "wrong": wrong, "is_still": bool(wrong)}
    return Shown("pause.html", values, 422 if wrong else 200)


def pause(ask: Ask) -> Shown | Moved:
    """Pause it; what is not valid is asked for again."""
    ask.check_operator()
    scope = _scope(ask, ask.form)
    try:
        done = actions.pause(ask.access, scope, ask.user.name, ask.written("reason") or "", _end(ask))
    except InvalidError as error:
        field = "duration" if error.field == "until" else error.field
        return _pause_asked(ask, ask.form, mistakes.of_error(error, field))
    return Moved("/pauses", "paused_unknown" if done.hint else "paused")


def _end(ask: Ask) -> Any:
    duration = ask.written("duration")
    if duration is None:
        return None
    seconds = read_duration(duration)
    if not isinstance(seconds, float) or seconds > MAX_SECONDS:
        raise InvalidError(f"{duration} is no duration", "write it as 30m, 4h or 2d", field="until")
    now = time_of(ask.access.reader.now())
    assert now is not None
    return now + timedelta(seconds=seconds)


def resume(ask: Ask) -> Moved:
    """End a pause."""
    ask.check_operator()
    done = actions.resume(ask.access, _scope(ask, ask.form), ask.user.name, ask.written("reason"))
    return Moved("/pauses", "had_ended" if done.had_ended else "resumed")


def _scope(ask: Ask, given: Mapping[str, str]) -> str:
    mid, key = given.get("mid") or None, given.get("customer_key") or None
    if mid is not None and key is not None:
        key = ask.access.reader.spelled(mid, key)
    return actions.scope_of(mid, key)


# --- Dead letters.


def letter_form(ask: Ask) -> Shown:
    """Say what will become of a dead letter."""
    ask.check_operator()
    view = listing.dead_letter(ask.access, ask.path["letter_id"])
    return Shown("letter_confirm.html", {"view": view, "name": _letter_action(ask)})


def letter_act(ask: Ask) -> Moved:
    """Put a message back, or delete it."""
    ask.check_operator()
    if _letter_action(ask) == "replay":
        listing.replay_dead_letter(ask.access, ask.path["letter_id"], ask.user.name)
        return Moved("/dead-letters", "put_back")
    listing.delete_dead_letter(ask.access, ask.path["letter_id"], ask.user.name)
    return Moved("/dead-letters", "deleted")


def _letter_action(ask: Ask) -> str:
    name = ask.path["action"]
    if name not in {"replay", "delete"}:
        raise NotFoundError("there is no such action")
    return name
