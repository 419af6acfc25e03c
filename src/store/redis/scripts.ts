/**
 * The transitions of the Redis store, each one atomic script. KEYS[1] is the prefix of the merchant's keys; the prelude
 * says what they hold.
 */
import { MERGE, MERGE_EXPECTATIONS } from './merge-scripts.ts';
import { PRELUDE } from './prelude.ts';

/**
 * ARGV: channel, merchant, ttl, accept, most unexpected, then 8 fields a token.
 * Answers `put`'s answer for each, and last when they arrived.
 */
const PUT = `
local accept, most = ARGV[4], tonumber(ARGV[5])
local order = time[1] * 1000000 + time[2]
-- As text: each number that is given to a command is printed anew.
local arrived, ends = string.format('%.0f', now), string.format('%.0f', now + tonumber(ARGV[3]))
local tokens, named, keys, places = {}, {}, {}, {}
for at = 6, #ARGV, 8 do
  local t = { id = ARGV[at], k = ARGV[at + 1], v = ARGV[at + 2], p = ARGV[at + 3], ra = arrived, ea = ends, dl = '0' }
  t.md, t.sd, t.mu, t.oi = ARGV[at + 4], ARGV[at + 5], ARGV[at + 6], ARGV[at + 7]
  tokens[#tokens + 1], named[#named + 1], keys[#keys + 1] = t, topics(t), P .. 't:' .. t.id
  for _, topic in ipairs(named[#named]) do places[#places + 1] = P .. 'o:' .. t.k .. ':' .. topic end
end
-- To call a command costs more than the command: what can be asked or written for all at once is.
local here, isAnyExpected = redis.call('EXISTS', unpack(keys)), #places > 0 and redis.call('EXISTS', unpack(places)) > 0
local answers, under, watched, seen = {}, {}, {}, {}
for i, t in ipairs(tokens) do
  if seen[t.id] or here == #tokens or (here > 0 and redis.call('EXISTS', keys[i]) == 1) then
    answers[i] = 'known'
  else
    seen[t.id] = true
    t.o = string.format('%.0f', order + i)
    t.st = ((isAnyExpected and fill(t)) or accept == 'any') and 'live' or 'unexpected'
    -- First the index: should the script fail there, the token is not taken for one that is here.
    if t.st == 'live' then index(t, named[i]) end
    record(t)
    if t.st == 'live' then
      watched[#watched + 1], watched[#watched + 2] = ends, 't:' .. t.k .. ':' .. t.id
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
if redis.call('ZADD', P .. 'd', 'NX', unpack(watched)) * 2 == #watched then
  keep(P .. 'd', now + tonumber(ARGV[3]) + 60000)
else
  for i, t in ipairs(tokens) do if answers[i] == 'kept' then watch(t) end end
end
announce(ARGV[1], ARGV[2], under)
answers[#answers + 1] = arrived
return answers
`;

/** ARGV: topic, kind or '', the keys that can be opened. */
const READ = `
openable = ARGV[3]
local live, used, distinct = find(ARGV[1], ARGV[2])
if not live then return absent(ARGV[1], ARGV[2], used) end
if not live.sn then
  redis.pcall('HSET', P .. 't:' .. live.id, 'sn', '1')
  redis.pcall('ZREM', P .. 'd', 't:' .. live.k .. ':' .. live.id)
end
return answer('live', distinct, live.id)
`;

/**
 * ARGV: claim id, lease, what ('held', 'pool' or 'topic'), topic, kind or '', '1' to refuse conflicts, the keys that can
 * be opened, the name of this call, channel, merchant. With 'held' it answers also when the token was taken.
 */
const CLAIM = `
local claim, lease, what, topic, kind = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]
openable = ARGV[7]
local function hold(t, distinct, renewals, taken)
  local ends = math.min(now + lease, tonumber(t.ea))
  if t.p == '1' then
    redis.call('ZADD', P .. 'l:' .. t.k, ends, t.id)
    keep(P .. 'l:' .. t.k, t.ea)
    redis.call('ZREM', P .. 'f:' .. t.k, t.id)
  end
  redis.call('HSET', P .. 't:' .. t.id, 'cl', claim, 'le', ends, 'dl', t.dl, 'rn', renewals)
  mirror(ARGV[9], ARGV[10], t, table.concat({ 'claimed', claim, ends - now, t.dl, renewals, taken }, '\\n'))
  local held = answer('held', distinct, t.id)
  held[4], held[5] = held[4] or false, taken
  return held
end
local function take(t, distinct)
  t.dl = t.dl + 1
  local taken = string.format('%.0f', time[1] * 1000000 + time[2])
  local held = hold(t, distinct, 0, taken)
  told(t)
  redis.call('HDEL', P .. 'c:' .. claim, 'r')
  redis.call('HSET', P .. 'c:' .. claim, 't', t.id, 'o', taken, 'n', ARGV[8])
  -- It outlives a token that the id took before, whose older claim would come back from a copy otherwise.
  keep(P .. 'c:' .. claim, t.ea)
  return held
end
local mine = redis.call('HMGET', P .. 'c:' .. claim, 't', 'o', 'n')
local t = mine[1] and get(mine[1])
if t and t.st == 'live' and held(t) and t.cl == claim then
  local calls = mine[3] and #mine[3] < 400 and mine[3] .. ',' .. ARGV[8] or ''
  redis.call('HSET', P .. 'c:' .. claim, 'n', calls)
  return hold(t, 1, (t.rn or 0) + 1, mine[2] or '0')
end
if what == 'held' then return { 'none' } end
if what == 'pool' then
  local free, leased = P .. 'f:' .. kind, P .. 'l:' .. kind
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', leased, '-inf', now)) do
    redis.call('ZREM', leased, id)
    local back = get(id)
    if back and back.st == 'live' then
      redis.call('ZADD', free, back.o, id)
      keep(free, back.ea)
    end
  end
  local at = 0
  while true do
    local id = redis.call('ZRANGE', free, at, at)[1]
    if not id then break end
    local first = get(id)
    if not first or first.st ~= 'live' or held(first) then redis.call('ZREM', free, id)
    elseif opens(first) then return take(first, 1)
    else at = at + 1 end
  end
  local next = redis.call('ZRANGE', leased, 0, 0, 'WITHSCORES')
  return { 'none', next[2] and next[2] - now, false, unknownKey }
end
local live, used, distinct = find(topic, kind)
if not live then return absent(topic, kind, used) end
if distinct > 1 and ARGV[6] == '1' then return { 'conflict', distinct } end
if held(live) then return answer('claimed', live.le - now, live.id) end
return take(live, distinct)
`;

/** ARGV: channel, merchant, claim id, 'use' or 'release'. Answers the token, too, when it is used now. */
const SETTLE = `
local claim = ARGV[3]
local c = redis.call('HMGET', P .. 'c:' .. claim, 't', 'r')
local t = c[1] and get(c[1])
if not t then return 'unknown' end
if ARGV[4] == 'release' then
  if c[2] then return 'done' end
  if t.st == 'used' then return 'used' end
  if t.cl ~= claim then return 'lease_lost' end
  putBack(t, claim)
  mirror(ARGV[1], ARGV[2], t, 'released\\n' .. claim)
  announce(ARGV[1], ARGV[2], topics(t))
  return 'done'
end
if c[2] or t.cl ~= claim then return 'lease_lost' end
markUsed(t)
mirror(ARGV[1], ARGV[2], t, 'used')
return answer('done', 1, t.id)
`;

/** ARGV: channel, merchant, claim id, deliveries, renewals, and when its lease ends, or 0: that tells this claim from a later one. */
const UNDO = `
local claim = ARGV[3]
local id = redis.call('HGET', P .. 'c:' .. claim, 't')
local t = id and get(id)
if t and t.st == 'live' and t.cl == claim and t.dl == ARGV[4] and t.rn == ARGV[5] and (ARGV[6] == '0' or t.le == ARGV[6]) then
  giveBack(t, claim)
  mirror(ARGV[1], ARGV[2], t, 'released\\n' .. claim)
  announce(ARGV[1], ARGV[2], topics(t))
  return 1
end
return 0
`;

/**
 * Puts back what claims took by calls that nobody heard the answer of. ARGV: channel, merchant, then for each claim its id
 * and those calls, separated by commas. A call that is not among them may have been answered: then nothing happens.
 */
const REVOKE = `
for at = 3, #ARGV, 2 do
  local claim, unheard = ARGV[at], {}
  for call in string.gmatch(ARGV[at + 1], '[^,]+') do unheard[call] = true end
  local c = redis.call('HMGET', P .. 'c:' .. claim, 't', 'n')
  local t = c[1] and c[2] and get(c[1])
  if t and t.st == 'live' and t.cl == claim then
    local calls = 0
    for call in string.gmatch(c[2], '[^,]+') do calls = calls + (unheard[call] and 1 or -1000) end
    -- An older version renews without naming its call.
    if calls == (tonumber(t.rn) or 0) + 1 then
      giveBack(t, claim)
      redis.call('DEL', P .. 'c:' .. claim)
      mirror(ARGV[1], ARGV[2], t, 'released\\n' .. claim)
      announce(ARGV[1], ARGV[2], topics(t))
    end
  end
end
return 'done'
`;

/** ARGV: token id, channel, merchant. Answers the token, too, when it is used now. */
const USE = `
local t = get(ARGV[1])
if not t or t.st == 'unexpected' then return 'unknown' end
markUsed(t)
mirror(ARGV[2], ARGV[3], t, 'used')
return answer('done', 1, t.id)
`;

/** ARGV: expectation id, kind, topic, ttl, for how long a verdict may be put off. Answers when it ends. */
const EXPECT = `
local ends = now + tonumber(ARGV[4])
open(ARGV[1], ARGV[2], ARGV[3], string.format('%.0f', time[1] * 1000000 + time[2]), ends, tonumber(ARGV[5]))
return tostring(ends)
`;

/** ARGV: channel, merchant, expectation id. Answers its kind and topic, how long ago it was opened and cancelled, and how long it has left. */
const CANCEL = `
local e = redis.call('HMGET', P .. 'e:' .. ARGV[3], 'k', 'tp', 'x', 'ea', 'op')
if not e[1] or tonumber(e[4]) <= now then return {} end
if not e[3] then
  redis.call('HSET', P .. 'e:' .. ARGV[3], 'x', now)
  close(ARGV[3], e[1], e[2])
  announce(ARGV[1], ARGV[2], { e[2] })
  mirror(ARGV[1], ARGV[2], { id = ARGV[3] }, 'cancelled')
end
return { e[1], e[2], now - math.floor(e[5] / 1000), now - (e[3] or now), e[4] - now }
`;

/** Answers Redis' clock, in microseconds since 1970. */
const CLOCK = `
return string.format('%.0f', time[1] * 1000000 + time[2])
`;

/**
 * The instances that share this merchant, and what this one says of itself. ARGV: instance, what, for how long it is
 * remembered. What: 'look'; 'asserted': what it knows of uses and claims is here; 'whole': the same still holds, and it has
 * nothing pending; 'leave'. Answers the run of Redis, the time, and for each instance its name, the run in which it
 * asserted, and when it last said so. An instance that finds itself missing knows that data was lost.
 */
const ATTEND = `
local key, me, what = P .. 'w', ARGV[1], ARGV[2]
local function say(of) redis.call('HSET', key, me, of .. ' ' .. string.format('%.0f', now)) end
local mine = redis.call('HGET', key, me)
local run = mine and string.match(mine, '^%S+') or '-'
if what ~= 'whole' then
  local info = redis.pcall('INFO', 'server')
  run = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or '-'
end
if what == 'asserted' then say(run)
elseif what == 'whole' and mine then say(run)
elseif what == 'leave' and mine and string.match(mine, '^%S+') == run then say('left:' .. run)
elseif what == 'leave' then redis.call('HDEL', key, me) end
local answer = { run, string.format('%.0f', now) }
local flat = redis.call('HGETALL', key)
for i = 1, #flat, 2 do
  local of, at = string.match(flat[i + 1], '^(%S+) (%d+)$')
  if not at or tonumber(at) + ARGV[3] < now then redis.call('HDEL', key, flat[i])
  else for _, part in ipairs({ flat[i], of, at }) do answer[#answer + 1] = part end end
end
if what ~= 'look' then redis.call('PEXPIRE', key, ARGV[3]) end
return answer
`;

/** Shows that Redis takes writes and announcements. ARGV: channel. */
const PROBE = `
redis.call('PUBLISH', ARGV[1], '')
redis.call('SET', P .. 'probe', '1', 'PX', 1000)
return 'done'
`;

const SEQUENCE = `
return redis.call('GET', P .. 's')
`;

/** Answers what is over, once: 't:KIND:ID' for an unseen token, 'e:KIND:ID' for an expectation without its post. */
const SWEEP = `
local over = redis.call('ZRANGEBYSCORE', P .. 'd', '-inf', now, 'LIMIT', 0, 1000)
for _, what in ipairs(over) do redis.call('ZREM', P .. 'd', what) end
return over
`;

const BODIES = {
  caratPut: PUT,
  caratRead: READ,
  caratClaim: CLAIM,
  caratSettle: SETTLE,
  caratUndo: UNDO,
  caratRevoke: REVOKE,
  caratUse: USE,
  caratExpect: EXPECT,
  caratCancel: CANCEL,
  caratMerge: MERGE,
  caratClock: CLOCK,
  caratMergeExpectations: MERGE_EXPECTATIONS,
  caratAttend: ATTEND,
  caratProbe: PROBE,
  caratSequence: SEQUENCE,
  caratSweep: SWEEP,
};
export type ScriptName = keyof typeof BODIES;

/**
 * The scripts, for ioredis' `defineCommand`. Each selects its database itself: a connection whose `SELECT` was refused
 * would work in database 0.
 */
export function scriptsFor(db: number): Record<ScriptName, { lua: string; numberOfKeys: number }> {
  const select = db === 0 ? '' : `redis.call('SELECT', ${db})\n`;
  return Object.fromEntries(
    Object.entries(BODIES).map(([name, body]) => [name, { lua: select + PRELUDE + body, numberOfKeys: 1 }]),
  ) as Record<ScriptName, { lua: string; numberOfKeys: number }>;
}
