"""Posts JSON within one deadline and with a limit to the answer; redirects are not followed."""

from collections.abc import Callable, Mapping
from functools import cache
from urllib.parse import urlsplit

from sfmc_import.display import one_line
from sfmc_import.marketing_cloud.exchange import SplitPost
from sfmc_import.marketing_cloud.http import Connector, Failed, Reply, place, tls_context
from sfmc_import.notifications.sending import NotSent, Sent
from sfmc_import.proxies import Proxies
from sfmc_import.redaction import hidden

MAX_SHOWN = 200
REFUSED_FOR_GOOD = frozenset({400, 413, 415, 422})
"""The message is what is wrong. Another 4xx can be corrected there or in the settings: it is tried again."""


class Poster:
    """Posts to one address; every call has a connection of its own."""

    def __init__(self, url: str, seconds: float, verify: bool | str, proxies: Proxies) -> None:
        tls = cache(lambda: tls_context(verify))
        # Half of the time to connect, the whole of it for the answer: a proxy may do both slowly.
        self._url, self._seconds = url, seconds
        self._connector = Connector(tls, proxies, seconds / 2)

    @property
    def place(self) -> str:
        """The server, without path and query: these may be a secret."""
        return place(urlsplit(self._url))

    def post(self, body: bytes, headers: Mapping[str, str]) -> Reply | Failed:
        """Post, and give the answer or why there is none."""
        every = {"Content-Type": "application/json", "User-Agent": "sfmc-import", **headers}
        return SplitPost(self._url, every, self._connector, self._seconds / 2)(body, lambda: True)

    def send(
        self,
        body: bytes,
        headers: Mapping[str, str],
        is_final: Callable[[int], bool] = REFUSED_FOR_GOOD.__contains__,
    ) -> Sent | NotSent:
        """Post, and say what came of it."""
        reply = self.post(body, headers)
        if isinstance(reply, Failed):
            return NotSent(reply.text)
        said = _shown(reply)
        if 200 <= reply.status < 300:
            return Sent(said)
        where = " (redirects are not followed)" if 300 <= reply.status < 400 else ""
        return NotSent(f"{self.place} answered {said}{where}", is_final(reply.status), reply.retry_after)


def _shown(reply: Reply) -> str:
    text = one_line(hidden(reply.content[:4096].decode("utf-8", "replace").strip()))[:MAX_SHOWN]
    return f"HTTP {reply.status}" + (f": {text}" if text else "")
