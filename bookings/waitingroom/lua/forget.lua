-- ARGV: user. What they bought is cancelled: they may line up again.
redis.call('HDEL', FIN, ARGV[1])
return answer('OK')
