"""What a start costs Redis when the ledger knows a million definitions, beside one with a thousand: rounds in turn."""

import random
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace

from redis import Redis

from sfmc_harness.bench.figures import Figure, expect
from sfmc_harness.bench.ledger import key_of, task_of, whole_life
from sfmc_harness.bench.processes import ACCOUNT_ID
from sfmc_harness.bench.rounds import request_for
from sfmc_import.ledger import LedgerSettings, RedisLedger
from sfmc_import.ledger.keys import Keys
from sfmc_import.ledger.schema import DEFINITIONS
from sfmc_local.redis_server import Valkey

FEW, MANY = 1_000, 1_000_000
_AT_ONCE = 2_000

# What the life of one request leaves is copied for the others: as many real ones would take half an hour.
_COPY = """
local from, to, tag = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
for number = from, to do
  local name = string.format('%07d', number)
  redis.call('COPY', KEYS[2], tag .. 'r:' .. string.format('%032x', number))
  redis.call('COPY', KEYS[3], tag .. 'd:' .. ARGV[4] .. ':definition-' .. name)
  redis.call('COPY', KEYS[4], tag .. 't:' .. ARGV[4] .. ':' .. number)
  redis.call('SET', tag .. 's:' .. ARGV[4] .. ':definition-' .. name .. ':' .. string.format('%032x', number), number)
  redis.call('HSET', KEYS[1], ARGV[4] .. ':definition-' .. name, 'definition-' .. name)
end
"""


@dataclass(frozen=True, slots=True)
class _Ledger:
    """A server of its own with so many definitions; `used` are the numbers of those that have started since."""

    client: "Redis"
    ledger: RedisLedger
    definitions: int
    used: set[int]

    def fill(self) -> None:
        """Let each definition have had one import of a file."""
        keys = Keys()
        whole_life(self.ledger, request_for(key_of(0), "template"), task_of(0))
        sources = (
            keys.name_of(DEFINITIONS),
            keys.request("template"),
            keys.definition(ACCOUNT_ID, key_of(0)),
            keys.task(ACCOUNT_ID, task_of(0)),
        )
        for begin in range(1, self.definitions, _AT_ONCE):
            end = min(begin + _AT_ONCE, self.definitions) - 1
            self.client.eval(_COPY, len(sources), *sources, begin, end, keys.tag, ACCOUNT_ID)
        expect("definitions", {"known": self.definitions - 1}, {"known": self.client.hlen(sources[0])})

    def cost(self, starts: int, chosen: random.Random) -> float:
        """Give the CPU seconds of the server for one of these starts, each to the end of its run."""
        free = [number for number in chosen.sample(range(1, self.definitions), starts) if number not in self.used]
        before = self._cpu()
        for number in free:
            again = replace(request_for(key_of(number), f"again-{number}"), force=True, reason="measured")
            whole_life(self.ledger, again, f"again-{number}")
        self.used.update(free)
        return (self._cpu() - before) / len(free)

    def _cpu(self) -> float:
        info = self.client.info("cpu")
        return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


def figures(few: int = FEW, many: int = MANY, rounds: int = 7, starts: int = 400) -> Iterator[Figure]:
    """Measure both in turn, on servers without persistence: the disk is not what is asked about."""
    chosen = random.Random(1)  # noqa: S311 - the same definitions in each measurement
    options = {"appendonly": "no", "save": ""}
    with Valkey(options=options) as one, Valkey(options=options) as other:
        small, large = _filled(one, few), _filled(other, many)
        small.cost(starts, chosen), large.cost(starts, chosen)
        pairs = [(small.cost(starts, chosen), large.cost(starts, chosen)) for _ in range(rounds)]
    ratio = statistics.median(above / below for below, above in pairs)
    middle = statistics.median(below for below, _ in pairs) * 1e6
    detail = f"{rounds} rounds of {starts} starts to the end of their runs; {middle:.0f} µs at {few}"
    yield Figure(f"CPU of Redis for a start at {many} definitions ÷ at {few}", ratio, 1.15, detail, 2.0)


def _filled(server: Valkey, definitions: int) -> _Ledger:
    client: Redis = Redis(unix_socket_path=str(server.socket_path))
    made = _Ledger(client, RedisLedger(client, LedgerSettings(stream_maxlen=10_000)), definitions, set())
    made.fill()
    return made
