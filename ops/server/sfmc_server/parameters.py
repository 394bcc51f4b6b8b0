"""Refuses a query with a parameter that its route does not have: a mistyped filter would give everything."""

from collections.abc import Iterator

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from sfmc_import.operations.listing import check_word


def check_parameters(request: Request) -> None:
    """Raise InvalidError for the first parameter that is unknown, naming the nearest one, or all."""
    route = request.scope.get("route")
    if not request.query_params or not isinstance(route, APIRoute):
        return
    known = set(_names(route.dependant))
    for name in request.query_params:
        check_word("the parameter", name, known)


def _names(dependant: Dependant) -> Iterator[str]:
    yield from (each.alias for each in dependant.query_params)
    for each in dependant.dependencies:
        yield from _names(each)
