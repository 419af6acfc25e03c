-- uses: claims, keys, pool, tokens
-- A script may fail at any command. A token in two sets is harmless; a token in none is lost. Add
-- before removing.
local function putBack(t, claim)
  if t[POOLED] == '1' then
    redis.call('ZADD', FREE .. t[KIND], t[ORDER], t[ID])
    keep(FREE .. t[KIND], t[EXPIRES])
    redis.call('ZREM', LEASED .. t[KIND], t[ID])
  end
  redis.call('HSET', CLAIMS .. claim, RELEASED, '1')
  redis.call('HDEL', TOKENS .. t[ID], CLAIM, LEASE_ENDS, RENEWALS)
end
