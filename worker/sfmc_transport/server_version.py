"""Which servers can deliver without loss."""

MIN_SERVER = (6, 2)
"""First Redis with BLMOVE and LMOVE."""


class ServerTooOldError(RuntimeError):
    """The server has no BLMOVE."""


def check_version(version: str) -> None:
    """Raise `ServerTooOldError` for a `redis_version` (INFO server) before 6.2; Valkey reports 7.2 there."""
    if tuple(int(part) for part in version.split(".")[:2]) < MIN_SERVER:
        raise ServerTooOldError(
            f"this Redis is version {version}: delivery without loss needs 6.2 or newer (BLMOVE); "
            "upgrade the server or choose the stock transport"
        )
