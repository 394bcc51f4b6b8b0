"""Wrong changes of what holds a replay, and of what it stands for in the lists of a person."""

from tests.support.mutants.mutant import Mutant

REPLAYS: tuple[Mutant, ...] = (
    Mutant("claim", "local waits_for_own = r.replays and not instead", "local waits_for_own = false"),
    Mutant("claim", "local waits_for_own = r.replays and not instead", "local waits_for_own = r.replays"),
    Mutant("claim", "and not (pause or waits_for_own)", "and not pause"),
    Mutant("claim", "end_as_duplicate, 'window', instead)", "end_as_duplicate, 'window')"),
    Mutant("duplicates", "{cancelled = true, import_failed = true,", "{cancelled = true,"),
    Mutant("duplicates", "{cancelled = true, import_failed = true,", "{import_failed = true,"),
    Mutant("duplicates", " and came_at(f[2], f[3]) > came_at(before[1], before[2])", ""),
    Mutant("duplicates", "f[1] and not IMPORTS_NOTHING[f[1]] and came", "f[1] and came"),
    Mutant("duplicates", "if before[1] and imports_for", "if imports_for"),
    Mutant("duplicates", "{d.holder or '', int", "{'', int"),
    Mutant("duplicates", "int(d.window) > now and d.window_by or '', first", "'', first"),
    Mutant("duplicates", "first_follow_up(r) or '', last or ''})", "'', last or ''})"),
    Mutant("duplicates", "first_follow_up(r) or '', last or ''})", "first_follow_up(r) or ''})"),
    Mutant("duplicates", "or (r.replays and not r.name) then", "then"),
    Mutant("lib", "{duplicate = true, cancelled = true, not_started = true}", "{duplicate = true, cancelled = true}"),
    Mutant("lib", "{duplicate = true, cancelled = true, not_started = true}", "{duplicate = true, not_started = true}"),
    Mutant("lib", "{duplicate = true, cancelled = true, not_started = true}", "{cancelled = true, not_started = true}"),
    Mutant("lib", "if HANDS_BACK[target] then hand_back(id, r) elseif", "if"),
    Mutant("lib", "elseif HANDS_BACK[source] then take_its_place(id, r) end", "end"),
    Mutant("lib", "  take_its_place(id, r)\n  move", "  move"),
    Mutant("lib", "other and {failures_key(), warnings_key()} or {}", "other and {failures_key()} or {}"),
    Mutant("lib", "if FAILED[f.state] or WARNED[f.state] then return other", "if FAILED[f.state] then return other"),
    Mutant("lib", "    replay, other = other, f.replays\n", "    return\n"),
    Mutant("lib", "f.replayed ~= replay or f.settled", "f.settled"),
    Mutant("lib", "f.replayed ~= replay or f.settled or f.settler then", "f.replayed ~= replay or f.settled then"),
    Mutant("lib", "f.replayed ~= replay or f.settled or f.settler then", "f.replayed ~= replay or f.settler then"),
    Mutant("lib", "by.replays == other and not HANDS_BACK[by.state]", "false"),
    Mutant("lib", "then return set(request_key(other), f, {replayed = r.held_by}) end", "then return end"),
    Mutant("lib", "other, 1000, over)", "other, 1000)"),
    Mutant("following", "stands_for(a.id, r) == id", "r.replays == id"),
)

HELD: tuple[Mutant, ...] = (
    Mutant("upkeep", "local is_held = int(r.resolving) > now and not is_mine", "local is_held = not is_mine"),
    Mutant("upkeep", "int(r.resolving) > now and not is_mine", "int(r.resolving) > now"),
    Mutant("upkeep", "local is_held = int(r.resolving) > now and not is_mine", "local is_held = false"),
    Mutant("upkeep", "not is_mine or not (r.state == 'starting' or r.state == 'reconciling')", "not is_mine"),
    Mutant("upkeep", "if not is_mine or not (r.state == 'starting' or", "if not (r.state == 'starting' or"),
    Mutant("upkeep", "in_doubt = r.sent == '1'", "in_doubt = false"),
    Mutant("upkeep", "in_doubt = r.sent == '1'", "in_doubt = true"),
    Mutant("upkeep", "late = looks and now >=", "late = now >="),
    Mutant("upkeep", "late = looks and now >= int(r.reconcile_until)", "late = looks"),
    Mutant("upkeep", "late = looks and now >= int(r.reconcile_until)", "late = false"),
)
"""Wrong changes of the answer to an owner that asks what it holds."""
