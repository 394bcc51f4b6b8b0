"""Reads request bodies up to a limit; nothing else."""

from starlette.requests import Request

from ops.sandbox.wire.faults import BadRequestError


async def limited_body(request: Request, limit: int) -> bytes:
    """The whole body. Raises BadRequestError as soon as it is known to be longer than `limit` bytes."""
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > limit:
        raise BadRequestError
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise BadRequestError
        parts.append(part)
    return b"".join(parts)
