"""What a page is asked with, and what it answers: a template with values, or another address."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from sfmc_import.access import ReadAccess
from sfmc_import.client import Client
from sfmc_import.operations.tokens import TokenView
from sfmc_server.console.feed import Feed

MAX_FIELD = 4096
"""Characters of one field of a form or of the query."""


class WrongFormError(Exception):
    """A form that is not from a page of this login."""


class NotAllowedError(Exception):
    """The role does not allow it."""


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One request of a browser by somebody who is logged in."""

    access: ReadAccess
    client: Client
    feed: Feed
    user: TokenView
    csrf: str
    address: str
    query: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)
    path: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_operator(self) -> bool:
        """Whether this person may change something."""
        return self.user.role == "operator"

    def given(self, name: str) -> str | None:
        """Give a field of the query; None where it is empty."""
        return self.query.get(name, "").strip() or None

    def written(self, name: str) -> str | None:
        """Give a field of the form; None where it is empty."""
        return self.form.get(name, "").strip() or None

    def check_operator(self) -> None:
        """Raise NotAllowedError unless this person is an operator."""
        if not self.is_operator:
            raise NotAllowedError


@dataclass(frozen=True, slots=True)
class Shown:
    """A page."""

    template: str
    values: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True, slots=True)
class Moved:
    """Another page, after something was done; `done` names the sentence that it shows."""

    path: str
    done: str = ""


def csrf_of(secret: str) -> str:
    """Give what each form of a session has: who reads it does not know the session."""
    return hmac.new(secret.encode("utf-8", "replace"), b"sfmc-import console form", sha256).hexdigest()


def is_same(given: str, expected: str) -> bool:
    """Compare in the same time for any wrong value."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())
