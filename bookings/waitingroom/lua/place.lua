-- ARGV: how many of the list are done with these, then order key, user, order key, user … Puts people who were drawn at their
-- places; again changes nothing.
if c.state ~= 'drawing' then return {'OK', 0} end
local placed = 0
for i = 2, #ARGV, 2 do
  if redis.call('SISMEMBER', GONE, ARGV[i + 1]) == 0 then placed = placed + redis.call('ZADD', Q, 'NX', ARGV[i], ARGV[i + 1]) end
end
redis.call('HSET', CFG, 'placed', ARGV[1])
return {'OK', placed}
