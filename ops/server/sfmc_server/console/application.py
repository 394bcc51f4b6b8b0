"""The console as routes of the application: which page answers where, and what becomes of errors."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import structlog
from fastapi import FastAPI, Request
from redis.exceptions import RedisError
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.responses import RedirectResponse, Response

import sfmc_transport.dead_letters as letters
from sfmc_import.access import ReadAccess
from sfmc_import.advice import Advice
from sfmc_import.client import Client
from sfmc_import.display import clause
from sfmc_import.errors import ServiceUnavailableError
from sfmc_import.ledger.calling import is_defect
from sfmc_import.operations.errors import ConflictError, InvalidError, NotFoundError, OperationError
from sfmc_import.ports import LedgerUnavailableError
from sfmc_import.request import BadRequestError
from sfmc_server.answers import RefusedError
from sfmc_server.console import acting, folders, reading
from sfmc_server.console.advising import link_of
from sfmc_server.console.asking import Ask, Moved, NotAllowedError, Shown, WrongFormError, csrf_of, is_same
from sfmc_server.console.changes import Changes
from sfmc_server.console.feed import Feed
from sfmc_server.console.forms import fields_of, read_form
from sfmc_server.console.headers import HEADERS
from sfmc_server.console.login import Login, Visitor
from sfmc_server.console.prefix import PathPrefix, checked_prefix
from sfmc_server.console.rendering import STATIC, render
from sfmc_server.outages import RECORDED, REDIS, Said, said_of_redis, unconfirmed

Page = Callable[[Ask], Shown | Moved]
log = structlog.get_logger("sfmc_server.console")

GET: Mapping[str, Page] = {
    "/": reading.overview,
    "/requests": reading.request_list,
    "/request": reading.request,
    "/request/{action}": acting.confirm,
    "/definitions": reading.definitions,
    "/definition": reading.definition,
    "/unmatched": reading.unmatched,
    "/dead-letters": reading.dead_letters,
    "/dead-letters/{letter_id}": reading.dead_letter,
    "/dead-letters/{letter_id}/{action}": acting.letter_form,
    "/pauses": acting.pauses,
    "/pause": acting.pause_form,
    "/search": reading.search,
    "/folders/forget": folders.forget_form,
    "/start": acting.start_form,
}
POST: Mapping[str, Page] = {
    "/request/{action}": acting.act,
    "/dead-letters/{letter_id}/{action}": acting.letter_act,
    "/pause": acting.pause,
    "/resume": acting.resume,
    "/start": acting.start,
    "/folders/forget": folders.forget,
}

DONE = {
    "cancelled": "The request is cancelled.",
    "forced": "The request does not wait for the window any more.",
    "replayed": "This is the new request.",
    "resolved": "The start is resolved.",
    "settled": "It is dealt with, and stands in the lists no more.",
    "followed": "The run is followed again.",
    "submitted": "The request is recorded.",
    "paused": "It is paused.",
    "paused_unknown": "It is paused. Nothing of this name is known here: look whether the name is right.",
    "resumed": "The pause has ended.",
    "had_ended": "The pause had ended by itself before; nothing was done.",
    "put_back": "The message is back in its queue.",
    "deleted": "The message is deleted.",
    "forgotten": "It is forgotten, until a process reads it again.",
}
"""What a page says after something was done; the address has the name alone, so that no link can say anything else."""

_WRONG: Mapping[type[Exception], tuple[int, str]] = {
    NotFoundError: (404, "Not found"),
    letters.DeadLetterNotFoundError: (404, "Not found"),
    ConflictError: (409, "It does not fit"),
    InvalidError: (422, "Not valid"),
    BadRequestError: (422, "Not valid"),
    OperationError: (400, "Refused"),
    NotAllowedError: (403, "Not allowed"),
    WrongFormError: (403, "The form is not valid"),
    ServiceUnavailableError: (503, "Not now"),
    LedgerUnavailableError: (503, "Redis does not answer"),
    RedisError: (503, "Redis does not answer"),
}
REDIS_AWAY = (
    "The console comes back as soon as Redis answers. Nothing was changed. Until then nothing new starts: watchers keep"
    " their files where they are, senders have to come again, and runs that have begun go on in Marketing Cloud."
    " Afterwards all goes on by itself, and nothing starts twice. To do: start Redis, or correct SFMC_REDIS_URL;"
    " doctor on the command line names the cause."
)
REDIS_REFUSES = "The console comes back as soon as Redis does its part again. Nothing was changed."
_TEXTS: Mapping[type[Exception], str] = {
    NotAllowedError: "Your role is viewer: it shows everything and changes nothing.",
    WrongFormError: "The form is not from a page of this login. Nothing was done. Open the page again.",
}
_OF_REDIS = frozenset({LedgerUnavailableError, RedisError})
_IN_DOUBT = "It may have been carried out all the same: look at that before you do it again."


class Console:
    """The pages under /, for people who log in with a token of the API."""

    def __init__(self, access: ReadAccess, client: Client, is_ending: Callable[[], bool]) -> None:
        self._access, self._client = access, client
        address = urlsplit(access.settings.public_url)
        self.prefix = checked_prefix(address.path)
        self.feed = Feed(access, is_ending)
        self._login = Login(access, self.prefix, is_secure=address.scheme == "https")
        self._changes = Changes(self.feed, self._login, is_ending)

    def add_to(self, app: FastAPI) -> None:
        """Add all pages to an application."""
        paths: dict[str, list[str]] = {}
        for method, pages in (("GET", GET), ("POST", POST)):
            for path in pages:
                paths.setdefault(path, []).append(method)
        for path, methods in paths.items():
            app.add_route(path, self._endpoint(path), methods=methods, include_in_schema=False)
        app.add_route("/login", self._handle(self._log_in), methods=["GET", "POST"], include_in_schema=False)
        app.add_route("/logout", self._handle(self._log_out), methods=["POST"], include_in_schema=False)
        app.add_route("/console/changes", self._handle(self._watch), include_in_schema=False)
        app.add_route("/console/static/{name}", self._file, include_in_schema=False)
        app.state.prefix = self.prefix
        if self.prefix:
            app.add_middleware(PathPrefix, prefix=self.prefix)

    def _endpoint(self, path: str) -> Any:
        async def answer(request: Request) -> Response:
            page = POST[path] if request.method == "POST" else GET[path]
            return await self._page(request, page)

        return self._handle(answer)

    def _handle(self, answer: Callable[[Request], Any]) -> Any:
        async def handle(request: Request) -> Response:
            try:
                made: Response = await answer(request)
            except RefusedError as error:
                made = self._problem(request, error.answer.status, "Refused", str(error.answer.body.get("detail", "")))
            except ClientDisconnect:
                made = Response(status_code=400)
            except Exception as error:  # noqa: BLE001 - the edge to the browser: each error is a page
                made = self._of_error(request, error)
            for name, value in HEADERS.items():
                made.headers.setdefault(name, value)
            return made

        return handle

    async def _page(self, request: Request, page: Page) -> Response:
        visitor = await run_in_threadpool(self._login.visitor, request.cookies)
        if visitor is None:
            return self._login.asked(request)
        self._access.outages.answered(REDIS)
        form = await read_form(request) if request.method == "POST" else {}
        if request.method == "POST" and not is_same(form.get("csrf", ""), csrf_of(visitor.session)):
            raise WrongFormError
        request.state.is_acting = request.method == "POST"
        self.feed.begin()
        since = self.feed.position
        ask = self._ask(request, visitor, form)
        return self._answer(ask, await run_in_threadpool(page, ask), since)

    def _ask(self, request: Request, visitor: Visitor, form: Mapping[str, str]) -> Ask:
        query = request.url.query
        return Ask(
            access=self._access,
            client=self._client,
            feed=self.feed,
            user=visitor.user,
            csrf=csrf_of(visitor.session),
            address=request.url.path + (f"?{query}" if query else ""),
            query=fields_of(query),
            form=form,
            path={name: str(value) for name, value in request.path_params.items()},
        )

    def _answer(self, ask: Ask, made: Shown | Moved, since: str) -> Response:
        if isinstance(made, Moved):
            done = f"{'&' if '?' in made.path else '?'}{urlencode({'done': made.done})}" if made.done else ""
            return RedirectResponse(f"{self.prefix}{made.path}{done}", 303)
        values = {"ask": ask, "prefix": self.prefix, "done": DONE.get(ask.query.get("done", "")), **made.values}
        values |= {"is_away": self.feed.is_away, "since": since}
        return _html(render(made.template, values), made.status)

    async def _log_in(self, request: Request) -> Response:
        form = await read_form(request) if request.method == "POST" else None
        return await run_in_threadpool(self._login.page, request, form)

    async def _log_out(self, request: Request) -> Response:
        form = await read_form(request)
        return await run_in_threadpool(self._login.end, request, form)

    async def _watch(self, request: Request) -> Response:
        visitor = await run_in_threadpool(self._login.visitor, request.cookies)
        if visitor is None:
            return Response(status_code=401)
        self.feed.begin()
        last = request.headers.get("last-event-id") or request.query_params.get("since")
        return self._changes.answer(visitor, last)

    async def _file(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in STATIC:
            return Response(status_code=404, headers=HEADERS)
        kind = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}[name.rpartition(".")[2]]
        kept = {**HEADERS, "Cache-Control": "public, max-age=31536000, immutable"}
        return Response(STATIC[name], headers=kept, media_type=kind)

    def _of_error(self, request: Request, error: Exception) -> Response:
        kind = next((kind for kind in _WRONG if isinstance(error, kind)), None)
        if kind is None or (isinstance(error, RedisError) and is_defect(error)):
            log.error("console_failed", path=request.url.path, exc_info=error)
            return self._problem(request, 500, "A fault of the console", "The log of the server has the details.")
        status, title = _WRONG[kind]
        is_recorded, request_id = unconfirmed(error)
        if is_recorded:
            log.warning("not_confirmed", path=request.url.path, request_id=request_id or None, reason=str(error))
            return self._problem(request, 503, "Recorded, and not confirmed", _not_confirmed(request_id))
        said = said_of_redis(error, self._access) if kind in _OF_REDIS else None
        if said is not None and not said.is_away:
            title = f"Redis {said.text}"
        return self._problem(request, status, title, _text_of(request, kind, error, said), _advice(error))

    def _problem(self, request: Request, status: int, title: str, text: str, advice: Advice | None = None) -> Response:
        # A form is not sent again by itself, and its address may have no page.
        again = status == 503 and request.method == "GET"
        values = {
            "prefix": self.prefix,
            "again": again,
            "title": title,
            "text": text,
            "link": advice and link_of(advice),
        }
        made = _html(render("problem.html", values), status)
        if status == 503:
            made.headers["Retry-After"] = "5"
        return made


def _not_confirmed(request_id: str) -> str:
    which = f" (request {request_id})" if request_id else ""
    doctor = "doctor on the command line names the cause"
    return f"Disk or replicas of Redis have not confirmed in time what was done{which}: {RECORDED}. To do: {doctor}."


def _advice(error: Exception) -> Advice | None:
    found = getattr(error, "advice", None)
    return found if isinstance(found, Advice) else None


def _text_of(request: Request, kind: type[Exception], error: Exception, of_redis: Said | None) -> str:
    advice = _advice(error)
    fix = advice.in_words() if advice else ""
    text = _TEXTS.get(kind) or (f"{clause(error)}: {fix}" if fix else str(error))
    if of_redis is not None:
        text = REDIS_AWAY if of_redis.is_away else f"{REDIS_REFUSES} To do: {of_redis.fix}."
    since = f" Since when: {of_redis.since}." if of_redis and of_redis.since else ""
    return _in_doubt(request, kind, text) + since


def _in_doubt(request: Request, kind: type[Exception], text: str) -> str:
    if _WRONG[kind][0] != 503 or not getattr(request.state, "is_acting", False):
        return text
    # The answer alone may have been lost.
    return f"{text.replace(' Nothing was changed.', '').removesuffix('.')}. {_IN_DOUBT}"


def _html(text: str, status: int = 200) -> Response:
    return Response(text.encode("utf-8", "replace"), status, media_type="text/html; charset=utf-8")


def add_to(app: FastAPI, access: ReadAccess, client: Client, is_ending: Callable[[], bool]) -> Console:
    """Add the console to an application; `is_ending` says that the server ends."""
    console = Console(access, client, is_ending)
    console.add_to(app)
    return console
