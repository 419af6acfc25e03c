-- uses: clock, expectations, indexes, tokens, values
-- Limit of distinct tokens, as in token.ts.
local MOST_DISTINCT = 100
local function find(topic, kind)
  local live, used, distinct = nil, false, 0
  for _, of in ipairs(kind == '' and KINDS or { kind }) do
    local newest, at = nil, 0
    repeat
      local ids = redis.call('ZREVRANGE', INDEX .. of .. ':' .. topic, at, at + MOST_DISTINCT - 1)
      at = at + #ids
      for _, id in ipairs(ids) do
        local t = get(id)
        local state = t and isUnder(t, topic) and t[STATE]
        if state == 'used' then used = true
        elseif state == 'live' then
          distinct = distinct + 1
          if not newest and opens(t) then newest = t end
        end
      end
    until #ids < MOST_DISTINCT or distinct >= MOST_DISTINCT
    if newest and (not live or tonumber(newest[ORDER]) > tonumber(live[ORDER])) then live = newest end
  end
  return live, used, math.min(distinct, MOST_DISTINCT)
end
-- A live token that the caller cannot open is available to others: the answer is neither used nor
-- cancelled.
local function absent(topic, kind, used)
  if unknownKey then return { 'none', false, false, unknownKey } end
  local newest, cancelled = 0, false
  local flat = redis.call('HGETALL', NEWEST .. topic)
  for i = 1, #flat, 2 do
    if kind == '' or flat[i] == kind then
      local e = redis.call('HMGET', EXPECTATIONS .. flat[i + 1], OPENED, ENDS, CANCELLED)
      if e[1] and tonumber(e[2]) > now and tonumber(e[1]) >= newest then newest, cancelled = tonumber(e[1]), e[3] ~= false end
    end
  end
  if cancelled then return { 'cancelled' } end
  return { used and 'used' or 'none' }
end
