-- ARGV: seconds, how many at least. Who of those whose turn comes within so many seconds has not been there for a while.
local away = {}
if c.state == 'open' then
  local near = math.min(SWEEP, math.max(tonumber(ARGV[2]), math.ceil(num('ew') * tonumber(ARGV[1]))))
  local heads = redis.call('ZRANGE', Q, 0, near - 1)
  for i = 1, #heads do
    if not is_present(heads[i]) then away[#away + 1] = heads[i] end
  end
end
return {'OK', c.state, away}
