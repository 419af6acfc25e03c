-- uses: clock, keys
local SEQUENCE = prefix .. 's'
-- Wakes the waiters under the topics, on every instance.
local function announce(channel, merchant, under)
  if #under == 0 then return end
  local sequence = redis.call('INCR', SEQUENCE)
  if sequence == 1 then sequence = redis.call('INCRBY', SEQUENCE, now) end
  redis.call('PEXPIRE', SEQUENCE, 120000)
  redis.call('PUBLISH', channel, merchant .. '\n' .. sequence .. '\n' .. table.concat(under, '\n'))
end
-- Reports a change to the instances that keep a copy of the token. Older versions skip the message:
-- its merchant is empty.
local function mirror(channel, merchant, id, what)
  redis.call('PUBLISH', channel, '\n' .. merchant .. '\n' .. id .. '\n' .. what)
end
