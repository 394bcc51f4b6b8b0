"""Login with a token of the API: the browser keeps a session in a cookie that no script reads, never the token."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

import structlog
from fastapi import Request
from starlette.responses import RedirectResponse, Response

from sfmc_import.access import ReadAccess
from sfmc_import.operations import sessions, tokens
from sfmc_import.operations.lost_writes import said_of_loss
from sfmc_import.ports import LedgerUnavailableError
from sfmc_server.console.asking import WrongFormError, csrf_of, is_same
from sfmc_server.console.paths import local_path
from sfmc_server.console.rendering import render

COOKIE = "sfmc_console"
BEFORE = "sfmc_login"
"""The cookie of a browser that has not logged in: its form must have what belongs to it."""

MAX_TOKEN = 256
ROLES = frozenset({"viewer", "operator"})

log = structlog.get_logger("sfmc_server.console")


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who is logged in."""

    user: tokens.TokenView
    session: str


class Login:
    """Knows who is logged in; `is_secure` says that browsers come by https."""

    def __init__(self, access: ReadAccess, prefix: str, *, is_secure: bool) -> None:
        self._access, self._prefix, self._is_secure = access, prefix, is_secure

    def visitor(self, cookies: Mapping[str, str]) -> Visitor | None:
        """Give who this is; None without a login that counts."""
        session = cookies.get(COOKIE, "")
        if not 16 <= len(session) <= MAX_TOKEN:
            return None
        user = sessions.owner(self._access, session)
        return None if user is None or user.role not in ROLES else Visitor(user, session)

    def asked(self, request: Request) -> Response:
        """Send a browser to the login; one that follows a link from elsewhere first asks again.

        A cookie with SameSite=Strict does not come with a link of another site. The page that is given then asks for
        the same address once more, and that comes from here.
        """
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        if request.method == "GET" and request.headers.get("sec-fetch-site") == "cross-site":
            values = {"prefix": self._prefix, "path": local_path(path)}
            return _html(render("again.html", values))
        then = local_path(path) if request.method == "GET" else "/"
        return self._form(request, then, "", 401)

    def page(self, request: Request, form: Mapping[str, str] | None) -> Response:
        """Show the form, or log in with what it sent."""
        if form is None:
            return self._form(request, local_path(request.query_params.get("next")), "")
        before = request.cookies.get(BEFORE, "")
        if not before or not is_same(form.get("csrf", ""), csrf_of(before)):
            raise WrongFormError
        then = local_path(form.get("next"))
        token = form.get("token", "").strip()[:MAX_TOKEN]
        user = tokens.known(self._access, token) if token else None
        if user is None or user.role not in ROLES:
            log.info("console_login_refused", role=None if user is None else user.role)
            return self._form(request, then, "unknown" if user is None else "role", 401)
        session = sessions.begin(self._access, token)
        if session is None:
            return self._form(request, then, "unknown", 401)
        log.info("console_login", name=user.name, role=user.role)
        answer = RedirectResponse(f"{self._prefix}{then}", 303)
        self._set(answer, COOKIE, session, round(sessions.seconds()))
        self._set(answer, BEFORE, "", 0)
        return answer

    def end(self, request: Request, form: Mapping[str, str]) -> Response:
        """Log out; raises WrongFormError for a form of another site or of an older login."""
        session = request.cookies.get(COOKIE, "")
        answer = RedirectResponse(f"{self._prefix}/login", 303)
        if not session:
            # The form of another site comes without the cookie: the answer must not take it away.
            return answer
        if not is_same(form.get("csrf", ""), csrf_of(session)):
            raise WrongFormError
        sessions.end(self._access, session)
        self._set(answer, COOKIE, "", 0)
        return answer

    def _form(self, request: Request, then: str, wrong: str, status: int = 200) -> Response:
        # The same for all windows: each may be the one that is filled in.
        kept = request.cookies.get(BEFORE, "")
        before = kept if 16 <= len(kept) <= MAX_TOKEN else secrets.token_urlsafe(24)
        lost = self._lost()
        values = {"prefix": self._prefix, "next": then, "wrong": wrong, "csrf": csrf_of(before), "lost": lost}
        answer = _html(render("login.html", values), status)
        self._set(answer, BEFORE, before, 3600)
        return answer

    def _lost(self) -> str:
        """Say that tokens may be lost; without an answer of Redis the form is shown all the same."""
        try:
            return said_of_loss(self._access, "tokens and logins")
        except LedgerUnavailableError:
            return ""

    def _set(self, answer: Response, name: str, value: str, seconds: int) -> None:
        answer.set_cookie(
            name,
            value,
            max_age=seconds,
            path=f"{self._prefix}/",
            secure=self._is_secure,
            httponly=True,
            samesite="strict",
        )


def _html(text: str, status: int = 200) -> Response:
    return Response(text.encode("utf-8", "replace"), status, media_type="text/html; charset=utf-8")
