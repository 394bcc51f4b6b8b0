"""ETags, and the conditions of a caller on them, as RFC 9110 writes them."""

import hashlib
import re
from typing import Annotated

from fastapi import Depends, Header

from sfmc_import.access import ReadAccess
from sfmc_import.operations import listing, pausing
from sfmc_import.operations.errors import NotFoundError, PreconditionError
from sfmc_import.operations.views import View

Condition = Annotated[str | None, Header(max_length=1024)]
_TAG = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')


def tag_of(text: str) -> str:
    """Give the ETag of what is written so."""
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def tag_of_definition(view: listing.DefinitionView) -> str:
    """Give the ETag of a definition; messages of others that move in the queue do not change it."""
    return tag_of(view.model_dump_json(exclude={"queued_unseen"}))


def is_known(tag: str, condition: str | None) -> bool:
    """Tell whether If-None-Match names a tag; a weak one is as good, and `*` names any."""
    return condition is not None and (
        condition.strip() == "*" or any(tag == each for _, each in _TAG.findall(condition))
    )


class Conditions(View):
    """What the caller of a change makes its condition."""

    if_match: str | None
    if_none_match: str | None

    def expected(self, access: ReadAccess, scope: str) -> str | None:
        """Give the pause of a scope as it must still be, None without a condition; raises PreconditionError.

        A tag is that of the pause, or that of the definition that is paused.
        """
        if self.if_match is None and self.if_none_match is None:
            return None
        text, pause = pausing.as_written(access, scope)
        if self.if_none_match is not None and pause is not None and is_known(tag_of(text), self.if_none_match):
            raise PreconditionError(f"{scope} is paused already", "look at it again")
        if self.if_match is not None and not self._matches(access, scope, None if pause is None else tag_of(text)):
            raise PreconditionError(f"the pause of {scope} has changed, or there is none", "look at it again")
        return text

    def _matches(self, access: ReadAccess, scope: str, tag: str | None) -> bool:
        condition = (self.if_match or "").strip()
        if condition == "*":
            return tag is not None
        given = {each for weak, each in _TAG.findall(condition) if not weak}
        return tag in given or (bool(given) and _tag_of_definition(access, scope) in given)


def _tag_of_definition(access: ReadAccess, scope: str) -> str | None:
    kind, _, name = scope.partition(":")
    mid, _, key = name.partition(":")
    try:
        return tag_of_definition(listing.definition(access, mid, key)) if kind == "key" else None
    except NotFoundError:
        return None


def _conditions(if_match: Condition = None, if_none_match: Condition = None) -> Conditions:
    return Conditions(if_match=if_match, if_none_match=if_none_match)


Conditional = Annotated[Conditions, Depends(_conditions)]
