"""Says which addresses `doctor` warns about: a login goes there without encryption."""

from urllib.parse import urlsplit

# Hosts that a plain http address may have: this machine, and names without a dot (a Compose network).
LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


def is_plain_http(address: str) -> bool:
    """Tell whether a login would be sent without encryption to another machine."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    return parts.scheme == "http" and host not in LOCAL and "." in host
