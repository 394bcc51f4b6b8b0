"""Addresses of the console."""

from urllib.parse import quote


def local_path(given: str | None) -> str:
    """Give where to go after the login; an address of another host becomes the first page."""
    is_local = given is not None and given.startswith("/") and given[1:2] not in {"/", "\\"}
    return given if given is not None and is_local and given.isprintable() and given.isascii() else "/"


def request_path(request_id: str, action: str = "") -> str:
    """Give the address of a request, or of an action on it.

    An id may have slashes and dots, so it is no part of a path.
    """
    return f"/request{f'/{action}' if action else ''}?id={quote(request_id, safe='')}"
