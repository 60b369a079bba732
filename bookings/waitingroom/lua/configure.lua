-- ARGV: epoch, revision, then field, value … What PostgreSQL says of the room. An older word than the last changes nothing,
-- and a state is never taken back: a lobby that was closed does not open again, and only `open` ends a draw.
if ARGV[1] ~= c.epoch then return {'STALE'} end
if tonumber(ARGV[2]) < num('revision') then return {'OK', c.state} end
local RANK = {closed = 0, lobby = 1, drawing = 2, open = 3, paused = 3, sold_out = 4, ended = 5}
redis.call('HSET', CFG, 'revision', ARGV[2])
for i = 3, #ARGV, 2 do
  local name, value = ARGV[i], ARGV[i + 1]
  if name ~= 'state' then
    redis.call('HSET', CFG, name, value)
  elseif RANK[value] and RANK[c.state] and RANK[value] >= RANK[c.state] and not (c.state == 'drawing' and value == 'open') then
    if c.state == 'paused' and value == 'open' then
      redis.call('HSET', CFG, 'ewat', whole(now), 'ewn', 0, 'tokat', whole(now))  -- nothing was measured while it stood still
    end
    redis.call('HSET', CFG, 'state', value)
  end
end
return {'OK', c.state}
