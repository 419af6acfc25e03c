-- uses: due, indexes, refusals, tokens
-- Admits a refused token that was expected.
local function admit(t)
  t[STATE] = 'live'
  redis.call('HSET', TOKENS .. t[ID], STATE, 'live')
  redis.call('ZREM', UNEXPECTED, t[ID])
  for _, topic in ipairs(topics(t)) do redis.call('ZREM', REFUSED .. t[KIND] .. ':' .. topic, t[ID]) end
  index(t)
  if not t[SEEN] and tonumber(t[DELIVERIES]) == 0 then watch(t) end
end
