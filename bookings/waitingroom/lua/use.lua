-- ARGV: user, booking, its deadline, seats it took. The slot now lasts as long as the hold.
local user, booking, till = ARGV[1], ARGV[2], ARGV[3]
if redis.call('HGET', USED, user) == booking then return answer('OK') end
redis.call('ZREM', CALL, user)
redis.call('ZREM', Q, user)
redis.call('ZREM', PARK, user)
redis.call('ZADD', ACT, till, user)
redis.call('HSET', USED, user, booking)
redis.call('HDEL', FIN, user)
note('b', user, till, booking)
if c.seats and num('seats') > 0 then redis.call('HSET', CFG, 'seats', math.max(0, num('seats') - tonumber(ARGV[4]))) end
return answer('OK')
