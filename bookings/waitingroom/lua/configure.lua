-- ARGV: epoch, then field, value … What PostgreSQL says of the room. A draw under way is only ended by `open`.
if ARGV[1] ~= c.epoch then return {'STALE'} end
for i = 2, #ARGV, 2 do
  local name, value = ARGV[i], ARGV[i + 1]
  if name == 'state' and value ~= c.state and c.state == 'paused' then
    redis.call('HSET', CFG, 'ewat', whole(now), 'ewn', 0, 'tokat', whole(now))  -- nothing was measured while it stood still
  end
  if name ~= 'state' or c.state ~= 'drawing' or value == 'ended' then redis.call('HSET', CFG, name, value) end
end
return {'OK', c.state}
