-- uses: all-places, closing, expectations, tokens
-- The expectations under a topic, oldest first. A script reads them once; fillPlace updates them.
-- The time of arrival of an expectation's token is read on demand.
local placesOf = {}
local function placesUnder(kind, topic)
  local under = kind .. ':' .. topic
  if not placesOf[under] then
    local places = {}
    for _, id in ipairs(redis.call('ZRANGE', ALL_PLACES .. under, 0, -1)) do
      local e = redis.call('HMGET', EXPECTATIONS .. id, OPENED, ENDS, CANCELLED, TOKEN_FILLING)
      if e[1] then
        local since, upto = math.floor(e[1] / 1000), math.min(tonumber(e[2]), tonumber(e[3] or e[2]))
        places[#places + 1] = { id = id, kind = kind, topic = topic, since = since, upto = upto, token = e[4] }
      end
    end
    placesOf[under] = places
  end
  return placesOf[under]
end
local function fillPlace(e, id)
  if not e.token then close(e.id, e.kind, e.topic) end
  e.token, e.received = id, nil
  redis.call('HSET', EXPECTATIONS .. e.id, TOKEN_FILLING, id)
end
local function placeOf(id, kind, topic)
  for _, e in ipairs(placesUnder(kind, topic)) do
    if e.token == id then return e end
  end
end
-- Gives a token an expectation that was open when the token arrived. Tokens are not judged in order
-- of arrival: the latest may hold the place of an earlier one. The latest then moves to a place
-- that was opened later.
local function seat(t)
  local moves, mover = {}, t
  for _ = 1, 100 do
    local arrived, latest = tonumber(mover[RECEIVED]), nil
    for _, topic in ipairs(topics(mover)) do
      for _, e in ipairs(placesUnder(mover[KIND], topic)) do
        if e.since <= arrived and arrived < e.upto then
          if not e.token then
            fillPlace(e, mover[ID])
            for _, move in ipairs(moves) do fillPlace(move[1], move[2]) end
            return true
          end
          if not e.received then e.received = tonumber(redis.call('HGET', TOKENS .. e.token, RECEIVED) or 0) end
          if not latest or e.received > latest.received then latest = e end
        end
      end
    end
    local holder = latest and latest.received > arrived and get(latest.token)
    if not holder then return false end
    moves[#moves + 1] = { latest, mover[ID] }
    mover = holder
  end
  return false
end
local function judge(t)
  for _, topic in ipairs(topics(t)) do
    if placeOf(t[ID], t[KIND], topic) then return true end
  end
  return seat(t)
end
