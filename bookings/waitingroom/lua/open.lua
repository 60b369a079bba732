-- ARGV: ms of lenience. Everybody drawn is in line; those there at opening are not passed over for a while.
if c.state == 'drawing' then
  redis.call('UNLINK', DRAW, GONE)
  redis.call('HSET', CFG, 'state', 'open', 'hbfrom', whole(now + tonumber(ARGV[1])))
  c.state, c.hbfrom = 'open', now + tonumber(ARGV[1])
  promote(SWEEP)
end
return {'OK', c.state}
