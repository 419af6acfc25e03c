-- uses: indexes, keys, tokens
-- Unexpected tokens: one bounded set of all, and one set per topic. A later announcement may admit
-- a token.
local UNEXPECTED, REFUSED = prefix .. 'u', prefix .. 'r:'
local function refuse(t, most)
  redis.call('ZADD', UNEXPECTED, t[ORDER], t[ID])
  keep(UNEXPECTED, t[EXPIRES])
  for _, topic in ipairs(topics(t)) do place(REFUSED .. t[KIND] .. ':' .. topic, t[ORDER], t[ID], t[EXPIRES]) end
  while redis.call('ZCARD', UNEXPECTED) > most do
    redis.call('DEL', TOKENS .. redis.call('ZPOPMIN', UNEXPECTED)[1])
  end
end
