-- The merchant's keys share this prefix, and so one cluster slot.
local prefix = KEYS[1]
-- Makes a key live at least until a time.
local function keep(key, at)
  if redis.call('PEXPIREAT', key, at, 'NX') == 0 then redis.call('PEXPIREAT', key, at, 'GT') end
end
