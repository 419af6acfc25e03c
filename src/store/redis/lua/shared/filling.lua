-- uses: clock, due, expectations, places, tokens
local function fill(t)
  local filled = false
  for _, topic in ipairs(topics(t)) do
    local open = OPEN .. t[KIND] .. ':' .. topic
    while true do
      -- Out of memory, Redis refuses a script at its first write, if that write needs memory. This
      -- one does.
      local id = redis.call('ZRANGE', open, 0, 0)[1]
      if not id then break end
      local ends = redis.call('HGET', EXPECTATIONS .. id, ENDS)
      local isOpen = ends and tonumber(ends) > now
      if isOpen then redis.call('HSET', EXPECTATIONS .. id, TOKEN_FILLING, t[ID]) end
      redis.call('ZREM', open, id)
      if isOpen then
        redis.call('ZREM', DUE, dueExpectation(t[KIND], id))
        filled = true
        break
      end
    end
  end
  return filled
end
