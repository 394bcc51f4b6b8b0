-- The access tokens that the processes of an account share. They are sealed: nothing here can read one.

-- A sealed token of the greatest length that is accepted has about 11,000 characters.
local MAX_TEXT = 16384

-- Deletes what no process of ours has written, so that it reaches none.
local function is_strange(text)
  local strange = text and (#text > MAX_TEXT or string.find(text, '[^%w%._=-]')) and true or false
  if strange then redis.call('DEL', a.token) end
  return strange
end

-- Gives the token that is shared, unless it is the very one that the process has `seen` and wants to replace; else the
-- right to ask for a token, which one process has at a time.
function steps.look_for_token()
  local text = redis.call('GET', a.token)
  local strange = is_strange(text)
  if strange then text = nil end
  if text and text ~= a.seen then return {str(now), 'token', text} end
  if text and a.refused then redis.call('DEL', a.token) end
  if redis.call('SET', a.lease, a.owner, 'NX', 'PX', cfg.token_lease_ttl) then
    return {str(now), 'lease', strange and 'strange' or ''}
  end
  -- The same question again: its answer was lost on the way.
  if redis.call('GET', a.lease) == a.owner then return {str(now), 'lease', ''} end
  return {str(now), 'wait', ''}
end

-- Gives the right to ask back, if it is still the process's own.
function steps.leave_token()
  local is_own = redis.call('GET', a.lease) == a.owner
  if is_own then redis.call('DEL', a.lease) end
  return is_own and 1 or 0
end

-- Shares a new token. A process whose right has ended replaces nothing but what it has seen: another may have been
-- quicker, with a newer one.
function steps.share_token()
  local text = redis.call('GET', a.token)
  local may = steps.leave_token() == 1 or not text or text == a.seen
  local ttl = math.min(a.life_ms, cfg.token_ttl)
  if may then redis.call('SET', a.token, a.text, 'PX', ttl) end
  return may and 1 or 0
end
