"""Wrong changes to what ends in time although the clock of Redis went back."""

from tests.support.mutants.mutant import Mutant

CLOCKS = (
    # A loss that was noted on a clock which has gone back since.
    Mutant("claim", "if now < from then", "if false then"),
    Mutant("claim", "    redis.call('HSET', key, 'from', str(now))\n", ""),
    Mutant("claim", "    if not loss[5] then keep(key, cfg.loss_ttl) end\n", ""),
    Mutant("claim", "    if not loss[5] then keep(key", "    if true then keep(key"),
    Mutant("claim", "local key = loss[5] and past_loss_key() or loss_key()", "local key = loss_key()"),
    Mutant("claim", "local key = loss[5] and past_loss_key() or loss_key()", "local key = past_loss_key()"),
    Mutant("upkeep", "  drop(loss_key(), loss, {'from'})\n", ""),
    # A pause of an open circuit, and the time of its probe.
    Mutant("quota", "c['until'] - now > c.pause then", "false then"),
    Mutant("quota", "    c['until'] = now + c.pause\n    keep_circuit", "    keep_circuit"),
    Mutant("quota", "    c['until'] = now + c.pause\n    keep_circuit(scope, c)", "    c['until'] = now + c.pause"),
    Mutant("quota", "local c = circuit_from(scope, text)", "local c = cjson.decode(text)"),
    Mutant("quota", "c.probe_until - now > a.probe_ms then", "false then"),
    Mutant(
        "quota",
        "    c.probe_until = now + a.probe_ms\n    keep_circuit(a.scope, c)",
        "    c.probe_until = now + a.probe_ms",
    ),
)
