-- Prefix of the merchant's keys: they share one cluster slot.
local prefix = KEYS[1]
-- Extends a key's life to a time, and never shortens it. Most keys have an end: GT comes first.
local function keep(key, at)
  if redis.call('PEXPIREAT', key, at, 'GT') == 0 then redis.call('PEXPIREAT', key, at, 'NX') end
end
