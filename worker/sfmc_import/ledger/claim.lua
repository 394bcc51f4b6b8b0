-- Decides what happens to a request now; gives the lease if the caller may act. One function for each state.
local id, policy = a.id, a.policy
local r, d

local function answer(decision, more)
  local reply = {decision = decision, state = r.state, mid = r.mid, customer_key = r.key, home = r.home, early = r.early and true}
  for field, value in pairs(more or {}) do reply[field] = value end
  return cjson.encode(reply)
end

-- Which request and which window are in the way.
local function blocker()
  local opens, first = int(d.window) > now and (int(d.window) - now) / 1000 or nil, first_follow_up(r)
  return {held_by = d.holder or (opens and d.window_by) or (first ~= id and first or nil), opens_in = opens,
    window_opens = opens and iso(int(d.window)) or nil}
end

local function not_yet(more) return answer('not_yet', more) end

local function already_ended()
  return answer('already_ended', {held_by = r.held_by, opens_in = r.state == 'duplicate' and blocker().opens_in or nil})
end

local function end_as_duplicate(why, held_by)
  local more = blocker()
  more.held_by = held_by or more.held_by
  more.why = why
  if why == 'superseded' then more.superseded_by = held_by end
  end_duplicate(id, r, more)
  if next(d) then keep_definition(r, d) end
  return already_ended()
end

-- `text` says why, where neither another request nor a window does.
local function defer(text)
  local newer = supersede_older(id, r, policy.coalesce)
  if newer then return end_as_duplicate('superseded', newer) end
  remember(id, r)
  local more = blocker()
  more.text = text
  move(id, r, 'deferred', more)
  join_follow_ups(id, r)
  if r.name and not r.force then redis.call('HSET', names_key(r), r.name, id) end
  if not d.holder then wake_first_follow_up(r, d) end
  wait_for_turn(id, r, d)
  return not_yet(blocker())
end

local function with_lease(decision, more)
  more.fence, more.attempt, more.lease = int(r.fence), int(r.attempt), cfg.lease / 1000
  return answer(decision, more)
end

-- Whether the request was recorded when this write loss was noted, or its time was over.
local function is_after(at) return r.born == at or int(r.at) >= int(at) + cfg.loss_ttl end

-- The losses before the newest one that the request has outlived too; and whether it is proved to be from before all that
-- it looks for: the one that it may be from after is older than these. By names, for clocks may go back.
local function earlier_losses()
  local found, all = {}, cjson.decode(redis.call('HGET', past_loss_key(), 'earlier') or '[]')
  local left = #all
  while left > 0 and not is_after(all[left].at) do
    local loss = all[left]
    found[#found + 1] = {newest = loss[r.mid], since = loss.since, age = (now - int(loss.at)) / 1000}
    left = left - 1
  end
  for i = 1, left do
    if all[i].at == r.after then return found, true end
  end
  return found, not r.after
end

-- The newest write loss: the one in force, or one that is past and that a request from before it has outlived without a
-- start, held by a pause, an outage or the lack of workers.
local function loss_to_look_for()
  local loss = redis.call('HMGET', loss_key(), 'at', r.mid, 'since', 'empty')
  if loss[1] then return loss end
  drop(definition_key(r), d, {'candidates'})
  local past = redis.call('HMGET', past_loss_key(), 'at', r.mid, 'since')
  if not past[1] or is_after(past[1]) then return end
  return {past[1], past[2], past[3], false, true}
end

-- A loss that was noted on a clock which was ahead and was set right is as old as the first look since: starts wait once,
-- and not until that time comes again. `at` stays, for it names the loss.
local function age_of(loss)
  local key = loss[5] and past_loss_key() or loss_key()
  local from = int(redis.call('HGET', key, 'from') or loss[1])
  if now < from then
    from = now
    redis.call('HSET', key, 'from', str(now))
    if not loss[5] then keep(key, cfg.loss_ttl) end
  end
  return (now - from) / 1000
end

local function note_losses(loss, more)
  more.newest, more.loss_age, more.loss_since = loss[2] or nil, age_of(loss), loss[3] or nil
  more.is_empty, more.is_past = loss[4] and true, loss[5]
  more.longest_call = int(redis.call('GET', longest_call_key())) / 1000
  local earlier, is_proved = earlier_losses()
  more.earlier_losses = earlier
  -- A loss that is noticed after this makes the claim void (see has_lost_writes).
  set(request_key(id), r, {loss = loss[1], no_proof = is_proved and '' or '1'})
  -- What others have named may be the forgotten start of a request that was there when the loss was noted.
  if r.born == loss[1] then more.candidates = d.candidates end
end

-- Until when a start of this definition may have been sent whose run is not known.
local function unknown_until()
  local last
  for _, start in ipairs(cjson.decode(d.unknown or '[]')) do last = math.max(last or 0, int(start[2])) end
  return last and str(last)
end

-- `newest` is the newest TaskResultID known; after a write loss (see write_probe) the newest that survived it.
local function start_now()
  local more = {now = now / 1000, file_name = r.name, definition = not r.early and r.definition or nil, denied = present(r.denied),
    newest = newest(r.mid), modified_ns = r.m,
    object_id = object_of(r.definition), asked = r.asked}
  if r.unproved then more.known, more.above, more.intended = r.known or '[]', present(r.above), r.intended end
  if r.unproved then more.bound, more.forgot = present(r.bound), present(r.forgot) end
  if r.unproved then more.unknown = unknown_until() end
  local loss = loss_to_look_for()
  if loss then note_losses(loss, more) else drop(request_key(id), r, {'loss'}) end
  return with_lease('start_now', more)
end

local function begin_attempt()
  take_places(id, r, policy.places)
  leave_follow_ups(id, r)
  remember(id, r)
  take_lease(id, r, d)
  local values = {attempt = int(r.attempt) + 1, sent = '0'}
  if not r.retry_until then values.retry_until = str(now + policy.retry_deadline) end
  set(request_key(id), r, values)
  move(id, r, 'starting', {fence = int(r.fence)})
  return start_now()
end

-- The attempt is over before anything was sent: the request waits with the definition in its hand.
local function let_go_of_attempt(code, text, left)
  set(request_key(id), r, {owner = '', sent = '0', not_before = str(now)})
  set(definition_key(r), d, {lease = '0'})
  move(id, r, 'retrying', {code = code, text = text, retry_in = left})
  release_suspect(id)
end

local function wait_for_room(group, most)
  if r.state == 'starting' then let_go_of_attempt('running_limit', no_room(group, most)) end
  wait_for_place(id, r, policy.places, group, most)
  return not_yet()
end

-- As with a window, an attempt that is made again because the one before it proved nothing waits for its own start alone.
local function must_keep_order(r) return not (r.force or r.unproved) end

local function waits_for_run(key) return 'waits for a completed run of ' .. key end

-- A pause holds every start, forced ones too. Its time does not count against the retry deadline.
local function attempt_unless_paused()
  local pause = pause_of(r)
  if not pause then
    local key = must_keep_order(r) and missing_run(r, policy)
    local full, most
    if not key then full, most = full_group(id, r, policy.places) end
    if not (key or full) then return begin_attempt() end
    -- The time until that run, or the end of another, does not count against the retry deadline.
    if r.retry_until then drop(request_key(id), r, {'retry_until'}) end
    if key then
      leave_turn(id, r)
      if r.state == 'starting' then let_go_of_attempt('after', waits_for_run(key)) end
      wait_after(id, r, key)
      return not_yet({held_by = key})
    end
    return wait_for_room(full, most)
  end
  leave_turn(id, r)
  local left = present(pause['until']) and math.max(0, pause['until'] - now) / 1000 or nil
  if r.state == 'starting' then let_go_of_attempt('paused', pause.reason, left) end
  if r.retry_until then drop(request_key(id), r, {'retry_until'}) end
  wait_paused(id, r, pause)
  return not_yet({opens_in = left})
end

-- States in which a request waits for its start: the deadline of its sender ends it.
local EXPIRES = {accepted = true, deferred = true, retrying = true}
local function is_over() return r.expires and int(r.expires) <= now end

local function end_unless_started(state, extra)
  end_after_look(id, r, state, extra)
  return r.state == 'reconciling' and not_yet() or already_ended()
end

-- The deadline of the sender is over, and nothing was sent.
local function expire()
  leave_follow_ups(id, r)
  return end_unless_started('expired', {expires = iso(int(r.expires))})
end

-- A definition that was read before the request came, and longer ago than that, may have given its CustomerKey to
-- another one. A start looks right before Perform; a follow-up or a duplicate would be one of the wrong definition.
local function is_outdated() return r.early and present(a.oldest) and int(a.ago) > a.oldest end

-- Lets the request go as it came; the same worker reads the definition and asks again.
local function read_first()
  set(request_key(id), r, {key = r.object or r.asked or r.key, postponed = r.state ~= 'accepted' and '1' or nil})
  drop(request_key(id), r, {'definition', 'early', 'home', 'asked'})
  return answer('read_first')
end

local function unless_outdated(decide, ...)
  if is_outdated() then return read_first() end
  return decide(...)
end

local function while_accepted()
  if int(r.not_before) > now then
    wait_for(id, r, 'not_before')
    waits_until(id, r, int(r.not_before))
    return not_yet({opens_in = (int(r.not_before) - now) / 1000})
  end
  local why, by = seen_before(id, r, d)
  if why then return unless_outdated(end_as_duplicate, why, by) end
  local in_window = int(d.window) > now and not r.force
  local first = first_follow_up(r)
  local pause = pause_of(r)
  if not (d.holder or in_window or (first and not r.force)) then
    if pause then return unless_outdated(defer, 'paused by ' .. pause.operator .. ': ' .. pause.reason) end
    local key = not r.force and missing_run(r, policy)
    if key then return unless_outdated(defer, waits_for_run(key)) end
    local group, most = full_group(id, r, policy.places)
    if group then return unless_outdated(defer, no_room(group, most)) end
    return begin_attempt()
  end
  if r.force then return unless_outdated(defer) end
  -- What holds a replay is what it repeats, or is from before it, unless another one imports the same meanwhile.
  local instead = r.replays and imported_instead(r, d)
  local waits_for_own = r.replays and not instead
  if not r.fp and not waits_for_own then return unless_outdated(end_as_duplicate, 'window', instead) end
  -- Where no window and no run holds it, another file that waits for its turn is no reason to drop this one.
  local held = in_window or (d.holder and not missing_run(r, policy))
  if policy.when_too_soon == 'drop' and held and not (pause or waits_for_own) then return unless_outdated(end_as_duplicate, 'too_soon') end
  return unless_outdated(defer)
end

local function while_deferred()
  join_follow_ups(id, r)
  if d.holder or (int(d.window) > now and not r.force) then
    leave_turn(id, r)
    wait_for_turn(id, r, d)
    return not_yet(blocker())
  end
  if first_follow_up(r) ~= id then
    leave_turn(id, r)
    wake_first_follow_up(r, d)
    wait_for_turn(id, r, d)
    return not_yet(blocker())
  end
  local why, by = seen_before(id, r, d)
  if not why then return attempt_unless_paused() end
  local reply = end_as_duplicate(why, by)
  wake_first_follow_up(r, d)
  return reply
end

-- The worker is gone and its start may have been applied.
local function expire_ambiguous()
  set(request_key(id), r, {reconcile_until = str(now + policy.reconcile_deadline),
    not_before = str(now + cfg.results_delay), owner = '', denied = '', sent_until = str(now),
    first_look = policy.reconcile_deadline > cfg.results_delay and '1' or nil})
  set(definition_key(r), d, {holder = id, lease = '0'})
  keep_definition(r, d)
  move(id, r, 'reconciling', {code = 'lease_over', text = 'the worker that was sending is gone'})
  due_at(id, r, int(r.not_before))
  return not_yet()
end

-- Another suspect acts now. The worker that was lost may come back: what it still does for this one is refused.
local function wait_as_suspect(other)
  leave_turn(id, r)
  new_fence(id, r, d)
  set(definition_key(r), d, {lease = '0'})
  keep_definition(r, d)
  join_suspects(id, r)
  wait_for(id, r, 'worker_lost', other.holder)
  due_at(id, r, int(other.lease))
  return not_yet({held_by = other.holder, opens_in = (int(other.lease) - now) / 1000})
end

local function lease_over()
  local to_blame = lost_too_many(id, r, d.lease)
  if r.sent == '1' then return expire_ambiguous() end
  if is_over() then return expire() end
  local other = is_suspect(r) and other_suspect(id)
  if not to_blame then return other and wait_as_suspect(other) or attempt_unless_paused() end
  return end_unless_started('gave_up', {code = 'worker_lost', text = 'too many workers died with this request'})
end

local function mine_again() return r.owner == a.owner and int(d.fence) == int(r.fence) end

local function while_starting()
  if int(d.lease) <= now or d.holder ~= id then return lease_over() end
  if mine_again() then return start_now() end
  return not_yet({held_by = id})
end

local function wait_on()
  waits_until(id, r, int(r.not_before))
  return not_yet({opens_in = (int(r.not_before) - now) / 1000})
end

local function while_retrying()
  if int(r.not_before) > now then return wait_on() end
  -- A suspect that a pause held.
  local other = is_suspect(r) and other_suspect(id)
  return other and wait_as_suspect(other) or attempt_unless_paused()
end

-- It let the definition go while it waited, so that others could act.
local function while_postponed()
  if int(r.not_before) > now then return wait_on() end
  drop(request_key(id), r, {'postponed'})
  return while_accepted()
end

local function give_up_reconciling()
  move(id, r, 'start_unknown', {code = 'worker_lost', text = 'too many workers died while they looked for the run',
    window_opens = begin_window(id, r, d, policy.window)})
  finish(id, r)
  release(id, r)
  return already_ended()
end

-- The clock of Redis may have leapt over the time to look: the first look of several is not the last, and the next one
-- that may be comes after the time that a row may take to appear.
local function begin_look()
  take_lease(id, r, d)
  set(request_key(id), r, {polled = str(now)})
  wait_for(id, r, 'reconciling')
  if r.first_look and now >= int(r.reconcile_until) then
    set(request_key(id), r, {reconcile_until = str(now + cfg.results_delay)})
  end
  drop(request_key(id), r, {'first_look'})
end

local function while_reconciling()
  local leased = int(d.lease) > now
  if not (leased and mine_again()) then
    if leased or int(r.not_before) > now then return not_yet() end
    if lost_too_many(id, r, d.lease) then return give_up_reconciling() end
    local other = is_suspect(r) and other_suspect(id)
    if other then return wait_as_suspect(other) end
    begin_look()
  end
  return with_lease('reconcile', {now = now / 1000, known = r.known or '[]', above = r.above, intended = r.intended, denied = present(r.denied),
    bound = present(r.bound), forgot = present(r.forgot), object_id = object_of(r.definition), late = now >= int(r.reconcile_until),
    unknown = unknown_until()})
end

local HOLDING = {starting = true, retrying = true, reconciling = true}

local function while_holding()
  if r.state == 'starting' then return while_starting() end
  if r.state == 'retrying' then return while_retrying() end
  return while_reconciling()
end

local function held_by_other() return d.holder and d.holder ~= id end

-- Which key a definition had when it was seen first: a new key in Marketing Cloud makes no other definition of it.
local function home_of_object()
  local object = object_of(a.definition)
  if not object then return end
  local home = redis.call('GET', home_key(r.mid, object)) or a.resolved_key
  local ttl = str(int(policy.frequency) + cfg.unfinished_ttl)
  redis.call('SET', home_key(r.mid, object), home, 'PX', ttl)
  if home ~= a.resolved_key then
    redis.call('SET', renamed_key(r.mid, folded(a.resolved_key)), home, 'PX', ttl)
    return home
  end
  redis.call('DEL', renamed_key(r.mid, folded(a.resolved_key)))
end

-- Notes the definition as Marketing Cloud names it: all decisions are about this key.
local function resolve_key()
  if r.definition or not present(a.definition) or not (r.state == 'accepted' or r.postponed) then return end
  local values = {key = a.resolved_key, definition = a.definition}
  if r.key ~= a.resolved_key and r.key ~= r.object then values.asked = r.key end
  if is_early(r) then values.early = '1' end
  values.home = home_of_object()
  set(request_key(id), r, values)
  redis.call('HSET', definitions_key(), r.mid .. ':' .. a.folded_key, r.key)
  keep(definitions_key(), cfg.unfinished_ttl)
  end_resolving(id, r)
  return not values.early
end

function steps.claim()
  r = record(request_key(id))
  if not r.state then r = create(id, a) end
  if present(a.content) and r.c and r.c ~= a.content then return answer('other_content') end
  local is_resolved = resolve_key()
  note_caller(id, r)
  d = record(definition_key(r))
  if is_resolved then note_name(r, d, r.key) end
  if math.max(int(d.window_read), int(d.previous_from)) > now then set_window_right(r, d) end
  if present(policy.frequency) then renew_window(r, d, policy.frequency, now - int(a.ago)) end
  -- A holder whose record vanished would block the definition for ever.
  if held_by_other() and int(d.lease) <= now and redis.call('EXISTS', request_key(d.holder)) == 0 then
    drop(definition_key(r), d, {'holder', 'lease'})
  end
  if is_over() and EXPIRES[r.state] then return expire() end
  if r.state == 'accepted' then return while_accepted() end
  if r.state == 'deferred' then return while_deferred() end
  if r.postponed then return while_postponed() end
  if r.state == 'started' then return not_yet() end
  if not HOLDING[r.state] then return already_ended() end
  if not held_by_other() then return while_holding() end
  -- Another request holds the definition: possible only after its record was lost. Single flight comes first.
  leave_turn(id, r)
  wait_for(id, r, 'single_flight', d.holder)
  due_at(id, r, now + cfg.recheck)
  return not_yet({held_by = d.holder})
end
