-- ARGV: user, booking, its new deadline.
if redis.call('HGET', USED, ARGV[1]) ~= ARGV[2] then return answer('N') end
redis.call('ZADD', ACT, 'XX', ARGV[3], ARGV[1])
note('e', ARGV[1], ARGV[3])
return answer('OK')
