-- uses: announcements, clock, due, filling, indexes, keys, places, records, refusals, tokens
-- Puts new tokens. ARGV: channel, merchant, ttl, accept, most unexpected, then 8 fields a token.
-- Answers the outcome for each token, then the time of arrival.
local accept, most = ARGV[4], tonumber(ARGV[5])
local order = time[1] * 1000000 + time[2]
-- As text: Redis formats each number again for each command.
local arrived, ends = string.format('%.0f', now), string.format('%.0f', now + tonumber(ARGV[3]))
local tokens, named, keys, places, any = {}, {}, {}, {}, {}
for at = 6, #ARGV, 8 do
  local i = #tokens + 1
  -- With all its fields at once: a table that grows costs far more.
  local t = {
    [ID] = ARGV[at], [KIND] = ARGV[at + 1], [VALUE] = ARGV[at + 2], [POOLED] = ARGV[at + 3],
    [MERCHANT_DATA] = ARGV[at + 4], [SID] = ARGV[at + 5], [MERCHANT_USN] = ARGV[at + 6], [ORDER_ID] = ARGV[at + 7],
    [RECEIVED] = arrived, [EXPIRES] = ends, [ORDER] = string.format('%.0f', order + i), [DELIVERIES] = '0', [STATE] = '',
  }
  tokens[i], named[i], keys[i] = t, topics(t), TOKENS .. t[ID]
  any[#any + 1] = keys[i]
  for _, topic in ipairs(named[i]) do
    places[#places + 1] = OPEN .. t[KIND] .. ':' .. topic
    if t[POOLED] ~= '1' then
      for _, kind in ipairs(KINDS) do any[#any + 1] = INDEX .. kind .. ':' .. topic end
    end
  end
end
-- A call costs more than the command that it runs: ask and write for all tokens at once. Fresh:
-- Redis has none of the tokens, and no other token under one of their topics.
local isFresh = redis.call('EXISTS', unpack(any)) == 0
local here = isFresh and 0 or redis.call('EXISTS', unpack(keys))
local isAnyExpected = #places > 0 and redis.call('EXISTS', unpack(places)) > 0
-- Number of tokens of this call, by topic.
local answers, kept, watched, seen, count = {}, {}, {}, {}, {}
for i, t in ipairs(tokens) do
  if seen[t[ID]] or here == #tokens or (here > 0 and redis.call('EXISTS', keys[i]) == 1) then
    answers[i] = 'known'
  else
    seen[t[ID]] = true
    t[STATE] = ((isAnyExpected and fill(t)) or accept == 'any') and 'live' or 'unexpected'
    -- Index first: if the script fails there, the token does not count as known.
    if t[STATE] == 'live' then index(t, named[i]) end
    record(t)
    if t[STATE] == 'live' then
      watched[#watched + 1], watched[#watched + 2] = ends, dueToken(t)
      kept[#kept + 1] = i
      for _, topic in ipairs(named[i]) do count[topic] = (count[topic] or 0) + 1 end
      answers[i] = 'kept'
    else
      refuse(t, most)
      answers[i] = 'unexpected'
    end
  end
end
if #kept == 0 then
  answers[#answers + 1] = arrived
  return answers
end
if redis.call('ZADD', DUE, 'NX', unpack(watched)) * 2 == #watched then
  keep(DUE, now + tonumber(ARGV[3]) + 60000)
else
  for _, i in ipairs(kept) do watch(tokens[i]) end
end
-- The announcement carries a token that is the only one under each of its topics: readers need not
-- ask for it. The token precedes its topics, in a line that begins with a tab; a tab alone carries
-- none. Older versions treat such a line as a topic without waiters.
local function carried(i)
  local t = tokens[i]
  if not isFresh or t[POOLED] == '1' then return '\t' end
  for _, topic in ipairs(named[i]) do
    if count[topic] > 1 then return '\t' end
  end
  local token = '\t' .. t[ID] .. '\t' .. t[KIND] .. '\t' .. t[VALUE] .. '\t' .. arrived .. '\t' .. ends
  return token .. '\t' .. t[MERCHANT_DATA] .. '\t' .. t[SID] .. '\t' .. t[MERCHANT_USN] .. '\t' .. t[ORDER_ID]
end
local under = {}
for _, i in ipairs(kept) do
  under[#under + 1] = carried(i)
  for _, topic in ipairs(named[i]) do under[#under + 1] = topic end
end
announce(ARGV[1], ARGV[2], under)
answers[#answers + 1] = arrived
return answers
