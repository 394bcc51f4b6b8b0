"""Wrong changes to a window that lasts as long as MaxImportFrequency asks now."""

from tests.support.mutants.mutant import Mutant

RENEWED = "  if int(d.window_from) == 0 or read_at < int(d.window_read) then return end\n"

WINDOWS = (
    Mutant("lease", RENEWED, "  if read_at < int(d.window_read) then return end\n"),
    Mutant("lease", RENEWED, "  if int(d.window_from) == 0 then return end\n"),
    Mutant("lease", RENEWED, RENEWED.replace("read_at <", "read_at <=")),
    Mutant("lease", "{window = window, window_read = str(read_at)}", "{window = window}"),
    Mutant("lease", "window_read = str(read_at)})\n  keep_definition(r, d)\n", "window_read = str(read_at)})\n"),
    Mutant("lease", "  keep_definition(r, d)\n  wake_first_follow_up(r, d)\n", "  keep_definition(r, d)\n"),
    Mutant("lease", "window_from = str(now),", "window_from = d.window_from or str(now),"),
    Mutant("lease", "    window_read = str(now)}\n", "    window_read = '0'}\n"),
    Mutant("lease", "values.previous_from = d.window_from or '0'", "values.previous_from = '0'"),
    Mutant("lease", "{window = str(closed), window_from = '0', window_read = str(now)}", "{window = str(closed)}"),
    Mutant("lease", "or '',\n      window_from = d.previous_from or '0'})\n", "or ''})\n"),
    Mutant("starting", "if r.force or r.unproved then return false end", "if r.unproved then return false end"),
    Mutant("starting", "if r.force or r.unproved then return false end", "if r.force then return false end"),
    Mutant("starting", "  renew_window(r, d, a.window, now)\n", ""),
    Mutant(
        "starting", "{retry_until = str(int(r.retry_until) + int(d.window) - now)}", "{retry_until = r.retry_until}"
    ),
    Mutant("claim", "now - int(a.ago)) end", "now) end"),
    Mutant("claim", "  if present(policy.frequency) then renew_window", "  if false then renew_window"),
    # When runs are polled.
    Mutant("lib", "return at + (-at) % cfg.poll_step", "return at"),
    Mutant("lib", "return at + (-at) % cfg.poll_step", "return at - at % cfg.poll_step"),
    Mutant("following", "due_at(a.id, r, poll_at(a.delay))", "due_at(a.id, r, now + a.delay)"),
    Mutant("starting", "due_at(id, r, poll_at(a.delay))", "due_at(id, r, now + a.delay)"),
    # Since when a request waits: attempts between do not count.
    Mutant("lib", "if before == reason or (", "if ("),
    Mutant("lib", "or (FAILING[before] and FAILING[reason]) then", "then"),
    Mutant("lib", "or (FAILING[before] and FAILING[reason]) then", "or FAILING[reason] then"),
    Mutant("lib", "or (FAILING[before] and FAILING[reason]) then", "or FAILING[before] then"),
    Mutant("lib", "r.wait == '' or r.wait == 'queued'\n", "r.wait == ''\n"),
    Mutant("lib", "return r.waited or '', r.waited_since end", "return r.waited or '', r.wait_since end"),
    # Since when a request fails with a code.
    Mutant("lib", "if not r.error or NO_FAILURE[wait_before(r)] then", "if not r.error then"),
    Mutant("lib", "before and not OF_A_LIMIT[before.code] and before or nil", "before"),
    Mutant("lib", " or (code == 'quota' and failing_before(r)) then", " then"),
    Mutant("lib", "(code == 'quota' and failing_before(r)) then", "code == 'quota' then"),
    Mutant("lib", "if before and before.code == code then", "if before then"),
    Mutant("lib", "if before and before.code == code then", "if false then"),
    Mutant("lib", "before.since or before.at, before.first_code, before.first_at\n", "before.since\n"),
    Mutant("lib", "= before.first_code or before.code, before.first_at or", "= before.code, before.first_at or"),
    Mutant("lib", "before.first_at or before.since or before.at", "before.since or before.at"),
    Mutant("lib", "said.first_code, said.first_at = held.first_code, held.first_at", ""),
    Mutant("lib", "  elseif OF_A_LIMIT[code] then", "  else"),
    Mutant("lib", "(reason == '' or reason == 'queued') then", "reason == '' then"),
)
