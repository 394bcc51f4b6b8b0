"""The Lua scripts that move a message between its places in Redis; each is safe to repeat after a lost reply.

A message is in exactly one of: the queue (list), an in-flight list, `unacked` (hash with index), the dead
letters (stream). Each script moves it from one to the next in one step, on the server's clock.
"""

CLAIM = """
-- KEYS: in-flight list, unacked, unacked_index.  ARGV: entry, delivery tag, what follows the entry in unacked.
-- 1: this delivery is ours; 0: somebody took the entry back meanwhile.
if redis.call('HEXISTS', KEYS[2], ARGV[2]) == 1 then return 1 end
if redis.call('LREM', KEYS[1], 1, ARGV[1]) == 0 then return 0 end
local now = redis.call('TIME')
redis.call('ZADD', KEYS[3], string.format('%d.%06d', now[1], now[2]), ARGV[2])
redis.call('HSET', KEYS[2], ARGV[2], '[' .. ARGV[1] .. ARGV[3])
return 1
"""

TAKE = """
-- KEYS: queue, in-flight list, queue, in-flight list, …: pops from the first queue that holds anything.
for i = 1, #KEYS, 2 do
    local entry = redis.call('LMOVE', KEYS[i], KEYS[i + 1], 'RIGHT', 'LEFT')
    if entry then return {KEYS[i], entry} end
end
return false
"""

DROP = """
-- KEYS: in-flight list.  ARGV: entry.  For consumers that want no acknowledgement.
return redis.call('LREM', KEYS[1], 1, ARGV[1])
"""

GIVE_BACK = """
-- KEYS: in-flight list, queue.  ARGV: entry.  Back to the end from which the queue is read.
if redis.call('LREM', KEYS[1], 1, ARGV[1]) == 0 then return 0 end
redis.call('RPUSH', KEYS[2], ARGV[1])
return 1
"""

BEAT = """
-- KEYS: consumers.
-- ARGV: prefix of in-flight lists, seconds until dead, seconds until forgotten, leave ('1' or ''), own members…
-- Own lists are emptied into their queues: the caller has no pop outstanding, so whatever is there was popped
-- for a connection that is gone. Lists of the dead likewise. A member stays known long after its last beat,
-- because a pop that was under way in a cut connection may still fill its list.
-- Returns member, count, member, count, … of what went back.
local now = redis.call('TIME')
now = now[1] + now[2] / 1000000
local returned = {}
local function empty(member)
    local queue = string.sub(member, string.find(member, ':', 1, true) + 1)
    local count = 0
    while redis.call('LMOVE', ARGV[1] .. member, queue, 'LEFT', 'RIGHT') do count = count + 1 end
    if count > 0 then
        returned[#returned + 1] = member
        returned[#returned + 1] = count
    end
end
for i = 5, #ARGV do
    if ARGV[4] == '1' then redis.call('ZREM', KEYS[1], ARGV[i])
    else redis.call('ZADD', KEYS[1], now, ARGV[i]) end
    empty(ARGV[i])
end
local dead = redis.call('ZRANGE', KEYS[1], '-inf', now - ARGV[2], 'BYSCORE')
for _, member in ipairs(dead) do empty(member) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[3])
return returned
"""

SET_ASIDE_ENTRY = """
-- KEYS: in-flight list, dead letters.  ARGV: limit, entry, queue, reason, detail.
if redis.call('LREM', KEYS[1], 1, ARGV[2]) == 0 then return false end
return redis.call('XADD', KEYS[2], 'MAXLEN', ARGV[1], '*',
    'entry', ARGV[2], 'queue', ARGV[3], 'reason', ARGV[4], 'detail', ARGV[5])
"""

SET_ASIDE_CLAIMED = """
-- KEYS: unacked, unacked_index, dead letters.  ARGV: limit, entry, queue, reason, detail, delivery tag.
if redis.call('HDEL', KEYS[1], ARGV[6]) == 0 then return false end
redis.call('ZREM', KEYS[2], ARGV[6])
return redis.call('XADD', KEYS[3], 'MAXLEN', ARGV[1], '*',
    'entry', ARGV[2], 'queue', ARGV[3], 'reason', ARGV[4], 'detail', ARGV[5])
"""

PUT_BACK = """
-- KEYS: unacked, unacked_index, queue…  ARGV: delivery tag, value as read before, entry to push, end.
-- 0: acknowledged or put back by somebody else since the value was read.
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
for i = 3, #KEYS do redis.call(ARGV[4], KEYS[i], ARGV[3]) end
return 1
"""

OVERDUE = """
-- KEYS: unacked_index, unacked.  ARGV: visibility timeout in seconds, limit (0: none).
-- Tags claimed longer ago than the timeout on the server's clock, latest first; an index row without its
-- message is removed on the way.
local now = redis.call('TIME')
local limit = {}
if ARGV[2] ~= '0' then limit = {'LIMIT', 0, ARGV[2]} end
local tags = redis.call('ZRANGE', KEYS[1], now[1] + now[2] / 1000000 - ARGV[1], '-inf', 'BYSCORE', 'REV',
    unpack(limit))
local overdue = {}
for _, tag in ipairs(tags) do
    if redis.call('HEXISTS', KEYS[2], tag) == 1 then overdue[#overdue + 1] = tag
    else redis.call('ZREM', KEYS[1], tag) end
end
return overdue
"""

REPLAY = """
-- KEYS: dead letters, queue.  ARGV: id, entry.  Behind what waits in the queue already.
if redis.call('XDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('LPUSH', KEYS[2], ARGV[2])
return 1
"""
