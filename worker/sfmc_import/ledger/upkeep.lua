-- Steps that need no lease: recording a request, reading its definition, what is due, reports, and the check for write losses.

-- Publishes once that the id of a request was accepted with other content.
local function refuse_other_content()
  local id, name = a.id .. '/' .. a.content, 'message_rejected'
  if not redis.call('SET', report_key(id, name), '1', 'NX', 'PX', cfg.seen_ttl) then return end
  local data = {request_id = a.id, customer_key = a.customer_key, mid = a.mid, attempt = 0, reason = 'id_taken',
    text = a.refusal, source = present(a.source), event_id = present(a.event_id)}
  local _, entry = publish(id, name, a.mid, a.customer_key, with(data, 'file', file_json(present(a.file) or {}, a.name, a.fp)))
  note_place(a.id, record(request_key(a.id)), entry)
end

-- Whether what is to be replayed is in the state in which an operator saw it, and no one has replayed it since.
local function is_as_seen()
  local before = fields_of(request_key(a.replays), 'state', 'replayed')
  return before[1] == a.seen and (before[2] or '') == (present(a.seen_replay) or '')
end

-- Records a request; answers 1 if it was new, also when the same call comes again because its reply was lost, 0 if it
-- was known, and 2 if the id was accepted with other content. An event says so with `refusal`, a text: without it the
-- caller has a message that becomes a dead letter and has its event then. Answers 3 for a replay of what is no longer as
-- it was `seen`.
function steps.accept()
  local known = fields_of(request_key(a.id), 'state', 'call', 'c')
  if not known[1] then
    if present(a.seen) and not is_as_seen() then return 3 end
    create(a.id, a)
    return 1
  end
  if known[2] == a.call then return 1 end
  if not (present(a.content) and known[3]) or known[3] == a.content then return 0 end
  if a.refusal then refuse_other_content() end
  return 2
end

local function is_unresolved(r) return r.state == 'accepted' or (r.postponed and not r.definition) end

local function decided(r, decision, held_by, at)
  return cjson.encode({decision = decision, state = r.state, held_by = held_by, opens_in = at and (at - now) / 1000})
end

local function end_unresolved(r, state, extra)
  end_unstarted(a.id, r, state, extra)
  return decided(r, 'already_ended')
end

local function wait_unresolved(r, other)
  set(request_key(a.id), r, waits(r, {resolving = '0'}, 'worker_lost', other.holder))
  join_suspects(a.id, r)
  waits_until(a.id, r, int(other.lease))
  return decided(r, 'not_yet', other.holder, int(other.lease))
end

-- The worker that had it before, if any, is gone.
local function hold_unresolved(r)
  if lost_too_many(a.id, r, r.resolving) then
    return end_unresolved(r, 'gave_up', {code = 'worker_lost', text = 'too many workers died with this request'})
  end
  local other = is_suspect(r) and other_suspect(a.id)
  if other then return wait_unresolved(r, other) end
  set(request_key(a.id), r, waits(r, {owner = a.owner, resolving = str(now + cfg.lease), polled = str(now)}, 'queued'))
  waits_until(a.id, r, now + cfg.lease)
  if is_suspect(r) then admit_suspect(a.id) end
  return false
end

-- Why a worker must not read the definition of a request now; nothing when it may: then it holds the request for one
-- lease, so that its loss is noticed, and the claim decides.
local function must_wait(r)
  note_caller(a.id, r)
  if not (OPEN[r.state] or r.state == 'started') then return decided(r, 'already_ended', r.held_by) end
  if not is_unresolved(r) then return false end
  if r.expires and int(r.expires) <= now then return end_unresolved(r, 'expired', {expires = iso(int(r.expires))}) end
  if int(r.not_before) > now then
    -- It was woken because the clock went back.
    waits_until(a.id, r, int(r.not_before))
    return decided(r, 'not_yet', nil, int(r.not_before))
  end
  if int(r.resolving) <= now then return hold_unresolved(r) end
  return r.owner ~= a.owner and decided(r, 'not_yet', a.id, int(r.resolving))
end

-- A worker is about to read the definition of a request: records it, if it is new, and holds it. Answers whether it was
-- new, and why it must not be read now. One whose definition is known is not held.
function steps.hold()
  local r = record(request_key(a.id))
  local is_new = not r.state
  if is_new then create(a.id, a) end
  if present(a.content) and r.c and r.c ~= a.content then return {0, decided(r, 'other_content')} end
  if r.definition then return {0, false} end
  return {is_new and 1 or 0, must_wait(r)}
end

local function retry_unresolved(r)
  if not r.retry_until then set(request_key(a.id), r, {retry_until = str(now + a.retry_deadline)}) end
  -- What hits the whole account ends no single request: its pause does not count.
  if a.account_wide then
    set(request_key(a.id), r, {retry_until = str(int(r.retry_until) + a.delay)})
  elseif now + a.delay > int(r.retry_until) then
    return end_unstarted(a.id, r, 'gave_up', {code = a.code, text = a.text})
  end
  set(request_key(a.id), r, {attempt = a.attempt + 1, not_before = str(now + a.delay), postponed = '1'})
  move(a.id, r, 'retrying', {code = a.code, text = a.text, retry_in = a.delay / 1000}, a.waits)
  waits_until(a.id, r, now + a.delay)
  note_held(a.id, r, a.code)
end

-- The worker that held these requests lives: it could not say what came of it while Redis was away. Its hold is no loss,
-- also if it was counted meanwhile.
function steps.outlived()
  for _, id in ipairs(a.ids) do
    local r = record(request_key(id))
    if r.owner == a.owner then
      set(request_key(id), r, {outlived = a.owner})
    elseif r.lost_owner == a.owner and is_suspect(r) then
      set(request_key(id), r, {worker_losses = int(r.worker_losses) - 1, lost_owner = ''})
    end
  end
  return 1
end

-- What an owner, whom an error of ours has stopped, holds of a request: its lease, or nothing but the right to read its
-- definition. Nothing where another one has it, or it waits or has ended.
function steps.held()
  local r = record(request_key(a.id))
  local is_mine = r.owner == a.owner
  if is_unresolved(r) then
    local is_held = int(r.resolving) > now and not is_mine
    return not is_held and cjson.encode({attempt = int(r.attempt)}) or nil
  end
  if not is_mine or not (r.state == 'starting' or r.state == 'reconciling') then return nil end
  local looks = r.state == 'reconciling'
  return cjson.encode({attempt = int(r.attempt), fence = int(r.fence), mid = r.mid, customer_key = r.key, home = r.home,
    in_doubt = r.sent == '1', looks = looks, late = looks and now >= int(r.reconcile_until)})
end

-- Whether the CustomerKey that a request asks for is that of another definition by now.
local function is_other(r)
  local before, new = object_of(r.definition), object_of(a.definition)
  return before and new and before ~= new
end

local WAITING = {deferred = true, retrying = true}

-- It waits for the window or the run of a definition that it is not for.
local function take_other_definition(r)
  if not WAITING[r.state] or r.unproved then return 0 end
  local text = r.key .. ' is the CustomerKey of another definition than the one that was read before'
  move(a.id, r, 'retrying', {code = 'other_definition', text = text, retry_in = 0}, 'queued')
  resolve_anew(a.id, r)
  waits_until(a.id, r, now)
  return 1
end

-- Notes a definition that was asked for after the request, in place of one that was asked for before it.
function steps.read_again()
  local r = record(request_key(a.id))
  if not r.early or is_early(r) then return 0 end
  if is_other(r) then return take_other_definition(r) end
  set(request_key(a.id), r, {definition = a.definition})
  drop(request_key(a.id), r, {'early'})
  return 1
end

-- The definition of a request is refused, or cannot be read: the end, or due again after a pause. Answers the state.
-- What was said before the request came does not end it.
function steps.unresolved()
  local r = record(request_key(a.id))
  if not r.state then r = create(a.id, a) end
  if present(a.content) and r.c and r.c ~= a.content then return 'other_content' end
  -- Another worker had the same answer for the same attempt, or a better one.
  if not is_unresolved(r) or int(r.attempt) > a.attempt then return r.state end
  end_resolving(a.id, r)
  if r.expires and int(r.expires) <= now then
    end_unstarted(a.id, r, 'expired', {expires = iso(int(r.expires)), code = a.code, text = a.text})
  elseif a.final and not is_early(r) then
    end_unstarted(a.id, r, 'rejected', {code = a.code, text = a.text})
  else
    retry_unresolved(r)
  end
  return r.state
end

local function take_due(id, answer)
  local fields = fields_of(request_key(id), 'state', 'mid', 'key', 'attempt')
  if fields[1] then
    schedule(DUE, id, now + a.pause)
    if fields[1] == 'started' then schedule(follows_key(), id, now + a.pause) end
    answer[#answer + 1] = {id, fields[2], fields[1], fields[3], fields[4] or '0'}
  else
    redis.call('ZREM', DUE, id)
    redis.call('ZREM', follows_key(), id)
    answer[#answer + 1] = {id, '', 'missing_record', '', '0'}
  end
end

-- Gives the requests whose time has come; none of them again before the pause is over. Runs to be polled come first,
-- up to four times the limit: any number of requests that wait for their start must not keep a run from being followed.
function steps.due()
  local answer = {}
  look_after_step()
  wake_unpaused()
  for _, key in ipairs({follows_key(), DUE}) do
    local found = redis.call('ZRANGEBYSCORE', key, '-inf', str(now), 'LIMIT', 0, key == DUE and a.limit or 4 * a.limit)
    for _, id in ipairs(found) do take_due(id, answer) end
    -- A run that was taken just now must not be due in the other list.
    write_times()
  end
  return answer
end

-- One that waits for longer than a pause was noted before the clock of Redis went back.
local function let_replies_go()
  for _, reply in ipairs(redis.call('ZRANGEBYSCORE', replies_key(), '(' .. str(now + a.pause), '+inf', 'LIMIT', 0, a.limit)) do
    redis.call('ZADD', replies_key(), 'XX', str(now), reply)
  end
end

-- Gives the ends that are to be sent to a task of their sender; none of them again before the pause is over.
function steps.replies()
  let_replies_go()
  local found = redis.call('ZRANGEBYSCORE', replies_key(), '-inf', str(now), 'LIMIT', 0, a.limit)
  for _, reply in ipairs(found) do redis.call('ZADD', replies_key(), str(now + a.pause), reply) end
  return {str(now), found}
end

-- Publishes an event about an arrival that became no request; once for the same id and name.
function steps.report()
  if not redis.call('SET', report_key(a.id, a.name), '1', 'NX', 'PX', cfg.seen_ttl) then return 0 end
  publish(a.id, a.name, a.mid, a.subject, a.data)
  return 1
end

local MOST_FOLDERS, LONGEST_FOLDER = 500, 2048

-- Of many folders those that were read last are remembered, and none for ever.
local function forget_folders()
  local key = folders_key()
  local older = redis.call('ZCARD', key) - MOST_FOLDERS
  if older > 0 then redis.call('ZPOPMIN', key, older) end
  local oldest = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
  while oldest[2] and tonumber(oldest[2]) + cfg.folders_ttl <= now do
    redis.call('ZPOPMIN', key)
    oldest = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
  end
end

-- Remembers by whom, and on which file system, each folder was read last: for when no watcher reads it any more. `how`
-- says whether its watcher reads it still, or has ended as it should, and `other` what no longer holds.
local function remember_folders(text, how, other)
  local host = string.match(a.watcher, '^(.*):[^:]*:[^:]*$') or a.watcher
  for _, folder in ipairs(cjson.decode(text)) do
    local name = cjson.encode({folder.location, folder.folder, host, present(folder.mount) or ''})
    if #name <= LONGEST_FOLDER then
      redis.call('ZREM', folders_key(), other .. name)
      redis.call('ZADD', folders_key(), str(now), how .. name)
    end
  end
  forget_folders()
  keep(folders_key(), cfg.folders_ttl)
end

-- Only a wait of so many seconds is remembered. What is said again is noted anew only after so many ms: a watcher reports
-- each second while something changes, up to some thousand files.
local LONG_WAIT, NOTED_EVERY = 15, 300000

local function add_wait(found, location, name, reason, age)
  local seconds = tonumber(present(age) or 0)
  if seconds < LONG_WAIT then return end
  local field = cjson.encode({location, name, reason})
  if #field <= LONGEST_FOLDER then found[field] = now - math.floor(seconds * 1000) end
end

-- Since when, in ms, a folder has been in its state, and each of its files has waited.
local function waits_in(folder)
  local found = {}
  add_wait(found, folder.location, '', folder.state, folder.age)
  for _, file in ipairs(present(folder.files) or {}) do add_wait(found, folder.location, file.name, file.reason, file.age) end
  return found
end

-- Whether a wait stands there as it is, said by this watcher a moment ago.
local function is_noted(since, at, watcher, begun)
  return watcher == a.watcher and int(at) + NOTED_EVERY > now and int(since) <= begun
end

-- Remembers since when something waits in a folder, for a watcher that is started anew. What its watcher says no more is
-- over; what another one said may wait still, until that is too long ago. A key for each folder: no report reads others.
local function remember_waits(place, folder)
  local key, found = waits_key(place), waits_in(folder)
  for field, said in pairs(record(key)) do
    local since, at, watcher = string.match(said, '^(%d+) (%d+) (.*)$')
    if int(at) + cfg.probe_ttl <= now or (watcher == a.watcher and not found[field]) then
      redis.call('HDEL', key, field)
    elseif found[field] and is_noted(since, at, watcher, found[field]) then
      found[field] = nil
    elseif found[field] then
      found[field] = math.min(found[field], int(since))
    end
  end
  for field, since in pairs(found) do
    redis.call('HSET', key, field, str(since) .. ' ' .. str(now) .. ' ' .. a.watcher)
  end
  if next(found) then keep(key, cfg.probe_ttl) end
end

-- Keeps what a watcher says of its folders, and forgets what others said too long ago; without a text it ends.
function steps.note_folders()
  for watcher, said in pairs(record(watchers_key())) do
    if int(string.match(said, '^%d+')) + cfg.watch_ttl <= now then redis.call('HDEL', watchers_key(), watcher) end
  end
  if not present(a.text) then
    local said = redis.call('HGET', watchers_key(), a.watcher)
    if said then remember_folders(string.match(said, ' (.*)$'), 'stopped ', 'watched ') end
    redis.call('HDEL', watchers_key(), a.watcher)
  else
    remember_folders(a.text, 'watched ', 'stopped ')
    for i, folder in ipairs(cjson.decode(a.text)) do remember_waits(a.places[i], folder) end
    redis.call('HSET', watchers_key(), a.watcher, str(now) .. ' ' .. a.text)
    keep(watchers_key(), cfg.watch_ttl)
  end
  return 1
end

-- When the newest event up to this id of the stream was written; nothing if another program wrote that entry.
local function event_time_at(id)
  local last = redis.call('XREVRANGE', STREAM, id, '-', 'COUNT', 1)[1]
  local is_json, event = pcall(cjson.decode, last and last[2][2] or '')
  return is_json and type(event) == 'table' and type(event.time) == 'string' and event.time or nil
end

-- When this server began; nothing of one that runs for longer than an hour: it may have been a replica. Its uptime is in
-- whole seconds, so it may have begun a second earlier.
local function server_began()
  local uptime = present(a.uptime)
  return uptime and uptime <= 3600 and now - (uptime + 1) * 1000 or nil
end

-- When the last event that survived was written. What was written since this server began is none, and a client that
-- does not watch the server may be the first to write. Where it is not known when it began, sources may have written for
-- hours before a worker came: no start was forgotten from before the last heartbeat of one that survived.
local function survived_until(began)
  local last = event_time_at('+')
  if last and began then return event_time_at(str(began)) or iso(began) end
  local seen = fields_of(last_seen_key(), 'worker')[1]
  return last and seen and iso(int(seen)) < last and iso(int(seen)) or last
end

-- So many losses are kept apart beside the newest one.
local MAX_LOSSES = 20

-- The losses before a new one, the oldest first. Beyond so many the two oldest are one: it was noticed when the newer one
-- was, and what survived the older one counts.
local function losses_until(past)
  local earlier = cjson.decode(past.earlier or '[]')
  past.earlier = nil
  if past.at then earlier[#earlier + 1] = past end
  if #earlier > MAX_LOSSES then
    local oldest = table.remove(earlier, 1)
    oldest.at, earlier[1] = earlier[1].at, oldest
  end
  return #earlier > 0 and cjson.encode(earlier) or nil
end

local function keep_past(loss, earlier)
  erase(past_loss_key())
  set(past_loss_key(), {}, loss)
  set(past_loss_key(), {}, {earlier = earlier})
  keep(past_loss_key(), cfg.unfinished_ttl)
end

-- From now on starts look for runs that the ledger does not have. While an earlier loss is in force, what survived that
-- one counts: a start since then must not hide the starts that it forgot. One that is over stays beside the new one.
-- It is proved where something is missing that was there; a server that was started anew may have all of it.
local function note_loss(is_proved)
  local loss, past = record(loss_key()), record(past_loss_key())
  local earlier = past.earlier
  if not loss.at or loss.empty then
    redis.call('DEL', loss_key())
    earlier = losses_until(past)
    loss = record(newest_key())
    local began = server_began()
    loss.since = survived_until(began)
    loss.kept = began and str(began) or nil
    loss.first = str(now)
  end
  drop(loss_key(), loss, {'from'})
  loss.at = str(now)
  if is_proved then loss.proved = '1' end
  set(loss_key(), {}, loss)
  keep(loss_key(), cfg.loss_ttl)
  loss.kept, loss.first, loss.proved = nil, nil, nil
  keep_past(loss, earlier)
end

-- A ledger that no server answered before is new, or Redis has lost all of it, and whoever would know that has ended.
-- Nothing tells the one from the other, so starts look for runs in progress; they do not wait.
local function note_empty()
  if redis.call('EXISTS', loss_key()) == 1 then return end
  set(loss_key(), {}, {at = str(now), empty = '1'})
  keep(loss_key(), cfg.loss_ttl)
  keep_past({at = str(now)}, losses_until(record(past_loss_key())))
end

-- Notes which run of which server answers: a server that was started anew, or took over, may lack the last writes, and
-- nothing in it says so. So may one that is named here, if this process has noted a later one since. Answers the number
-- of the server, and 1 if writes may be missing.
function steps.note_server()
  local before = redis.call('GET', server_key())
  local known, number = string.match(before or '', '^(%S+) ?(%d*)$')
  number = int(number)
  local is_behind = number < a.number
  local is_same = known == a.run_id and number >= a.number
  if not is_same then number = math.max(number, a.number) + 1 end
  redis.call('SET', server_key(), a.run_id .. ' ' .. number, 'PX', cfg.unfinished_ttl)
  if is_same then return {number, 0} end
  if not before and a.number == 0 then
    note_empty()
    return {number, 0}
  end
  note_loss(is_behind)
  return {number, 1}
end

-- Workers that are replaced by ones with a shorter time-out may have calls on their way.
local function note_longest_call()
  if a.call < int(redis.call('GET', longest_call_key())) then return end
  redis.call('SET', longest_call_key(), a.call, 'PX', str(cfg.probe_ttl + a.call))
end

-- Writes the next number of a process and compares the one before: a smaller one means that Redis lost writes.
function steps.write_probe()
  note_longest_call()
  local key = probe_key(a.who)
  local found = int(redis.call('GET', key))
  redis.call('SET', key, a.count, 'PX', cfg.probe_ttl)
  if found >= a.count - 1 then return 0 end
  note_loss(true)
  return 1
end
