-- What every script of the line begins with. KEYS are always the same 15, all of one event, in one Cluster slot.
local CFG, Q, CALL, ACT, PARK, KEY, USED, MISSED, EV, DRAW, GONE, FIN = unpack(KEYS, 1, 12)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)  -- one clock for every process
local LATE = 4503599627370496  -- 2^52: who comes after opening is behind everyone drawn
local SWEEP = 500  -- how many one call moves at most, so that none takes long

local function whole(number) return string.format('%.0f', number) end

local NAMES = {'epoch', 'state', 'max', 'slot', 'claim', 'rate', 'lobby', 'opens', 'closes', 'seats', 'hbfrom', 'hbi', 'hbn',
  'hbp', 'hm0', 'hm1', 'hm2', 'tick', 'beat', 'asked', 'period', 'tok', 'tokat', 'ew', 'ewat', 'ewn', 'ewc', 'message', 'jn', 'revision',
  'drain'}
local c = {}
do
  local found = redis.call('HMGET', CFG, unpack(NAMES))
  for i = 1, #NAMES do c[NAMES[i]] = found[i] end
end
local function num(name) return tonumber(c[name] or 0) or 0 end

if not c.epoch then return {'STALE'} end
-- Openings and closings by the clock hold from their millisecond on, whoever writes them down later.
if c.state == 'closed' then
  if num('opens') > 0 and now >= num('opens') and num('lobby') == 0 then c.state = 'open'
  elseif num('lobby') > 0 and now >= num('lobby') then c.state = 'lobby' end
end
if num('closes') > 0 and now >= num('closes') and c.state ~= 'sold_out' and c.state ~= 'rebuilding' then c.state = 'ended' end

local function note(what, user, value, extra)
  local number = redis.call('HINCRBY', CFG, 'jn', 1)
  if extra then redis.call('XADD', EV, '*', 'o', what, 'u', user, 'v', value, 'n', whole(number), 'x', extra)
  else redis.call('XADD', EV, '*', 'o', what, 'u', user, 'v', value, 'n', whole(number)) end
end

-- Presence: three bitmaps used in turn; a bit stands for a person, now and then for two, which does no harm.
local function bit(user, size)
  local a, b, d = string.byte(user, 14, 16)
  return (a * 65536 + b * 256 + d) % size
end
local function turn_bitmaps()
  if now >= num('hbn') then
    local i = (num('hbi') + 1) % 3
    local people = redis.call('ZCARD', Q) + redis.call('ZCARD', PARK)
    local size = people < 4000 and 65536 or (people < 60000 and 1048576 or 16777216)
    redis.call('UNLINK', KEYS[13 + i])
    c.hbi, c.hbn, c['hm' .. i] = i, now + math.max(num('hbp'), math.floor(people / 400) * 1000), size
    redis.call('HSET', CFG, 'hbi', i, 'hbn', whole(c.hbn), 'hm' .. i, size)
  end
end
local function mark_present(user)
  turn_bitmaps()
  local i = num('hbi')
  redis.call('SETBIT', KEYS[13 + i], bit(user, num('hm' .. i)), 1)
end
local function is_present(user)
  for back = 0, 2 do  -- the newest first: who looks as told is in it, mostly
    local i = (num('hbi') - back) % 3
    local size = num('hm' .. i)
    if size > 0 and redis.call('GETBIT', KEYS[13 + i], bit(user, size)) == 1 then return true end
  end
  return false
end

-- Ends somebody's slot. `what`: f done, x lapsed, d dropped, l left.
local function end_slot(user, what, extra)
  redis.call('ZREM', ACT, user)
  redis.call('ZREM', CALL, user)
  redis.call('HDEL', KEY, user, user .. '+')
  redis.call('HDEL', USED, user)
  if what == 'l' then redis.call('HDEL', FIN, user) else redis.call('HSET', FIN, user, what) end
  note(what, user, whole(now), extra)
end

local function activate(user)
  local till = whole(now + num('slot'))
  redis.call('ZREM', CALL, user)
  redis.call('ZADD', ACT, till, user)
  note('a', user, till)
  return till
end

local function back_in_line(user)
  local key = redis.call('ZSCORE', PARK, user)
  if not key then return nil end
  redis.call('ZREM', PARK, user)
  redis.call('ZADD', Q, key, user)
  note('r', user, key)
  return key
end

-- How many may be called now: room, seats that nobody in the room has spoken for, and the rate per minute.
local function room()
  local called, active = redis.call('ZCARD', CALL), redis.call('ZCARD', ACT)
  local free = num('max') - called - active
  if c.seats and num('seats') >= 0 then
    free = math.min(free, num('seats') - called - active + redis.call('HLEN', USED))
  end
  if num('rate') > 0 and free > 0 then
    local burst = math.max(1, num('rate') / 12)
    local tokens = math.min(burst, c.tok and num('tok') + (now - num('tokat')) * num('rate') / 60000 or burst)
    c.tok = tokens
    free = math.min(free, math.floor(tokens))
  end
  return free
end

-- How fast the line moves, as an average that forgets within minutes; it stands still while nobody waits or may go.
local function measure(moved)
  if redis.call('ZCARD', Q) == 0 or not c.ewat then
    redis.call('HSET', CFG, 'ewat', whole(now), 'ewn', 0)
    return
  end
  local count, took = num('ewn') + moved, now - num('ewat')
  if took < 5000 then
    if moved > 0 then redis.call('HSET', CFG, 'ewn', count) end
    return
  end
  local speed = count / took * 1000
  if c.ew then speed = num('ew') + (1 - math.exp(-took / 60000)) * (speed - num('ew')) end
  redis.call('HSET', CFG, 'ew', string.format('%.9f', speed), 'ewat', whole(now), 'ewn', 0, 'ewc', num('ewc') + count)
end

local function promote(limit)
  redis.call('HSET', CFG, 'tick', whole(now))
  c.tick = now
  if c.state == 'rebuilding' then return 0, 0, 0, 0 end
  turn_bitmaps()
  local over = redis.call('ZRANGEBYSCORE', ACT, '-inf', now, 'LIMIT', 0, SWEEP)
  for i = 1, #over do end_slot(over[i], 'x') end
  local silent = redis.call('ZRANGEBYSCORE', CALL, '-inf', now, 'LIMIT', 0, SWEEP)
  for i = 1, #silent do
    local user, key = silent[i], redis.call('HGET', KEY, silent[i])
    if redis.call('SADD', MISSED, user) == 1 and key then
      redis.call('ZREM', CALL, user)
      redis.call('HDEL', KEY, user)
      redis.call('ZADD', PARK, key, user)
      note('n', user, key)
    else
      redis.call('SREM', MISSED, user)
      end_slot(user, 'd')
    end
  end
  local called, parked = 0, 0
  if c.state == 'open' then
    local free = room()
    local lenient = now < num('hbfrom')
    local till = whole(now + num('claim'))
    while called < free and called + parked < limit do
      -- As many as may be called are taken at once: each of them is called or parked, and a tick of fifty costs few commands.
      local heads = redis.call('ZPOPMIN', Q, math.min(free - called, limit - called - parked))
      if #heads == 0 then break end
      local number = redis.call('HINCRBY', CFG, 'jn', #heads / 2) - #heads / 2
      local calls, keys, parks = {}, {}, {}
      for i = 1, #heads, 2 do
        local user, key = heads[i], heads[i + 1]
        number = number + 1
        if lenient or is_present(user) then
          calls[#calls + 1], calls[#calls + 2] = till, user
          keys[#keys + 1], keys[#keys + 2] = user, key
          redis.call('XADD', EV, '*', 'o', 'c', 'u', user, 'v', till, 'n', whole(number))
        else
          parks[#parks + 1], parks[#parks + 2] = key, user
          redis.call('XADD', EV, '*', 'o', 'p', 'u', user, 'v', key, 'n', whole(number))
        end
      end
      if #calls > 0 then
        redis.call('ZADD', CALL, unpack(calls))
        redis.call('HSET', KEY, unpack(keys))
      end
      if #parks > 0 then redis.call('ZADD', PARK, unpack(parks)) end
      called, parked = called + #calls / 2, parked + #parks / 2
    end
    if num('rate') > 0 and c.tok then
      redis.call('HSET', CFG, 'tok', string.format('%.6f', num('tok') - called), 'tokat', whole(now))
    end
    measure(called + parked)
  end
  return called, parked, #over, #silent
end

-- The answer about one person: code, what all share, then what depends on the code.
local function answer(code, a, b, key)
  local asks = 0
  if now - num('beat') > 3 * num('period') and now >= num('asked') then
    redis.call('HSET', CFG, 'asked', whole(now + num('period')))
    asks = 1
  end
  return {code, c.state, c.epoch, whole(now), a or '', b or '', key or '', c.opens or '0', c.ew or '', c.ewc or '0',
    c.seats or '-1', c.max or '0', whole(math.max(num('hbp'), math.floor(redis.call('ZCARD', Q) / 400) * 1000)), c.message or '', asks, c.lobby or '0'}
end

-- Says where somebody is, and takes note that they are there: who is called and comes has their slot from now on.
local function arrive(user)
  local rank = redis.call('ZRANK', Q, user)
  if not rank then
    local till = redis.call('ZSCORE', ACT, user)
    if till then
      if tonumber(till) <= now then return answer('F', 'x') end
      local used = redis.call('HGET', USED, user)
      return answer('A', till, (used and string.sub(used, 1, 2) ~= 'r:') and used or '', redis.call('HGET', KEY, user) or '')
    end
    local deadline = redis.call('ZSCORE', CALL, user)
    if deadline and tonumber(deadline) > now and c.state ~= 'rebuilding' then
      return answer('A', activate(user), '', redis.call('HGET', KEY, user) or '')
    end
    if redis.call('ZSCORE', DRAW, user) and redis.call('SISMEMBER', GONE, user) == 0 then
      mark_present(user)
      return answer('L', '', whole(redis.call('ZCARD', DRAW)))
    end
    if deadline and c.state ~= 'rebuilding' then promote(1) end  -- the call went unheard: it counts as missed from here on
    if c.state == 'rebuilding' or not back_in_line(user) then
      local fin = redis.call('HGET', FIN, user)
      if fin then return answer('F', fin) end
      return answer('N')
    end
    rank = redis.call('ZRANK', Q, user)
  end
  mark_present(user)
  if c.state == 'lobby' or c.state == 'closed' or c.state == 'drawing' then
    return answer('L', '', whole(redis.call('ZCARD', Q) + redis.call('ZCARD', DRAW)))
  end
  return answer('W', whole(rank), whole(redis.call('ZCARD', Q)), redis.call('ZSCORE', Q, user))
end
