-- What everybody may know of a line, and a page needs to work out its own place.
local head = redis.call('ZRANGE', Q, 0, 0, 'WITHSCORES')
return {'OK', c.state, c.epoch, whole(now), redis.call('ZCARD', Q), redis.call('ZCARD', CALL), redis.call('ZCARD', ACT),
  redis.call('ZCARD', PARK), redis.call('ZCARD', DRAW), head[2] or '', c.opens or '0', c.lobby or '0', c.ew or '', c.ewc or '0',
  c.seats or '-1', c.max or '0', c.message or '', c.rate or '0', redis.call('HLEN', USED), c.jn or '0', c.tick or '0',
  c.beat or '0', redis.call('XLEN', EV), c.closes or '0'}
