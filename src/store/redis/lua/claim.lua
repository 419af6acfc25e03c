-- uses: announcements, answers, claims, clock, due, keys, pool, queries, tokens, values
-- Claims a token, or renews the claim. ARGV: claim id, lease, what ('held', 'pool' or 'topic'),
-- topic, kind or '', '1' to refuse conflicts, the keys that can be opened, the name of this call,
-- channel, merchant. With 'held' the answer includes the time when the token was taken.
local claim, lease, what, topic, kind = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]
openable = ARGV[7]
local function hold(t, distinct, renewals, taken)
  local ends = math.min(now + lease, tonumber(t[EXPIRES]))
  if t[POOLED] == '1' then
    redis.call('ZADD', LEASED .. t[KIND], ends, t[ID])
    keep(LEASED .. t[KIND], t[EXPIRES])
    redis.call('ZREM', FREE .. t[KIND], t[ID])
  end
  redis.call('HSET', TOKENS .. t[ID], CLAIM, claim, LEASE_ENDS, ends, DELIVERIES, t[DELIVERIES], RENEWALS, renewals)
  mirror(ARGV[9], ARGV[10], t[ID], table.concat({ 'claimed', claim, ends - now, t[DELIVERIES], renewals, taken }, '\n'))
  local held = answer('held', distinct, t[ID])
  held[4], held[5] = held[4] or false, taken
  return held
end
local function take(t, distinct)
  t[DELIVERIES] = t[DELIVERIES] + 1
  local taken = string.format('%.0f', time[1] * 1000000 + time[2])
  local held = hold(t, distinct, 0, taken)
  unwatch(t)
  redis.call('HDEL', CLAIMS .. claim, RELEASED)
  redis.call('HSET', CLAIMS .. claim, TOKEN, t[ID], TAKEN, taken, CALLS, ARGV[8])
  -- The claim outlives the id's earlier token. Otherwise a copy would restore the older claim.
  keep(CLAIMS .. claim, t[EXPIRES])
  return held
end
local mine = redis.call('HMGET', CLAIMS .. claim, TOKEN, TAKEN, CALLS)
local t = mine[1] and get(mine[1])
if t and t[STATE] == 'live' and held(t) and t[CLAIM] == claim then
  local calls = mine[3] and #mine[3] < 400 and mine[3] .. ',' .. ARGV[8] or ''
  redis.call('HSET', CLAIMS .. claim, CALLS, calls)
  return hold(t, 1, (t[RENEWALS] or 0) + 1, mine[2] or '0')
end
if what == 'held' then return { 'none' } end
if what == 'pool' then
  local free, leased = FREE .. kind, LEASED .. kind
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', leased, '-inf', now)) do
    redis.call('ZREM', leased, id)
    local back = get(id)
    if back and back[STATE] == 'live' and isUnder(back, topic) then
      redis.call('ZADD', free, back[ORDER], id)
      keep(free, back[EXPIRES])
    end
  end
  local at = 0
  while true do
    local id = redis.call('ZRANGE', free, at, at)[1]
    if not id then break end
    local first = get(id)
    if not first or first[STATE] ~= 'live' or not isUnder(first, topic) or held(first) then redis.call('ZREM', free, id)
    elseif opens(first) then return take(first, 1)
    else at = at + 1 end
  end
  local next = redis.call('ZRANGE', leased, 0, 0, 'WITHSCORES')
  return { 'none', next[2] and next[2] - now, false, unknownKey }
end
local live, used, distinct = find(topic, kind)
if not live then return absent(topic, kind, used) end
if distinct > 1 and ARGV[6] == '1' then return { 'conflict', distinct } end
if held(live) then return answer('claimed', live[LEASE_ENDS] - now, live[ID]) end
return take(live, distinct)
