-- ARGV: user, booking ('' for any), f|x what became of it, seats that came back. Frees the slot and calls the next person.
-- A slot that another booking uses, or none, is left alone: releasing twice frees one slot.
local user, booking = ARGV[1], ARGV[2]
local used = redis.call('HGET', USED, user)
local fits = booking == '' or (used and (used == booking or string.sub(used, 1, 2) == 'r:'))
if not redis.call('ZSCORE', ACT, user) or not fits then
  if ARGV[3] == 'f' and redis.call('HEXISTS', FIN, user) == 1 then redis.call('HSET', FIN, user, 'f') end
  return answer('N')
end
end_slot(user, ARGV[3])
if c.seats and num('seats') >= 0 and tonumber(ARGV[4]) > 0 then
  c.seats = whole(redis.call('HINCRBY', CFG, 'seats', ARGV[4]))
end
promote(SWEEP)
return answer('OK')
