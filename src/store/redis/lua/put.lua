-- uses: announcements, clock, due, filling, indexes, keys, places, records, refusals, tokens
-- ARGV: channel, merchant, ttl, accept, most unexpected, then 8 fields a token. Answers `put`'s
-- answer for each, and last when they arrived.
local accept, most = ARGV[4], tonumber(ARGV[5])
local order = time[1] * 1000000 + time[2]
-- As text: each number that is given to a command is printed anew.
local arrived, ends = string.format('%.0f', now), string.format('%.0f', now + tonumber(ARGV[3]))
local tokens, named, keys, places = {}, {}, {}, {}
for at = 6, #ARGV, 8 do
  local t = { [ID] = ARGV[at], [KIND] = ARGV[at + 1], [VALUE] = ARGV[at + 2], [POOLED] = ARGV[at + 3] }
  t[RECEIVED], t[EXPIRES], t[DELIVERIES] = arrived, ends, '0'
  t[MERCHANT_DATA], t[SID], t[MERCHANT_USN], t[ORDER_ID] = ARGV[at + 4], ARGV[at + 5], ARGV[at + 6], ARGV[at + 7]
  tokens[#tokens + 1], named[#named + 1], keys[#keys + 1] = t, topics(t), TOKENS .. t[ID]
  for _, topic in ipairs(named[#named]) do places[#places + 1] = OPEN .. t[KIND] .. ':' .. topic end
end
-- To call a command costs more than the command: what can be asked or written for all at once is.
local here, isAnyExpected = redis.call('EXISTS', unpack(keys)), #places > 0 and redis.call('EXISTS', unpack(places)) > 0
local answers, under, watched, seen = {}, {}, {}, {}
for i, t in ipairs(tokens) do
  if seen[t[ID]] or here == #tokens or (here > 0 and redis.call('EXISTS', keys[i]) == 1) then
    answers[i] = 'known'
  else
    seen[t[ID]] = true
    t[ORDER] = string.format('%.0f', order + i)
    t[STATE] = ((isAnyExpected and fill(t)) or accept == 'any') and 'live' or 'unexpected'
    -- First the index: should the script fail there, the token is not taken for one that is here.
    if t[STATE] == 'live' then index(t, named[i]) end
    record(t)
    if t[STATE] == 'live' then
      watched[#watched + 1], watched[#watched + 2] = ends, dueToken(t)
      for _, topic in ipairs(named[i]) do under[#under + 1] = topic end
      answers[i] = 'kept'
    else
      refuse(t, most)
      answers[i] = 'unexpected'
    end
  end
end
if #under == 0 then
  answers[#answers + 1] = arrived
  return answers
end
if redis.call('ZADD', DUE, 'NX', unpack(watched)) * 2 == #watched then
  keep(DUE, now + tonumber(ARGV[3]) + 60000)
else
  for i, t in ipairs(tokens) do if answers[i] == 'kept' then watch(t) end end
end
announce(ARGV[1], ARGV[2], under)
answers[#answers + 1] = arrived
return answers
