"""What `doctor` finds out about access tokens: whether the processes of the account share them."""

from collections.abc import Iterator

from redis.exceptions import NoPermissionError, RedisError

from sfmc_import.ledger.keys import Keys
from sfmc_import.ledger.token_keys import TOKEN
from sfmc_import.redis_client import connect
from sfmc_import.redis_rights import RoleName
from sfmc_import.redis_server import Finding
from sfmc_import.settings import Settings

ALONE = "each process asks for its own"


def check_tokens(settings: Settings, role: RoleName) -> Iterator[Finding]:
    """Say whether tokens are shared; nothing for a login that has none."""
    if not settings.client_id:
        return
    if not settings.token_key.get_secret_value():
        yield Finding("ok", "tokens", f"{ALONE} (SFMC_TOKEN_KEY is not set)")
        return
    try:
        with connect(settings.redis, retries=0) as client:
            client.get(Keys(settings.prefix).name_of(TOKEN, "doctor", "0"))
    except NoPermissionError:
        text = "this user of Redis has no right to shared tokens: a process that has it asks for its own"
        fix = "give it the keys of a worker: ops/docs/redis.md, Least rights"
        yield Finding("warn", "tokens", text, fix) if role == "worker" else Finding("ok", "tokens", text)
    except RedisError:
        yield Finding("warn", "tokens", f"Redis does not answer: {ALONE}", "see the findings above")
    else:
        yield Finding("ok", "tokens", "all processes share one for each business unit, sealed with SFMC_TOKEN_KEY")
