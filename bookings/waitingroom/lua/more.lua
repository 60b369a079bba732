-- ARGV: user, how often one slot may be made longer, by how many ms. For who is active and has not chosen yet.
local user = ARGV[1]
if c.state == 'rebuilding' then return answer('B') end
local till = redis.call('ZSCORE', ACT, user)
if not till or tonumber(till) <= now then return answer('N') end
if redis.call('HEXISTS', USED, user) == 1 then return answer('H') end
if tonumber(redis.call('HGET', KEY, user .. '+') or 0) >= tonumber(ARGV[2]) then return answer('X') end
redis.call('HINCRBY', KEY, user .. '+', 1)
till = whole(tonumber(till) + tonumber(ARGV[3]))
redis.call('ZADD', ACT, 'XX', till, user)
note('e', user, till)
return answer('A', till, '', redis.call('HGET', KEY, user) or '')
