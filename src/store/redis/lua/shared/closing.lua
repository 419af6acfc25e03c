-- uses: due, places
local function close(id, kind, topic)
  redis.call('ZREM', OPEN .. kind .. ':' .. topic, id)
  redis.call('ZREM', DUE, dueExpectation(kind, id))
end
