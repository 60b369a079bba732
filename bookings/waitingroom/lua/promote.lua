-- ARGV: epoch that PostgreSQL knows ('' not to compare), how many to look at, 1 when a worker's beat calls.
if ARGV[1] ~= '' and ARGV[1] ~= c.epoch then return {'STALE'} end
if ARGV[3] == '1' then redis.call('HSET', CFG, 'beat', whole(now)) end
local called, parked, lapsed, missed = promote(tonumber(ARGV[2]))
return {'OK', called, parked, lapsed, missed, c.state, redis.call('ZCARD', Q), redis.call('ZCARD', CALL), redis.call('ZCARD', ACT),
  redis.call('ZCARD', PARK), whole(now), c.jn or '0'}
