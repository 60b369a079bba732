-- ARGV: user, 1 to leave although a hold runs. The place goes to the next person in the same call.
local user = ARGV[1]
if c.state == 'rebuilding' then return answer('B') end
local used = redis.call('HGET', USED, user)
if used and ARGV[2] ~= '1' and redis.call('ZSCORE', ACT, user) then return answer('H') end
local in_draw = redis.call('ZSCORE', DRAW, user) and redis.call('SADD', GONE, user) == 1
local found = redis.call('ZREM', Q, user) + redis.call('ZREM', PARK, user)
if redis.call('ZSCORE', ACT, user) or redis.call('ZSCORE', CALL, user) then
  end_slot(user, 'l')
elseif found > 0 or in_draw then
  note('l', user, whole(now), (in_draw or c.state == 'lobby') and 'lobby' or nil)
else
  return answer('N')
end
redis.call('SREM', MISSED, user)
if c.state == 'open' then promote(SWEEP) end
return answer('OK')
