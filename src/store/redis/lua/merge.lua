-- uses: admitting, announcements, claims, clock, due, indexes, instances, keys, storing, tokens, using, verdicts
-- Merges tokens that were kept elsewhere, and inserts absent ones. Of two states the more advanced
-- wins. Of two claims the later delivery wins, then the later renewal. A token that is over by the
-- clock of Redis is not inserted. A token that is already here is indexed again: the script that
-- put it may have failed half-way.
-- ARGV: channel, merchant, most unexpected, the instance that must have asserted here or '', then
-- 19 fields a token: the 8 of put, its age, how long it has left, when it ends by the clock of
-- Redis or '', its state ('live', 'used' or 'deferred'), '1' if it was seen, its last claim or '',
-- how long that lease has left, deliveries, renewals, when it was taken, and its former claims:
-- 'id:taken', with '!' before ':' if released, separated by commas.
-- Taken: microseconds by the clock of Redis, or negative: minus the milliseconds since; '' if the
-- claim took another token after this one.
-- Answers for each token its current state and end; 'lost' if the instance has not asserted here.
local most = tonumber(ARGV[3])
if ARGV[4] ~= '' and redis.call('HEXISTS', INSTANCES, ARGV[4]) == 0 then return 'lost' end
local answers, under = {}, {}
local function say(t)
  for _, topic in ipairs(topics(t)) do under[#under + 1] = topic end
end
local function orderOf(taken)
  local order = tonumber(taken) or 0
  return order < 0 and (now + order) * 1000 or order
end
-- A claim id refers to the token that it took last.
local function remember(claim, t, taken, released)
  local key, order = CLAIMS .. claim, orderOf(taken)
  local c = redis.call('HMGET', key, TOKEN, TAKEN)
  -- The claim outlives the older token. Otherwise that token would come back under the id.
  if c[1] and (c[1] == t[ID] or tonumber(c[2] or 0) >= order) then return keep(key, t[EXPIRES]) end
  redis.call('HDEL', key, RELEASED, CALLS)
  redis.call('HSET', key, TOKEN, t[ID], TAKEN, string.format('%.0f', order))
  if released then redis.call('HSET', key, RELEASED, '1') end
  keep(key, t[EXPIRES])
end
for at = 5, #ARGV, 19 do
  local id, ends, state, claim = ARGV[at], tonumber(ARGV[at + 10]) or now + ARGV[at + 9], ARGV[at + 11], ARGV[at + 13]
  local lease, deliveries, renewals = tonumber(ARGV[at + 14]), tonumber(ARGV[at + 15]), tonumber(ARGV[at + 16])
  local t = get(id)
  local news = not t
  if not t and ends > now then
    t = { [ID] = id, [KIND] = ARGV[at + 1], [VALUE] = ARGV[at + 2], [POOLED] = ARGV[at + 3] }
    t[MERCHANT_DATA], t[SID] = ARGV[at + 4], ARGV[at + 5]
    t[MERCHANT_USN], t[ORDER_ID], t[DELIVERIES], t[EXPIRES] = ARGV[at + 6], ARGV[at + 7], deliveries, string.format('%.0f', ends)
    t[RECEIVED] = ends - ARGV[at + 8] - ARGV[at + 9]
    t[ORDER] = string.format('%.0f', t[RECEIVED] * 1000 + (at - 5) / 19)
    if ARGV[at + 12] == '1' then t[SEEN] = '1' end
    -- A token that was judged before fills its expectation again, in case that was lost.
    local isExpected = judge(t)
    if state == 'deferred' then t[STATE] = isExpected and 'live' or 'unexpected' else t[STATE] = state end
    if claim ~= '' then t[CLAIM], t[LEASE_ENDS], t[RENEWALS] = claim, math.min(now + lease, ends), renewals end
    store(t, most)
    if t[STATE] == 'live' then say(t) end
  elseif t and t[STATE] == 'unexpected' then
    -- The token also came to another instance. That instance knew of the expectation, or got it
    -- earlier.
    t[RECEIVED] = math.min(t[RECEIVED], ends - ARGV[at + 8] - ARGV[at + 9])
    if judge(t) or state ~= 'deferred' then
      admit(t)
      say(t)
    end
  end
  if not news and t and t[STATE] == 'live' then
    if claim ~= '' then
      local dl = tonumber(t[DELIVERIES])
      if deliveries > dl or (deliveries == dl and t[CLAIM] == claim and renewals > tonumber(t[RENEWALS])) then
        news = true
        t[CLAIM], t[LEASE_ENDS], t[RENEWALS], t[DELIVERIES] = claim, math.min(now + lease, tonumber(t[EXPIRES])), renewals, deliveries
        redis.call('HSET', TOKENS .. id, CLAIM, t[CLAIM], LEASE_ENDS, t[LEASE_ENDS], RENEWALS, t[RENEWALS], DELIVERIES, t[DELIVERIES])
        unwatch(t)
      end
    end
    if state ~= 'used' and index(t) then say(t) end
  end
  if t then
    if state == 'used' and t[STATE] == 'live' then
      markUsed(t)
      t[STATE] = 'used'
    end
    local taken = ARGV[at + 17]
    if claim ~= '' and taken ~= '' then
      remember(claim, t, taken)
      if news and t[CLAIM] == claim and redis.call('HGET', CLAIMS .. claim, TOKEN) == id then
        redis.call('HDEL', CLAIMS .. claim, RELEASED)
      end
    end
    for other, released, order in string.gmatch(ARGV[at + 18], '([^,!:]+)(!?):([^,]*)') do
      remember(other, t, order, released == '!')
    end
  end
  answers[#answers + 1] = t and t[STATE] or 'over'
  answers[#answers + 1] = t and t[EXPIRES] or '0'
end
announce(ARGV[1], ARGV[2], under)
return answers
