/** How what was kept elsewhere while Redis was away is brought in: the scripts of the Redis store that decide between two states. */

/**
 * Brings expectations in that were announced elsewhere, or that may be lost here; a cancellation wins. One that is not
 * filled admits the first token that was refused while it was open, or makes room for one that came before. ARGV: channel, merchant, for how long a verdict may
 * be put off (0 where none is demanded), '1' to judge refused tokens again, then 7 fields an expectation, oldest first: id, kind, topic, when it was opened
 * (in microseconds), when it ends, when it was cancelled or '', its token or ''. Times are by Redis' clock. Answers how
 * many refused tokens are live now, then the id and the time of each cancellation that only Redis knew.
 */
export const MERGE_EXPECTATIONS = `
local retention = tonumber(ARGV[3])
local admitted, under, answer = 0, {}, {}
local function say(t)
  admitted = admitted + 1
  for _, topic in ipairs(topics(t)) do under[#under + 1] = topic end
end
local told, touched = {}, {}
for at = 5, #ARGV, 7 do
  local id, kind, topic, opened, ends = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  local cancelled, token = ARGV[at + 5], ARGV[at + 6]
  local e = redis.call('HMGET', P .. 'e:' .. id, 'op', 'ea', 'x', 't')
  if e[1] or ends + retention > now then
    if not e[1] then
      open(id, kind, topic, opened, tonumber(ends), retention)
    elseif tonumber(opened) < tonumber(e[1]) then
      redis.call('HSET', P .. 'e:' .. id, 'op', opened)
    end
    if cancelled ~= '' and (not e[3] or tonumber(cancelled) < tonumber(e[3])) then
      if not e[3] then under[#under + 1] = topic end
      redis.call('HSET', P .. 'e:' .. id, 'x', cancelled)
      close(id, kind, topic)
    elseif cancelled == '' and e[3] then
      answer[#answer + 1], answer[#answer + 2] = id, e[3]
    end
    if token ~= '' and not e[4] then told[#told + 1] = { id = id, k = kind, tp = topic, t = token } end
    local key = kind .. ':' .. topic
    if not e[4] then touched[key] = math.min(touched[key] or opened, opened) end
  end
end
-- A token that came to another instance, too, may sit in another place: then this one is free.
for _, e in ipairs(told) do
  if retention == 0 then
    redis.call('HSET', P .. 'e:' .. e.id, 't', e.t)
    close(e.id, e.k, e.tp)
  elseif not placeOf(e.t, e.k, e.tp) then
    for _, place in ipairs(placesUnder(e.k, e.tp)) do
      if place.id == e.id then fillPlace(place, e.t) end
    end
  end
  local t = get(e.t)
  if t and t.st == 'unexpected' then
    admit(t)
    say(t)
  end
end
local function reconsider(refused)
  for _, id in ipairs(refused) do
    local t = get(id)
    if t and t.st == 'unexpected' and judge(t) then
      admit(t)
      say(t)
    end
  end
end
for key, opened in pairs(retention > 0 and ARGV[4] == '1' and touched or {}) do
  local since = string.format('%.0f', math.floor(opened / 1000) * 1000)
  reconsider(redis.call('ZRANGEBYSCORE', P .. 'r:' .. key, since, '+inf', 'LIMIT', 0, 100))
  reconsider(redis.call('ZREVRANGEBYSCORE', P .. 'r:' .. key, '(' .. since, '-inf', 'LIMIT', 0, 100))
end
announce(ARGV[1], ARGV[2], under)
return { admitted, unpack(answer) }
`;

/**
 * Brings tokens in that were kept elsewhere: puts what is absent, and of two states the further one wins; of two claims
 * the one of the later delivery, then of the later renewal. Nothing is put that is over by the clock of Redis. What is
 * here already is indexed again, for the script that put it may have failed half-way.
 *
 * ARGV: channel, merchant, most unexpected, the instance that must have asserted here or '', then 19 fields a token: the 8
 * of put, its age, how long it has left, when it ends by the clock of Redis or '', its state ('live', 'used' or
 * 'deferred'), '1' if anybody saw it, its last claim or '', how long that lease has left, deliveries, renewals, when it was
 * taken, and its former claims: 'id:taken', with '!' before ':' if released, separated by commas. Taken: microseconds by
 * the clock of Redis, or negative: minus the milliseconds since; '' if the claim took another token after this one.
 *
 * Answers for each token the state that it has now and when it ends; 'lost' if the instance has not asserted here.
 */
export const MERGE = `
local most = tonumber(ARGV[3])
if ARGV[4] ~= '' and redis.call('HEXISTS', P .. 'w', ARGV[4]) == 0 then return 'lost' end
local answers, under = {}, {}
local function say(t)
  for _, topic in ipairs(topics(t)) do under[#under + 1] = topic end
end
local function orderOf(taken)
  local order = tonumber(taken) or 0
  return order < 0 and (now + order) * 1000 or order
end
-- A claim id speaks of the token that it took last.
local function remember(claim, t, taken, released)
  local key, order = P .. 'c:' .. claim, orderOf(taken)
  local c = redis.call('HMGET', key, 't', 'o')
  -- It outlives the older token, which would come back under the id otherwise.
  if c[1] and (c[1] == t.id or tonumber(c[2] or 0) >= order) then return keep(key, t.ea) end
  redis.call('HDEL', key, 'r', 'n')
  redis.call('HSET', key, 't', t.id, 'o', string.format('%.0f', order))
  if released then redis.call('HSET', key, 'r', '1') end
  keep(key, t.ea)
end
for at = 5, #ARGV, 19 do
  local id, ends, state, claim = ARGV[at], tonumber(ARGV[at + 10]) or now + ARGV[at + 9], ARGV[at + 11], ARGV[at + 13]
  local lease, deliveries, renewals = tonumber(ARGV[at + 14]), tonumber(ARGV[at + 15]), tonumber(ARGV[at + 16])
  local t = get(id)
  local news = not t
  if not t and ends > now then
    t = { id = id, k = ARGV[at + 1], v = ARGV[at + 2], p = ARGV[at + 3], md = ARGV[at + 4], sd = ARGV[at + 5] }
    t.mu, t.oi, t.dl, t.ea = ARGV[at + 6], ARGV[at + 7], deliveries, string.format('%.0f', ends)
    t.ra = ends - ARGV[at + 8] - ARGV[at + 9]
    t.o = string.format('%.0f', t.ra * 1000 + (at - 5) / 19)
    if ARGV[at + 12] == '1' then t.sn = '1' end
    -- One that was judged before fills its expectation anew, should that be lost.
    local isExpected = judge(t)
    if state == 'deferred' then t.st = isExpected and 'live' or 'unexpected' else t.st = state end
    if claim ~= '' then t.cl, t.le, t.rn = claim, math.min(now + lease, ends), renewals end
    store(t, most)
    if t.st == 'live' then say(t) end
  elseif t and t.st == 'unexpected' then
    -- It came to another instance, too, and that one knew that it was expected, or had it earlier.
    t.ra = math.min(t.ra, ends - ARGV[at + 8] - ARGV[at + 9])
    if judge(t) or state ~= 'deferred' then
      admit(t)
      say(t)
    end
  end
  if not news and t and t.st == 'live' then
    if claim ~= '' then
      local dl = tonumber(t.dl)
      if deliveries > dl or (deliveries == dl and t.cl == claim and renewals > tonumber(t.rn)) then
        news = true
        t.cl, t.le, t.rn, t.dl = claim, math.min(now + lease, tonumber(t.ea)), renewals, deliveries
        redis.call('HSET', P .. 't:' .. id, 'cl', t.cl, 'le', t.le, 'rn', t.rn, 'dl', t.dl)
        told(t)
      end
    end
    if state ~= 'used' and index(t) then say(t) end
  end
  if t then
    if state == 'used' and t.st == 'live' then
      markUsed(t)
      t.st = 'used'
    end
    local taken = ARGV[at + 17]
    if claim ~= '' and taken ~= '' then
      remember(claim, t, taken)
      if news and t.cl == claim and redis.call('HGET', P .. 'c:' .. claim, 't') == id then
        redis.call('HDEL', P .. 'c:' .. claim, 'r')
      end
    end
    for other, released, order in string.gmatch(ARGV[at + 18], '([^,!:]+)(!?):([^,]*)') do
      remember(other, t, order, released == '!')
    end
  end
  answers[#answers + 1] = t and t.st or 'over'
  answers[#answers + 1] = t and t.ea or '0'
end
announce(ARGV[1], ARGV[2], under)
return answers
`;
