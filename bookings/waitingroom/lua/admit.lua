-- ARGV: user. Staff let somebody in out of turn; it is theirs at once and may exceed what the room holds.
local user = ARGV[1]
if c.state == 'rebuilding' then return answer('B') end
if redis.call('ZSCORE', ACT, user) or redis.call('ZSCORE', CALL, user) then return answer('A') end
local key = redis.call('ZSCORE', Q, user) or redis.call('ZSCORE', PARK, user)
  or whole(LATE + redis.call('HINCRBY', CFG, 'seq', 1))
redis.call('ZREM', Q, user)
redis.call('ZREM', PARK, user)
if redis.call('ZSCORE', DRAW, user) then redis.call('SADD', GONE, user) end
redis.call('SREM', MISSED, user)
redis.call('HDEL', FIN, user)
redis.call('HSET', KEY, user, key)
local till = whole(now + num('claim'))
redis.call('ZADD', CALL, till, user)
note('s', user, till, key)
return answer('OK', till)
