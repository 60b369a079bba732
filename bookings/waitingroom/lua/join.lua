-- ARGV: user, order key from a place token that may be honoured ('' for none).
local user, restored = ARGV[1], ARGV[2]
if c.state == 'rebuilding' then return answer('B') end
if redis.call('ZSCORE', Q, user) or redis.call('ZSCORE', ACT, user) or redis.call('ZSCORE', CALL, user)
  or redis.call('ZSCORE', PARK, user)
  or (redis.call('ZSCORE', DRAW, user) and redis.call('SISMEMBER', GONE, user) == 0) then
  local known = arrive(user)
  if known[1] ~= 'F' then return known end
end
if redis.call('HGET', FIN, user) == 'f' then return answer('F', 'f') end
if c.drain == '1' and restored == '' then return answer('C') end
if redis.call('ZSCORE', ACT, user) then end_slot(user, 'x') end  -- over, and no sweep came by yet: told before the new place
local key
if c.state == 'lobby' then
  key = whole(redis.call('HINCRBY', CFG, 'seq', 1))
  note('j', user, key, 'lobby')
elseif c.state == 'open' or c.state == 'paused' or c.state == 'drawing' then
  key = restored ~= '' and restored or whole(LATE + redis.call('HINCRBY', CFG, 'seq', 1))
  note('j', user, key)
else
  return answer('C')
end
redis.call('HDEL', FIN, user)
redis.call('SREM', MISSED, user)
redis.call('ZADD', Q, key, user)
mark_present(user)
if c.state == 'open' then promote(SWEEP) end
return arrive(user)
