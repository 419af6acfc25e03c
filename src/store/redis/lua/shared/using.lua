-- uses: due, pool, tokens
local function unlist(tokens)
  local watched, pooled = {}, {}
  for _, t in ipairs(tokens) do
    watched[#watched + 1] = dueToken(t)
    if t[POOLED] == '1' then
      local ids = pooled[t[KIND]] or {}
      ids[#ids + 1], pooled[t[KIND]] = t[ID], ids
    end
  end
  if #watched > 0 then redis.call('ZREM', DUE, unpack(watched)) end
  for kind, ids in pairs(pooled) do
    redis.call('ZREM', FREE .. kind, unpack(ids))
    redis.call('ZREM', LEASED .. kind, unpack(ids))
  end
end
local function markUsed(t)
  if t[STATE] ~= 'used' then
    redis.call('HSET', TOKENS .. t[ID], STATE, 'used')
    unlist({ t })
  end
end
