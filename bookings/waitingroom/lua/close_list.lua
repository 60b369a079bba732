-- Closes the lobby's list: from here on everybody new stands behind it. Nothing moves until `open`.
if c.state == 'lobby' then
  if redis.call('EXISTS', Q) == 1 then redis.call('RENAME', Q, DRAW) end
  redis.call('HSET', CFG, 'state', 'drawing')
  c.state = 'drawing'
end
return {'OK', c.state, redis.call('ZCARD', DRAW), c.jn or '0'}
