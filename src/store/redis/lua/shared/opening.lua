-- uses: all-places, clock, due, expectations, keys, places
local function openNow(id, kind, topic, opened, ends)
  local newest = redis.call('HGET', NEWEST .. topic, kind)
  if not newest or tonumber(redis.call('HGET', EXPECTATIONS .. newest, OPENED) or 0) <= tonumber(opened) then
    redis.call('HSET', NEWEST .. topic, kind, id)
  end
  keep(NEWEST .. topic, ends)
  local places = OPEN .. kind .. ':' .. topic
  for _, old in ipairs(redis.call('ZRANGE', places, 0, 2)) do
    if tonumber(redis.call('HGET', EXPECTATIONS .. old, ENDS) or 0) <= now then redis.call('ZREM', places, old) end
  end
  redis.call('ZADD', places, opened, id)
  keep(places, ends)
  redis.call('ZADD', DUE, ends, dueExpectation(kind, id))
  keep(DUE, ends + 60000)
end
local function open(id, kind, topic, opened, ends, retention)
  redis.call('HSET', EXPECTATIONS .. id, EXPECTED_KIND, kind, TOPIC, topic, OPENED, opened, ENDS, ends)
  redis.call('PEXPIREAT', EXPECTATIONS .. id, ends + retention)
  if ends > now then openNow(id, kind, topic, opened, ends) end
  if retention > 0 then
    local all = ALL_PLACES .. kind .. ':' .. topic
    for _, old in ipairs(redis.call('ZRANGE', all, 0, 2)) do
      if redis.call('EXISTS', EXPECTATIONS .. old) == 0 then redis.call('ZREM', all, old) end
    end
    redis.call('ZADD', all, opened, id)
    keep(all, ends + retention)
  end
end
