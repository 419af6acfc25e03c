-- The merchant's keys share this prefix and one cluster slot. Deadlines are by Redis' clock, in milliseconds.
local prefix = KEYS[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- Makes a key live at least until a time.
local function keep(key, at)
  if redis.call('PEXPIREAT', key, at, 'NX') == 0 then redis.call('PEXPIREAT', key, at, 'GT') end
end
