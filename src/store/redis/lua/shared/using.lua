-- uses: due, pool, tokens
local function unpool(t)
  if t[POOLED] == '1' then
    redis.call('ZREM', FREE .. t[KIND], t[ID])
    redis.call('ZREM', LEASED .. t[KIND], t[ID])
  end
end
local function markUsed(t)
  if t[STATE] ~= 'used' then
    redis.call('HSET', TOKENS .. t[ID], STATE, 'used')
    unwatch(t)
    unpool(t)
  end
end
