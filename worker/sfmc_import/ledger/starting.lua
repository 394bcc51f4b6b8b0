-- What follows a lease: the intent, each outcome of an attempt, and what an operator says about an unknown start.

-- Whether the window, by MaxImportFrequency as it was read for this start, is not over. An attempt that is made again
-- because the one before it proved nothing waits for its own start alone.
local function is_in_window(r, d)
  if r.force or r.unproved then return false end
  renew_window(r, d, a.window, now)
  return int(d.window) > now
end

-- The time until the window is over does not count against the retry deadline.
local function wait_for_window(r, d)
  set(request_key(a.id), r, {retry_until = str(int(r.retry_until) + int(d.window) - now)})
  return cjson.encode({'window', 'MaxImportFrequency was raised: no start before ' .. iso(int(d.window))})
end

-- The definition has another key than was asked when the request was decided: its `after` under that key was not.
local function is_out_of_order(r)
  if r.force or r.unproved or a.key == r.key or not present(a.policy) then return false end
  return missing_run(r, a.policy)
end

-- Its places are those of the key that was asked when the request was decided. Answers why it can have none now.
local function change_places(r)
  if r.unproved or a.key == r.key or not present(a.policy) then return end
  local full, most = full_group(a.id, r, a.policy.places)
  if full then return no_room(full, most) end
  leave_other_places(a.id, r, a.policy.places)
  take_places(a.id, r, a.policy.places)
end

-- From now on the request is decided by the policy of the key that its definition has.
local function wait_under_new_key(r, code, text)
  set(request_key(a.id), r, {key = a.key, home = r.home or r.key, asked = r.asked or r.key})
  return cjson.encode({code, text})
end

-- Redis has lost writes since the claim: another worker may have taken over and started meanwhile. No clock is asked: that
-- of a server that took over may be behind.
local function has_lost_writes(r)
  local at = redis.call('HGET', loss_key(), 'at')
  return at and at ~= r.loss
end

-- Marks the next attempt as possibly applied, with the intent if `intent`; answers the lease left in ms, or -1. While a
-- pause or the window holds the request, answers why instead, and nothing may be sent.
function steps.renew_intent(intent)
  local r, _, d = current_lease()
  if not r or r.state ~= 'starting' then return -1 end
  if intent and a.key ~= r.key then
    -- Before a pause is looked for: who waits for one by this key must be found by it.
    redis.call('SET', renamed_key(r.mid, folded(a.key)), r.home or r.key, 'PX', str(a.window + cfg.unfinished_ttl))
  end
  if intent then note_name(r, d, a.key) end
  local pause = not a.unsent and pause_of(r)
  if pause then return cjson.encode({'paused', pause.reason}) end
  if has_lost_writes(r) then return cjson.encode({'writes_lost', 'Redis lost its last writes after this start was claimed'}) end
  -- Its lease ran out unnoticed, and another suspect acts now.
  if is_suspect(r) and other_suspect(a.id) then return -1 end
  local values = {sent = '1', answer_by = now + cfg.answer}
  if intent then
    if not a.unsent and is_in_window(r, d) then return wait_for_window(r, d) end
    local missing = is_out_of_order(r)
    if missing then return wait_under_new_key(r, 'after', a.key .. ' waits for a completed run of ' .. missing) end
    local full = change_places(r)
    if full then return wait_under_new_key(r, 'running_limit', full) end
    values.window = a.window
    -- What sent nothing left nothing in doubt that a later intent must keep.
    if not r.unproved or present(r.forgot) then
      values.known, values.intended = a.known, str(now)
      if a.unsent or r.forgot then values.forgot = a.unsent and (present(r.no_proof) and '0' or r.at) or '' end
      if a.above or r.above then values.above = a.above and newest(r.mid) or '' end
      if present(a.bound) or r.bound then values.bound = present(a.bound) or '' end
    end
    if a.key ~= r.key then
      values.key, values.home, values.asked = a.key, r.home or r.key, r.asked or r.key
    end
    note_newest(r.mid, a.newest)
  end
  set(request_key(a.id), r, values)
  extend_lease(a.id, r, d)
  return cfg.lease
end

function steps.record_intent() return steps.renew_intent(true) end

-- The answer to what was sent does not prove that nothing was applied: its intent stays, and its run is looked for.
local function note_unproved(r)
  if a.unproved and r.sent == '1' then set(request_key(a.id), r, {unproved = '1', unlooked = '1', sent_until = str(now)}) end
end

-- Takes the mark of `renew_intent` back.
function steps.withdraw_intent()
  local r = current_lease()
  if not r or r.state ~= 'starting' then return 0 end
  note_unproved(r)
  set(request_key(a.id), r, {sent = '0'})
  return 1
end

-- Commits an accepted start and its window; a late one counts when nothing else was started for the request.
function steps.started()
  local id = a.id
  local r = record(request_key(id))
  if not r.state then
    if a.reconciled then return 0 end
    -- Redis lost the request in a failover: the Task.ID is the truth, so the record begins here.
    r = create(id, a)
  end
  -- So it does where the request was recorded again meanwhile: only the worker knows which definition it is.
  if not r.definition and OPEN[r.state] then
    set(request_key(id), r, {key = a.customer_key, home = present(a.home) or r.home})
  end
  local key = task_key(r.mid, a.task)
  if a.reconciled then
    if r.task then return r.task == a.task and 1 or 0 end
    -- A run that was found by reconciling needs a valid lease, and must be assigned to no request.
    local assigned = redis.call('GET', key)
    if not current_lease() or (assigned and assigned ~= id) then return 0 end
  end
  -- The run of another request: a reply that was kept by a server between, say.
  local owner = redis.call('GET', key)
  if owner and owner ~= id and redis.call('EXISTS', request_key(owner)) == 1 then return 0 end
  redis.call('SET', key, id, 'PX', cfg.request_ttl)
  if r.task then return r.task == a.task and 1 or 0 end
  if transition(r.state, 'started') ~= 'started' then return 0 end
  local d = record(definition_key(r))
  if r.state ~= 'starting' then
    leave_follow_ups(id, r)
    remember(id, r)
  end
  local values = {task = a.task, started = str(now), follow_until = str(now + a.follow_deadline), polls = 0, sent = '0'}
  if present(a.soap) then values.soap = a.soap end
  set(request_key(id), r, values)
  drop(request_key(id), r, {'worker_losses', 'error'})
  local opens = begin_window(id, r, d, a.window)
  if not d.holder or d.holder == id then set(definition_key(r), d, {holder = id, lease = '0'}) end
  note_newest(r.mid, a.task)
  keep_definition(r, d)
  due_at(id, r, poll_at(a.delay))
  move(id, r, 'started', {window_opens = opens, matched = a.reconciled and 'reconciled' or 'reply'})
  release_suspect(id)
  return 1
end

local ENDED_UNSTARTED = {gave_up = true, rejected = true, expired = true, start_unknown = true}

-- The same call came before: it ended the request, but for a look.
local function waits_for_look(r) return r.ending and r.owner == '' end

-- No run has appeared: the end that was decided before the look.
local function end_as_decided(r)
  local ending = cjson.decode(r.ending)
  end_unstarted(a.id, r, ending.state, ending.extra)
  return r.state
end

-- Nothing was applied: due again after a pause, or the end when the retry deadline would be over.
-- With `let_go` others may have the definition meanwhile, unless a run of this request may come to light. With `anew` too
-- the request is for another definition than was read.
function steps.retry()
  local r, found = current_lease()
  if not r then
    local ended = found and ENDED_UNSTARTED[found.state]
    return (ended or found and found.postponed and int(found.fence) == a.fence) and found.state
  end
  if r.state == 'retrying' or waits_for_look(r) then return r.state end
  if r.state ~= 'starting' and r.state ~= 'reconciling' then return nil end
  if r.ending then return end_as_decided(r) end
  note_unproved(r)
  set(request_key(a.id), r, {sent = '0', owner = '', not_before = str(now + a.delay), worker_losses = 0})
  -- What hits the whole account ends no single request: this attempt and its pause do not count.
  if a.account_wide then
    set(request_key(a.id), r, {retry_until = str(int(r.retry_until) + now - int(r.since) + a.delay)})
  elseif now + a.delay > int(r.retry_until) and r.state == 'starting' then
    end_after_look(a.id, r, 'gave_up', {code = a.code, text = a.text})
    return r.state
  end
  if r.state == 'reconciling' then
    set(request_key(a.id), r, {unproved = '1', doubted = not present(r.denied) and '1' or nil})
    drop(request_key(a.id), r, {'unlooked'})
  end
  local lets_go = a.let_go and not r.unproved
  if lets_go then set(request_key(a.id), r, {postponed = '1'}) end
  move(a.id, r, 'retrying', {code = a.code, text = a.text, retry_in = a.delay / 1000}, a.waits)
  set(definition_key(r), record(definition_key(r)), {lease = '0'})
  waits_until(a.id, r, now + a.delay)
  note_held(a.id, r, a.code)
  if lets_go then release(a.id, r) else release_suspect(a.id) end
  if lets_go and a.anew then resolve_anew(a.id, r) end
  return 'retrying'
end

-- A start may have been applied: it is reconciled first after the time that a row may take to appear.
function steps.mark_ambiguous()
  local r, _, d = current_lease()
  if not r then return 0 end
  if r.state == 'reconciling' then return 1 end
  if r.state ~= 'starting' then return 0 end
  set(request_key(a.id), r, {not_before = str(now + a.delay), reconcile_until = str(now + a.reconcile_deadline), owner = '',
    sent_until = str(now), denied = a.denied, doubted = a.doubted and '1' or nil, first_look = a.reconcile_deadline > a.delay and '1' or nil})
  set(definition_key(r), d, {lease = '0'})
  move(a.id, r, 'reconciling', {code = a.code, text = a.text})
  due_at(a.id, r, now + a.delay)
  release_suspect(a.id)
  return 1
end

-- No run is visible yet: reconciled again after a pause.
function steps.reconcile_later()
  local r, _, d = current_lease()
  if not r or r.state ~= 'reconciling' then return 0 end
  -- The empty owner: the same call came before.
  if a.account_wide and r.owner ~= '' then
    set(request_key(a.id), r, {reconcile_until = str(int(r.reconcile_until) + a.delay)})
  end
  local values = {not_before = str(now + a.delay), owner = '', worker_losses = 0, error = failed_last(r, a.code, a.text)}
  set(request_key(a.id), r, waits(r, values, 'reconciling'))
  set(definition_key(r), d, {lease = '0'})
  due_at(a.id, r, now + a.delay)
  note_held(a.id, r, a.code)
  release_suspect(a.id)
  return 1
end

-- While a write loss is in force a run is named by one request: later ones do not take it for a start of their own.
local function note_candidates(r, d)
  if redis.call('EXISTS', loss_key()) == 0 then return end
  local named = cjson.decode(d.candidates or '[]')
  for _, task in ipairs(a.candidates) do named[#named + 1] = task end
  set(definition_key(r), d, {candidates = cjson.encode(named)})
end

-- Ends as start_unknown; the window counts as used, for the import may have started.
function steps.record_start_unknown()
  local r, found, d = current_lease()
  if not r then return found and found.state == 'start_unknown' and 1 or 0 end
  if r.state ~= 'reconciling' then return 0 end
  local extra = {window_opens = begin_window(a.id, r, d, a.window)}
  if #a.candidates > 0 then
    extra.candidates = a.candidates
    note_candidates(r, d)
  end
  move(a.id, r, 'start_unknown', extra)
  finish(a.id, r)
  release(a.id, r)
  return 1
end

-- Ends as rejected: nothing was started, so the definition, the file and the source event are free again. Answers the
-- state of the end, or `reconciling` if a run is looked for first.
function steps.reject()
  local r, found = current_lease()
  if not r then return found and (found.state == 'rejected' or found.state == 'start_unknown') and found.state end
  if waits_for_look(r) then return r.state end
  if r.state ~= 'starting' then return nil end
  -- The same denial a second time is believed, and proves no more than the first one.
  if r.sent == '1' and present(r.denied) == a.code then set(request_key(a.id), r, {sent_until = str(now)}) end
  note_unproved(r)
  end_after_look(a.id, r, 'rejected', {code = a.code, text = a.text})
  return r.state
end

local function resolve_as_not_started(r, d, said)
  restore_window(a.id, r, d)
  forget(a.id, r)
  move(a.id, r, 'not_started', said)
  release(a.id, r)
  take_up_duplicate(a.id)
  return 1
end

local function resolve_as_started(r, d, said, task)
  local assigned = redis.call('GET', task_key(r.mid, task))
  if assigned and assigned ~= a.id then return 0 end
  redis.call('SET', task_key(r.mid, task), a.id, 'PX', cfg.request_ttl)
  remember(a.id, r)
  set(request_key(a.id), r, {task = task, started = str(now), follow_until = str(now + a.follow_deadline), polls = 0})
  if not d.holder then set(definition_key(r), d, {holder = a.id, lease = '0'}) end
  -- An operator had said before that nothing was started, and the window was given back.
  if d.window_by ~= a.id then begin_window(a.id, r, d, 0) end
  keep_definition(r, d)
  due_at(a.id, r, now)
  said.matched = 'operator'
  move(a.id, r, 'started', said)
  return 1
end

-- The same was said before: answers 1, and 2 where it was another operator.
local function said_before()
  local by = string.match(redis.call('GET', report_key(a.id, 'resolved')) or '', '^%d+ (.*)$')
  return by and by ~= a.operator and 2 or 1
end

-- So long what one operator says is not taken for a correction of what another has said, who cannot have been read.
-- Where the request was replayed since, by whomever, what came of that must be read first.
local CORRECTED_AFTER = 60000
local function is_against_another(r)
  local at, by = string.match(redis.call('GET', report_key(a.id, 'resolved')) or '', '^(%d+) (.*)$')
  if a.force or present(r.replayed) then return not a.force end
  return by and by ~= a.operator and math.abs(now - int(at)) < CORRECTED_AFTER
end

-- An operator says what became of an ambiguous start: the run `task`, or without one that nothing was started.
function steps.resolve()
  local r = record(request_key(a.id))
  local task = present(a.task)
  if task and r.task then return r.task == task and said_before() or 0 end
  if not task and r.state == 'not_started' then return said_before() end
  if not (r.state == 'start_unknown' or (task and r.state == 'not_started')) then return 0 end
  if r.state == 'not_started' and is_against_another(r) then return 2 end
  local d = record(definition_key(r))
  local said = {operator = a.operator, reason = present(a.reason)}
  local done = task and resolve_as_started(r, d, said, task) or not task and resolve_as_not_started(r, d, said)
  if done == 1 then redis.call('SET', report_key(a.id, 'resolved'), str(now) .. ' ' .. a.operator, 'PX', cfg.seen_ttl) end
  return done
end
