/** How what was kept elsewhere while Redis was away is brought in: the scripts of the Redis store that decide between two states. */

/**
 * Brings expectations in that were announced elsewhere, or that may be lost here; a cancellation wins. One that is not
 * filled admits the first token that was refused while it was open. ARGV: channel, merchant, for how long a verdict may
 * be put off (0 where none is demanded), then 7 fields an expectation, oldest first: id, kind, topic, when it was opened
 * (in microseconds), when it ends, when it was cancelled or '', its token or ''. Times are by Redis' clock. Answers how
 * many refused tokens are live now.
 */
export const MERGE_EXPECTATIONS = `
local retention = tonumber(ARGV[3])
local admitted, under = 0, {}
local function say(t)
  admitted = admitted + 1
  for _, topic in ipairs(topics(t)) do under[#under + 1] = topic end
end
for at = 4, #ARGV, 7 do
  local id, kind, topic, opened, ends = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  local cancelled, token = ARGV[at + 5], ARGV[at + 6]
  local e = redis.call('HMGET', P .. 'e:' .. id, 'op', 'ea', 'x', 't')
  if e[1] or ends + retention > now then
    if not e[1] then
      open(id, kind, topic, opened, tonumber(ends), retention)
    elseif tonumber(opened) < tonumber(e[1]) then
      redis.call('HSET', P .. 'e:' .. id, 'op', opened)
    else
      opened = e[1]
    end
    ends = e[2] or ends
    local over = e[3]
    if cancelled ~= '' and (not over or tonumber(cancelled) < tonumber(over)) then
      if not over then under[#under + 1] = topic end
      over = cancelled
      redis.call('HSET', P .. 'e:' .. id, 'x', over)
      close(id, kind, topic)
    end
    local filled = e[4]
    if token ~= '' and not filled then
      filled = token
      redis.call('HSET', P .. 'e:' .. id, 't', token)
      close(id, kind, topic)
    end
    if filled then
      local t = get(filled)
      if t and t.st == 'unexpected' then
        admit(t)
        say(t)
      end
    elseif retention > 0 then
      local from = string.format('%.0f', math.floor(opened / 1000) * 1000)
      local to = string.format('(%.0f', ends * 1000)
      for _, refused in ipairs(redis.call('ZRANGEBYSCORE', P .. 'r:' .. kind .. ':' .. topic, from, to, 'LIMIT', 0, 100)) do
        local t = get(refused)
        if t and t.st == 'unexpected' and wasOpen(opened, ends, over, t) then
          redis.call('HSET', P .. 'e:' .. id, 't', t.id)
          close(id, kind, topic)
          admit(t)
          say(t)
          break
        end
      end
    end
  end
end
announce(ARGV[1], ARGV[2], under)
return admitted
`;

/**
 * Brings tokens in that were kept elsewhere: puts what is absent, and of two states the further one wins; of two claims
 * the one of the later delivery, then of the later renewal. ARGV: channel, merchant, most unexpected, then 18 fields a
 * token: the 8 of put, its age, how long it has left, its state ('live', 'used' or 'deferred'), '1' if anybody saw it,
 * its last claim or '', how long that lease has left, deliveries, renewals, '1' if that claim may have taken another
 * token here that nobody got, and the claims before the last, separated by commas, released ones with '!'. Answers the
 * state that each token has now.
 */
export const MERGE = `
local most = tonumber(ARGV[3])
local states, under = {}, {}
local function say(t)
  for _, topic in ipairs(topics(t)) do under[#under + 1] = topic end
end
local function remember(claim, t, released)
  if redis.call('HSETNX', P .. 'c:' .. claim, 't', t.id) == 0 then return end
  if released then redis.call('HSET', P .. 'c:' .. claim, 'r', '1') end
  redis.call('PEXPIREAT', P .. 'c:' .. claim, t.ea)
end
-- The newest that a worker heard is t. What its claim holds besides stays held only if somebody may have heard of it.
local function rememberHolder(claim, t, doubtful)
  local was = redis.call('HGET', P .. 'c:' .. claim, 't')
  if was and was ~= t.id then
    local other = get(was)
    if other and other.st == 'live' and other.cl == claim and held(other) then
      if not doubtful then return end
      if other.rn == '0' then giveBack(other, claim) else putBack(other, claim) end
      say(other)
    end
    redis.call('DEL', P .. 'c:' .. claim)
  end
  remember(claim, t)
end
for at = 4, #ARGV, 18 do
  local id, state, claim, lease = ARGV[at], ARGV[at + 10], ARGV[at + 12], tonumber(ARGV[at + 13])
  local deliveries, renewals = tonumber(ARGV[at + 14]), tonumber(ARGV[at + 15])
  local t = get(id)
  local news = not t
  if not t then
    t = { id = id, k = ARGV[at + 1], v = ARGV[at + 2], p = ARGV[at + 3], md = ARGV[at + 4], sd = ARGV[at + 5] }
    t.mu, t.oi, t.dl = ARGV[at + 6], ARGV[at + 7], deliveries
    t.ra, t.ea = now - ARGV[at + 8], now + ARGV[at + 9]
    t.o = string.format('%.0f', t.ra * 1000 + (at - 4) / 18)
    if ARGV[at + 11] == '1' then t.sn = '1' end
    -- One that was judged before fills its expectation anew, should that be lost.
    local isExpected = judge(t)
    if state == 'deferred' then t.st = isExpected and 'live' or 'unexpected' else t.st = state end
    if claim ~= '' then t.cl, t.le, t.rn = claim, math.min(now + lease, t.ea), renewals end
    store(t, most)
    if t.st == 'live' then say(t) end
  elseif t.st == 'unexpected' then
    -- It came to another instance, too, and that one knew that it was expected, or had it earlier.
    t.ra = math.min(t.ra, now - ARGV[at + 8])
    if judge(t) or state ~= 'deferred' then
      admit(t)
      say(t)
    end
  end
  if not news and t.st == 'live' and claim ~= '' then
    local dl = tonumber(t.dl)
    if deliveries > dl or (deliveries == dl and t.cl == claim and renewals > tonumber(t.rn)) then
      news = true
      t.cl, t.le, t.rn, t.dl = claim, math.min(now + lease, tonumber(t.ea)), renewals, deliveries
      redis.call('HSET', P .. 't:' .. id, 'cl', t.cl, 'le', t.le, 'rn', t.rn, 'dl', t.dl)
      unpool(t)
      index(t)
      told(t)
    end
  end
  if state == 'used' and t.st == 'live' then
    markUsed(t)
    t.st = 'used'
  end
  -- What was known of the claim already says nothing of what it took since. One that lost its token is to hear so.
  if claim ~= '' then
    if news and t.cl == claim then rememberHolder(claim, t, ARGV[at + 16] == '1') else remember(claim, t) end
  end
  for other, released in string.gmatch(ARGV[at + 17], '([^,!]+)(!?)') do remember(other, t, released == '!') end
  states[#states + 1] = t.st
end
announce(ARGV[1], ARGV[2], under)
if #under == 0 then mutter(ARGV[1]) end
return states
`;
