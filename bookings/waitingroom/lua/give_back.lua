-- ARGV: user, nonce. The hold that `take` reserved the slot for was refused: another try may have it.
local used = redis.call('HGET', USED, ARGV[1])
local by = used and string.match(used, '^r:%d+:(.+)$')
if by == ARGV[2] then redis.call('HDEL', USED, ARGV[1]) end
return answer('OK')
