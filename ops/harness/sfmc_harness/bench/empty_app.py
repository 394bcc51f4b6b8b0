"""The application that push is compared with: an empty endpoint of Starlette with one round trip to Redis."""

import os

import uvicorn
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from sfmc_server.connection import TimedConnection


def main() -> None:
    """Serve on the port of the environment, as `sfmc-import serve` does."""
    redis = Redis.from_url(os.environ["BENCH_REDIS"])

    async def empty(request: Request) -> JSONResponse:
        await request.body()
        await redis.incr("bench:empty")
        return JSONResponse({})

    app = Starlette(routes=[Route("/events/drop", empty, methods=["POST"])])
    port = int(os.environ["BENCH_PORT"])
    uvicorn.run(app, port=port, http=TimedConnection, access_log=False, log_level="warning")


if __name__ == "__main__":
    main()
