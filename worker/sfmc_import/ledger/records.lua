-- The records of a step: read once, changed in memory, and written at its end.

-- A step reads each record once, and writes it once at its end (`write_all`): what it knows of the records, what it has
-- changed of them (false: dropped), how long keys live from now on, and the new times of ids in DUE and follows.
local records, changes, lives, times = {}, {}, {}, {}

local function record(key)
  local fields = records[key]
  if fields then return fields end
  fields = {}
  local flat = redis.call('HGETALL', key)
  for i = 1, #flat, 2 do fields[flat[i]] = flat[i + 1] end
  records[key] = fields
  return fields
end

-- Some fields of a record that need not be read as a whole; what this step has changed counts.
local function fields_of(key, ...)
  local fields = records[key]
  if not fields then return redis.call('HMGET', key, ...) end
  local found = {}
  for i, name in ipairs({...}) do found[i] = fields[name] or false end
  return found
end

local function changes_of(key)
  local changed = changes[key]
  if not changed then
    changed = {}
    changes[key] = changed
  end
  return changed
end

-- A whole number that is written is text for who reads it later in the step, as it is in Redis.
local function set(key, fields, values)
  local changed = changes_of(key)
  records[key] = records[key] or fields
  local known = records[key]
  for name, value in pairs(values) do
    if type(value) == 'number' then value = str(value) end
    fields[name], known[name], changed[name] = value, value, value
  end
end

local function drop(key, fields, names)
  local changed
  for _, name in ipairs(names) do
    if fields[name] then
      changed = changed or changes_of(key)
      fields[name], changed[name] = nil, false
    end
  end
end

-- Deletes a record.
local function erase(key)
  records[key], changes[key], lives[key] = {}, nil, nil
  redis.call('DEL', key)
end

local function keep(key, ms) lives[key] = ms end

-- The time of an id in DUE or follows; the newest counts.
local function schedule(key, id, at)
  times[key] = times[key] or {}
  times[key][id] = at
end

local function unschedule(key, id)
  if times[key] then times[key][id] = nil end
  redis.call('ZREM', key, id)
end

-- As many arguments of a command as Lua can give surely.
local MAX_ARGUMENTS = 1000

local function write_times()
  for key, by_id in pairs(times) do
    local flat = {}
    for id, at in pairs(by_id) do
      if #flat >= MAX_ARGUMENTS then
        redis.call('ZADD', key, unpack(flat))
        flat = {}
      end
      flat[#flat + 1] = str(at)
      flat[#flat + 1] = id
    end
    if #flat > 0 then redis.call('ZADD', key, unpack(flat)) end
  end
  times = {}
end

-- Writes all that the step has changed; a time to live comes last, when its key is there.
local function write_all()
  for key, changed in pairs(changes) do
    local flat, dropped = {}, {}
    for name, value in pairs(changed) do
      if value then
        flat[#flat + 1] = name
        flat[#flat + 1] = value
      else
        dropped[#dropped + 1] = name
      end
    end
    if #flat > 0 then redis.call('HSET', key, unpack(flat)) end
    if #dropped > 0 then redis.call('HDEL', key, unpack(dropped)) end
  end
  write_times()
  for key, ms in pairs(lives) do redis.call('PEXPIRE', key, str(ms)) end
end
