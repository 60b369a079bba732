-- ARGV: user, nonce, 1 if a signed admission of an older epoch stands behind it, its end. Reserves the slot for one hold:
-- of several tries at once one gets through.
local user, nonce = ARGV[1], ARGV[2]
local till = redis.call('ZSCORE', ACT, user)
if not till and c.state ~= 'rebuilding' then
  local deadline = redis.call('ZSCORE', CALL, user)
  if deadline and tonumber(deadline) > now then till = activate(user)
  elseif ARGV[3] == '1' and tonumber(ARGV[4]) > now then
    redis.call('ZREM', Q, user)
    redis.call('ZREM', PARK, user)
    redis.call('ZADD', ACT, ARGV[4], user)
    note('a', user, ARGV[4])
    till = ARGV[4]
  end
end
if not till or tonumber(till) <= now then
  redis.call('HINCRBY', CFG, 'refused', 1)
  return answer('N')
end
local used = redis.call('HGET', USED, user)
if used then
  local ends, by = string.match(used, '^r:(%d+):(.+)$')
  if not ends or (by ~= nonce and tonumber(ends) > now) then
    redis.call('HINCRBY', CFG, 'refused', 1)
    return answer('U')
  end
end
redis.call('HSET', USED, user, 'r:' .. whole(now + 15000) .. ':' .. nonce)
return answer('OK', till)
