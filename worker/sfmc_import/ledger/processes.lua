-- Steps of processes: which workers and beats live, and to which account the ledger belongs.

local function owner() return fields_of(account_key(), 'account')[1] or '' end

-- Notes when a worker, or a beat, was there last: for when none is left, and for longer than each of them is known.
local function note_last_seen()
  set(last_seen_key(), {}, {[cjson.decode(a.process).kind] = str(now)})
  keep(last_seen_key(), cfg.unfinished_ttl)
end

-- Notes since when Redis refuses what is new for want of memory, as each process finds it.
local function note_fullness()
  local key = last_seen_key()
  if not a.is_full then return drop(key, record(key), {'full'}) end
  if not record(key).full then set(key, record(key), {full = str(now)}) end
end

-- Notes that a process lives, and answers whose ledger it is; a worker makes one that has no owner its own.
function steps.present()
  redis.call('ZADD', processes_key(), str(now), a.process)
  redis.call('ZREMRANGEBYSCORE', processes_key(), '-inf', str(now - cfg.probe_ttl))
  keep(processes_key(), cfg.probe_ttl)
  note_fullness()
  note_last_seen()
  if present(a.account) and owner() == '' then set(account_key(), {}, {account = a.account, since = str(now)}) end
  return owner()
end

-- Notes that a process has ended.
function steps.absent()
  note_last_seen()
  return redis.call('ZREM', processes_key(), a.process)
end

-- Gives the ledger to another account, unless that would start requests of one in the other; answers why not.
function steps.take_over()
  local before = owner()
  if before == a.account then return 'taken' end
  for _, process in ipairs(redis.call('ZRANGEBYSCORE', processes_key(), str(now - a.alive), '+inf')) do
    local other = cjson.decode(process)
    if other.kind == 'worker' and other.account ~= a.account then return 'workers' end
  end
  local unit = '^%d*'
  if string.match(before, unit) ~= string.match(a.account, unit) and redis.call('ZCARD', DUE) > 0 then
    return 'unfinished'
  end
  set(account_key(), {}, {account = a.account, since = str(now), before = before})
  return 'taken'
end
