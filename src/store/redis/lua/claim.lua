-- uses: announcements, answers, claims, clock, due, instances, keys, pool, queries, tokens, values
-- Claims tokens, or renews claims, in the given order. ARGV: channel, merchant, the keys that can
-- be opened, the instance that must have asserted here or '', then 7 fields a claim: its id, lease,
-- what ('held', 'pool' or 'topic'), topic, kind or '', '1' to refuse conflicts, and the name of the
-- call. Answers each; 'lost' if the instance has not asserted here: what it knows of claims may be
-- missing. With 'held' an answer includes the time when the token was taken.
if ARGV[4] ~= '' and redis.call('HEXISTS', INSTANCES, ARGV[4]) == 0 then return 'lost' end
openable = ARGV[3]
local taken = string.format('%.0f', time[1] * 1000000 + time[2])
-- A call costs more than the command that it runs: the sets change for all claims at once.
-- Pools by kind. Leased: ends of leases and tokens; gone: tokens that are no longer free; free: a
-- part of the free tokens, read up to `at`; passed: how many of those before stay free.
local pools, unwatched = {}, {}
local function poolOf(kind)
  pools[kind] = pools[kind] or { kind = kind, leased = {}, ends = 0, gone = {}, free = {}, at = 0, passed = 0 }
  return pools[kind]
end
local function lease(t)
  local pool = poolOf(t[KIND])
  pool.leased[#pool.leased + 1], pool.leased[#pool.leased + 2] = t[LEASE_ENDS], t[ID]
  pool.ends = math.max(pool.ends, tonumber(t[EXPIRES]))
  pool.gone[#pool.gone + 1] = t[ID]
end
-- A script may fail at any command. A token in two sets is harmless: add before removing.
local function update(pool)
  local leased = LEASED .. pool.kind
  if #pool.leased > 0 then
    redis.call('ZADD', leased, unpack(pool.leased))
    keep(leased, pool.ends)
  end
  if #pool.gone > 0 then redis.call('ZREM', FREE .. pool.kind, unpack(pool.gone)) end
  pool.leased, pool.gone = {}, {}
end
local function hold(c, t, distinct, renewals, since)
  local ends = math.min(now + c.lease, tonumber(t[EXPIRES]))
  t[CLAIM], t[LEASE_ENDS], t[RENEWALS] = c.id, string.format('%.0f', ends), tostring(renewals)
  if t[POOLED] == '1' then lease(t) end
  local claimed = { CLAIM, c.id, LEASE_ENDS, t[LEASE_ENDS], DELIVERIES, t[DELIVERIES], RENEWALS, t[RENEWALS] }
  redis.call('HSET', TOKENS .. t[ID], unpack(claimed))
  mirror(ARGV[1], ARGV[2], t[ID], table.concat({ 'claimed', c.id, ends - now, t[DELIVERIES], renewals, since }, '\n'))
  local held = answer('held', distinct, t)
  held[5] = since
  return held
end
local function take(c, t, distinct)
  local key = CLAIMS .. c.id
  t[DELIVERIES] = string.format('%.0f', t[DELIVERIES] + 1)
  local held = hold(c, t, distinct, 0, taken)
  unwatched[#unwatched + 1] = dueToken(t)
  if c.released then redis.call('HDEL', key, RELEASED) end
  redis.call('HSET', key, TOKEN, t[ID], TAKEN, taken, CALLS, c.call)
  -- The claim outlives the id's earlier token. Otherwise a copy would restore the older claim.
  keep(key, t[EXPIRES])
  return held
end
local function endLeases(kind, topic)
  local free, leased = FREE .. kind, LEASED .. kind
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', leased, '-inf', now)) do
    redis.call('ZREM', leased, id)
    local back = get(id)
    if back and back[STATE] == 'live' and isUnder(back, topic) then
      redis.call('ZADD', free, back[ORDER], id)
      keep(free, back[EXPIRES])
    end
  end
end
-- Returns the id of the next token that is free, if any.
local function nextFree(pool, most)
  pool.at = pool.at + 1
  if pool.at > #pool.free then
    update(pool)
    pool.free = redis.call('ZRANGE', FREE .. pool.kind, pool.passed, pool.passed + most - 1)
    pool.at = 1
  end
  return pool.free[pool.at]
end
local function takeFromPool(c)
  local pool = poolOf(c.kind)
  if not pool.areLeasesEnded then endLeases(c.kind, c.topic) end
  pool.areLeasesEnded = true
  while true do
    local id = nextFree(pool, c.left)
    if not id then break end
    local t = get(id)
    if not t or t[STATE] ~= 'live' or not isUnder(t, c.topic) then pool.gone[#pool.gone + 1] = id
    elseif held(t) then lease(t)
    elseif opens(t) then
      unknownKey = pool.unknownKey or false
      return take(c, t, 1)
    else pool.passed, pool.unknownKey = pool.passed + 1, unknownKey end
  end
  update(pool)
  local next = redis.call('ZRANGE', LEASED .. c.kind, 0, 0, 'WITHSCORES')
  return { 'none', next[2] and next[2] - now or false, false, pool.unknownKey }
end
local function claim(c)
  unknownKey = false
  local mine = redis.call('HMGET', CLAIMS .. c.id, TOKEN, TAKEN, CALLS, RELEASED)
  c.released = mine[4]
  local t = mine[1] and get(mine[1])
  if t and t[STATE] == 'live' and held(t) and t[CLAIM] == c.id then
    local calls = mine[3] and #mine[3] < 400 and mine[3] .. ',' .. c.call or ''
    redis.call('HSET', CLAIMS .. c.id, CALLS, calls)
    return hold(c, t, 1, (t[RENEWALS] or 0) + 1, mine[2] or '0')
  end
  if c.what == 'held' then return { 'none' } end
  if c.what == 'pool' then return takeFromPool(c) end
  local live, used, distinct = find(c.topic, c.kind)
  if not live then return absent(c.topic, c.kind, used) end
  if distinct > 1 and c.refuses then return { 'conflict', distinct } end
  if held(live) then return answer('claimed', live[LEASE_ENDS] - now, live) end
  return take(c, live, distinct)
end
local answers = {}
for at = 5, #ARGV, 7 do
  answers[#answers + 1] = claim({
    id = ARGV[at], lease = tonumber(ARGV[at + 1]), what = ARGV[at + 2], topic = ARGV[at + 3], kind = ARGV[at + 4],
    refuses = ARGV[at + 5] == '1', call = ARGV[at + 6], left = (#ARGV - at + 1) / 7,
  })
end
for _, pool in pairs(pools) do update(pool) end
if #unwatched > 0 then redis.call('ZREM', DUE, unpack(unwatched)) end
return answers
