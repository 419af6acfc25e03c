-- uses: admitting, announcements, clock, closing, expectations, opening, refusals, tokens, verdicts
-- Merges expectations that were announced elsewhere, or that may be lost here; a cancellation wins.
-- An unfilled expectation admits the first token that was refused during its time, or makes room
-- for an earlier one. ARGV: channel, merchant, for how long a verdict may be put off (0 where none
-- is demanded), '1' to judge refused tokens again, then 7 fields an expectation, oldest first: id,
-- kind, topic, when it was opened (in microseconds), when it ends, when it was cancelled or '', its
-- token or ''. Times are by Redis' clock. Answers how many refused tokens are live now. Then follow
-- the id and the time of each cancellation that only Redis knew.
local retention = tonumber(ARGV[3])
local admitted, under, answer = 0, {}, {}
local function say(t)
  admitted = admitted + 1
  for _, topic in ipairs(topics(t)) do under[#under + 1] = topic end
end
local filled, touched = {}, {}
for at = 5, #ARGV, 7 do
  local id, kind, topic, opened, ends = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  local cancelled, token = ARGV[at + 5], ARGV[at + 6]
  local e = redis.call('HMGET', EXPECTATIONS .. id, OPENED, ENDS, CANCELLED, TOKEN_FILLING)
  if e[1] or ends + retention > now then
    if not e[1] then
      open(id, kind, topic, opened, tonumber(ends), retention)
    elseif tonumber(opened) < tonumber(e[1]) then
      redis.call('HSET', EXPECTATIONS .. id, OPENED, opened)
    end
    if cancelled ~= '' and (not e[3] or tonumber(cancelled) < tonumber(e[3])) then
      if not e[3] then under[#under + 1] = topic end
      redis.call('HSET', EXPECTATIONS .. id, CANCELLED, cancelled)
      close(id, kind, topic)
    elseif cancelled == '' and e[3] then
      answer[#answer + 1], answer[#answer + 2] = id, e[3]
    end
    if token ~= '' and not e[4] then filled[#filled + 1] = { id = id, kind = kind, topic = topic, token = token } end
    local key = kind .. ':' .. topic
    if not e[4] then touched[key] = math.min(touched[key] or opened, opened) end
  end
end
-- A token that also came to another instance may have another place here: then this place is free.
for _, e in ipairs(filled) do
  if retention == 0 then
    redis.call('HSET', EXPECTATIONS .. e.id, TOKEN_FILLING, e.token)
    close(e.id, e.kind, e.topic)
  elseif not placeOf(e.token, e.kind, e.topic) then
    for _, place in ipairs(placesUnder(e.kind, e.topic)) do
      if place.id == e.id then fillPlace(place, e.token) end
    end
  end
  local t = get(e.token)
  if t and t[STATE] == 'unexpected' then
    admit(t)
    say(t)
  end
end
local function reconsider(refused)
  for _, id in ipairs(refused) do
    local t = get(id)
    if t and t[STATE] == 'unexpected' and judge(t) then
      admit(t)
      say(t)
    end
  end
end
for key, opened in pairs(retention > 0 and ARGV[4] == '1' and touched or {}) do
  local since = string.format('%.0f', math.floor(opened / 1000) * 1000)
  reconsider(redis.call('ZRANGEBYSCORE', REFUSED .. key, since, '+inf', 'LIMIT', 0, 100))
  reconsider(redis.call('ZREVRANGEBYSCORE', REFUSED .. key, '(' .. since, '-inf', 'LIMIT', 0, 100))
end
announce(ARGV[1], ARGV[2], under)
return { admitted, unpack(answer) }
