"""Wrong changes to what is counted and decided when workers are lost during a run, or only Redis is."""

from tests.support.mutants.mutant import Mutant

LOSSES = (
    # Runs whose answer kills the worker that reads it.
    Mutant("following", "losses > cfg.max_lost then return 'lost' end", "false then return 'lost' end"),
    Mutant("following", "losses > cfg.max_lost then return 'lost' end", "losses > 0 then return 'lost' end"),
    Mutant("following", "  if f[1] ~= 'started' then return 'over' end\n", ""),
    Mutant("following", "if held > now then return", "if held >= now then return"),
    Mutant("following", "f[3] == a.owner and 'free' or 'held' end", "'held' end"),
    Mutant("following", "f[3] == a.owner and 'free' or 'held' end", "'free' end"),
    Mutant("following", "return losses > 0 and 'suspect' or 'free' end", "return 'free' end"),
    Mutant("following", "  set(request_key(id), r, {resolving = '0'})\n  return is_suspect", "  return is_suspect"),
    Mutant("following", "return is_suspect(r) and 'suspect' or 'free'", "return 'suspect'"),
    Mutant("following", "    end_lost(id, r)\n    return 'lost'", "    return 'lost'"),
    Mutant("following", "  finish(id, r)\n  release(id, r)\nend\n\n-- Whether", "  release(id, r)\nend\n\n-- Whether"),
    Mutant("following", "  finish(id, r)\n  release(id, r)\nend\n\n-- Whether", "  finish(id, r)\nend\n\n-- Whether"),
    Mutant("following", "first and not other_suspect(first) and first or nil", "first"),
    Mutant("following", "    if id ~= one then join_suspects", "    if false then join_suspects"),
    Mutant("following", "  if one then admit_suspect(one) end\n", ""),
    Mutant("following", "#lists.free > 0 and lists.free or admit_one(lists.suspect)", "admit_one(lists.suspect)"),
    Mutant("following", "#lists.free > 0 and lists.free or admit_one(lists.suspect)", "lists.free"),
    Mutant("following", "str(now + cfg.lease), 'owner', a.owner)", "str(now), 'owner', a.owner)"),
    Mutant("following", "str(now + cfg.lease), 'owner', a.owner)", "str(now + cfg.lease))"),
    Mutant("following", "return {granted, lists.lost}", "return {granted, {}}"),
    Mutant("following", "  end_resolving(a.id, r)\n", ""),
    Mutant("following", "polls = 0, worker_losses = losses}", "polls = 0}"),
    Mutant("following", "math.min(int(r.worker_losses), 1)", "0"),
    # A worker that lives while Redis is away.
    Mutant("lease", " or (r.outlived and r.outlived == r.owner) then", " then"),
    Mutant("lease", "(r.outlived and r.outlived == r.owner)", "r.outlived"),
    Mutant("lease", ", lost_owner = r.owner or ''}", "}"),
    Mutant("upkeep", "    if r.owner == a.owner then\n", "    if r.owner then\n"),
    Mutant("upkeep", "r.lost_owner == a.owner and is_suspect(r)", "is_suspect(r)"),
    Mutant("upkeep", "r.lost_owner == a.owner and is_suspect(r)", "r.lost_owner == a.owner"),
    Mutant("upkeep", "worker_losses = int(r.worker_losses) - 1, lost_owner = ''}", "lost_owner = ''}"),
    Mutant("upkeep", "int(r.worker_losses) - 1, lost_owner = ''}", "int(r.worker_losses) - 1}"),
    Mutant("starting", "  if r.worker_losses then drop(request_key(id), r, {'worker_losses'}) end\n", ""),
    Mutant(
        "lease", "  if first and state == 'started' then redis.call('ZADD', follows_key(), str(now), first) end\n", ""
    ),
    # A second loss while one is in force.
    Mutant("upkeep", "  if not loss.at or loss.empty then\n", "  if true then\n"),
    # A ledger that is empty.
    Mutant("upkeep", "if not (before or a.has_noted) then", "if not before then"),
    Mutant("upkeep", "empty = '1'})\n  keep(loss_key(), cfg.loss_ttl)", "empty = '1'})"),
    Mutant("upkeep", "  if not loss.at or loss.empty then\n", "  if not loss.at then\n"),
    Mutant("upkeep", "    redis.call('DEL', loss_key())\n", ""),
    Mutant("upkeep", "    note_empty()\n", ""),
    Mutant("upkeep", "    note_empty()\n", "    note_loss()\n"),
    Mutant("upkeep", "  if redis.call('EXISTS', loss_key()) == 1 then return end\n", ""),
    Mutant("claim", "loss[4] and true", "nil"),
    Mutant("upkeep", "  loss.at = str(now)\n", "  loss.at = loss.at or str(now)\n"),
    Mutant("upkeep", "last and begun and begun < last and begun or last", "last"),
    Mutant("upkeep", "last and begun and begun < last and begun or last", "last and begun or last"),
    Mutant("upkeep", "uptime and uptime <= 3600 and iso", "uptime and iso"),
    Mutant("upkeep", "uptime and uptime <= 3600 and iso", "uptime and uptime < 3600 and iso"),
)
