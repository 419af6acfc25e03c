-- uses: indexes, keys, tokens
-- Unexpected tokens: all of them, a bounded number, and those under a topic. A later announcement may admit one.
local UNEXPECTED, REFUSED = prefix .. 'u', prefix .. 'r:'
local function refuse(t, most)
  redis.call('ZADD', UNEXPECTED, t[ORDER], t[ID])
  keep(UNEXPECTED, t[EXPIRES])
  for _, topic in ipairs(topics(t)) do place(REFUSED .. t[KIND] .. ':' .. topic, t[ORDER], t[ID], t[EXPIRES]) end
  while redis.call('ZCARD', UNEXPECTED) > most do
    redis.call('DEL', TOKENS .. redis.call('ZPOPMIN', UNEXPECTED)[1])
  end
end
