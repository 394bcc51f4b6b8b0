"""Wrong changes to what is kept of watchers, of folders, and of processes that run no more."""

from tests.support.mutants.mutant import Mutant

WATCHING = (
    Mutant("upkeep", "+ cfg.watch_ttl <= now then redis", "+ cfg.watch_ttl < now then redis"),
    Mutant("upkeep", "+ cfg.watch_ttl <= now then redis", "+ cfg.watch_ttl <= now and false then redis"),
    Mutant("upkeep", "if not present(a.text) then", "if false then"),
    Mutant("upkeep", "keep(watchers_key(), cfg.watch_ttl)", ""),
    Mutant("upkeep", "keep(folders_key(), cfg.folders_ttl)", ""),
    Mutant("upkeep", "+ cfg.folders_ttl <= now do", "+ cfg.folders_ttl < now do"),
    Mutant("upkeep", "ZCARD', key) - MOST", "ZCARD', key) - 2 * MOST"),
    Mutant(
        "upkeep", "local MOST_FOLDERS, LONGEST_FOLDER = 500, 2048", "local MOST_FOLDERS, LONGEST_FOLDER = 499, 2048"
    ),
    Mutant(
        "upkeep", "local MOST_FOLDERS, LONGEST_FOLDER = 500, 2048", "local MOST_FOLDERS, LONGEST_FOLDER = 501, 2048"
    ),
    Mutant("upkeep", "if #name <= LONGEST_FOLDER then", "if true then"),
    Mutant("upkeep", "redis.call('ZREM', folders_key(), other .. name)", ""),
    Mutant("upkeep", "'stopped ', 'watched ')", "'watched ', 'stopped ')"),
    Mutant("upkeep", "if seconds < LONG_WAIT then return end", ""),
    Mutant("upkeep", "math.min(found[field], int(since))", "found[field]"),
    Mutant("upkeep", "(watcher == a.watcher and not found[field])", "not found[field]"),
    Mutant("upkeep", "(watcher == a.watcher and not found[field])", "false"),
    Mutant("upkeep", "if int(at) + cfg.probe_ttl <= now or", "if"),
    Mutant("upkeep", "if next(found) then keep(key, cfg.probe_ttl) end", ""),
    Mutant("upkeep", "do remember_waits(a.places[i], folder) end", "do end"),
    Mutant("upkeep", "return watcher == a.watcher and int(at)", "return int(at)"),
    Mutant("upkeep", "int(at) + NOTED_EVERY > now and ", ""),
    Mutant("upkeep", " and int(since) <= begun", " and true"),
    Mutant(
        "processes", "local function note_last_seen()\n", "local function note_last_seen()\n  if true then return end\n"
    ),
    Mutant("processes", "keep(last_seen_key(), cfg.unfinished_ttl)", ""),
    Mutant("processes", "steps.absent()\n  note_last_seen()", "steps.absent()"),
)
