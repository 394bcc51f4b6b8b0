"""Gets keys and certificates over https, within one deadline and one size, without redirects."""

import ssl
from collections.abc import Callable
from functools import cache
from urllib.parse import urlsplit

from sfmc_import.marketing_cloud.exchange import Call
from sfmc_import.marketing_cloud.http import Connector, Deadline, Failed, NotConnectedError, place, tls_context
from sfmc_import.proxies import Proxies

SECONDS = 5.0
MAX_BYTES = 65_536

Fetch = Callable[[str], bytes]
"""Gets what is at an https address; raises FetchError."""


class FetchError(Exception):
    """Nothing usable came; the text says why."""


class HttpsFetcher:
    """Implements Fetch; each call has a connection of its own. `verify` is as in MarketingCloudConfig."""

    def __init__(self, verify: bool | str, proxies: Proxies, seconds: float = SECONDS) -> None:
        tls: Callable[[], ssl.SSLContext] = cache(lambda: tls_context(verify))
        self._connector = Connector(tls, proxies, seconds)
        self._seconds = seconds

    def __call__(self, url: str) -> bytes:
        """Get it."""
        address = urlsplit(url)
        if address.scheme != "https" or not url.isascii() or not url.isprintable() or " " in url:
            raise FetchError("the address is not https")
        target = (address.path or "/") + (f"?{address.query}" if address.query else "")
        head = (
            f"GET {target} HTTP/1.1\r\nHost: {address.netloc}\r\nAccept-Encoding: identity\r\nConnection: close\r\n\r\n"
        )
        deadline = Deadline(self._seconds)
        try:
            connection = self._connector.connect(address, deadline)
        except NotConnectedError as error:
            raise FetchError(error.failed.text) from None
        with connection:
            call = Call(place(address), deadline, MAX_BYTES)
            sent = call.send(connection, head.encode(), is_last=True)
            reply = sent if isinstance(sent, Failed) else call.read(connection).reply
        if isinstance(reply, Failed):
            raise FetchError(reply.text)
        if reply.status != 200:
            raise FetchError(f"{place(address)} answered otherwise than 200")
        return reply.content
