/**
 * The transitions of the Redis store, each one atomic script. A merchant's keys share the hash tag `{merchant}` and so
 * one slot; the only key passed is their prefix, `carat:{merchant}:`. Deadlines are by Redis' clock.
 *
 * | key | type | what it holds | until |
 * |---|---|---|---|
 * | `t:ID` | hash | a token | it expires |
 * | `i:TOPIC` | sorted set | tokens under a correlator, by order of arrival | the last of them expires |
 * | `f:KIND`, `l:KIND` | sorted set | the pool's free tokens by arrival, its leased ones by the end of the lease | the same |
 * | `c:CLAIM` | hash | the token that a claim id took last | its token expires |
 * | `e:ID` | hash | an expectation | it ends |
 * | `o:KIND:TOPIC` | sorted set | open expectations, oldest first | the last of them ends |
 * | `n:TOPIC` | hash | the newest expectation of each kind | the last of them ends |
 * | `d` | sorted set | what is told when its time is over: unseen tokens, open expectations | a minute after the last |
 * | `u` | sorted set | unexpected tokens, a bounded number | the last of them expires |
 * | `s` | number | the counter of announcements | it has rested for a day |
 */

/** The fields of a token's hash, in the order in which scripts answer them; the 11th and 12th are claim and lease end. */
const TOKEN_FIELDS = ['id', 'k', 'v', 'p', 'md', 'sd', 'mu', 'oi', 'ra', 'ea', 'cl', 'le', 'dl', 'rn'] as const;

const PRELUDE = `
local P = KEYS[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function keep(key, at)
  at = tonumber(at)
  if redis.call('PEXPIRETIME', key) < at then redis.call('PEXPIREAT', key, at) end
end
local function get(id)
  local t = {}
  local flat = redis.call('HGETALL', P .. 't:' .. id)
  for i = 1, #flat, 2 do t[flat[i]] = flat[i + 1] end
  if not t.id or tonumber(t.ea) <= now then return nil end
  return t
end
local function topics(t)
  if t.p == '1' then return { 'pool=' .. t.k } end
  local names = { { 'merchant_data', t.md }, { 'sid', t.sd }, { 'merchant_usn', t.mu }, { 'order_id', t.oi } }
  local found = {}
  for _, name in ipairs(names) do
    if name[2] and name[2] ~= '' then found[#found + 1] = name[1] .. '=' .. name[2] end
  end
  return found
end
local function announce(channel, merchant, under)
  if #under == 0 then return end
  if redis.call('SET', P .. 's', now, 'NX', 'PX', 86400000) == false then redis.call('PEXPIRE', P .. 's', 86400000) end
  local sequence = redis.call('INCR', P .. 's')
  redis.call('PUBLISH', channel, merchant .. '\\n' .. sequence .. '\\n' .. table.concat(under, '\\n'))
end
local function answer(state, distinct, id)
  local fields = redis.call('HMGET', P .. 't:' .. id, ${TOKEN_FIELDS.map((field) => `'${field}'`).join(', ')})
  if not fields[11] or tonumber(fields[12]) <= now then fields[11] = false end
  return { state, distinct, fields }
end
local function held(t) return t.cl and tonumber(t.le) > now end
local function seen(t)
  if t.sn then return end
  redis.call('HSET', P .. 't:' .. t.id, 'sn', '1')
  redis.call('ZREM', P .. 'd', 't:' .. t.k .. ':' .. t.id)
end
local function find(topic, kind)
  local live, used, distinct = nil, false, 0
  for _, id in ipairs(redis.call('ZREVRANGE', P .. 'i:' .. topic, 0, -1)) do
    local t = get(id)
    if t and (kind == '' or t.k == kind) then
      if t.st == 'used' then used = true
      elseif t.st == 'live' then
        distinct = distinct + 1
        live = live or t
      end
    end
  end
  return live, used, distinct
end
local function absent(topic, kind, used)
  local newest, cancelled = 0, false
  local flat = redis.call('HGETALL', P .. 'n:' .. topic)
  for i = 1, #flat, 2 do
    if kind == '' or flat[i] == kind then
      local e = redis.call('HMGET', P .. 'e:' .. flat[i + 1], 'op', 'ea', 'x')
      if e[1] and tonumber(e[2]) > now and tonumber(e[1]) >= newest then newest, cancelled = tonumber(e[1]), e[3] == '1' end
    end
  end
  if cancelled then return { 'cancelled' } end
  return { used and 'used' or 'none' }
end
local function unpool(t)
  if t.p == '1' then
    redis.call('ZREM', P .. 'f:' .. t.k, t.id)
    redis.call('ZREM', P .. 'l:' .. t.k, t.id)
  end
end
local function putBack(t, claim)
  redis.call('HSET', P .. 'c:' .. claim, 'r', '1')
  redis.call('HDEL', P .. 't:' .. t.id, 'cl', 'le', 'rn')
  if t.p == '1' then
    redis.call('ZREM', P .. 'l:' .. t.k, t.id)
    redis.call('ZADD', P .. 'f:' .. t.k, t.o, t.id)
    keep(P .. 'f:' .. t.k, t.ea)
  end
end
local function markUsed(t)
  if t.st ~= 'used' then
    redis.call('HSET', P .. 't:' .. t.id, 'st', 'used')
    seen(t)
    unpool(t)
  end
end
local function prune(key)
  for _, id in ipairs(redis.call('ZRANGE', key, 0, 2)) do
    if redis.call('EXISTS', P .. 't:' .. id) == 0 then redis.call('ZREM', key, id) end
  end
end
local function index(t)
  if t.p == '1' then
    local key = held(t) and P .. 'l:' .. t.k or P .. 'f:' .. t.k
    prune(key)
    redis.call('ZADD', key, held(t) and t.le or t.o, t.id)
    keep(key, t.ea)
    return
  end
  for _, topic in ipairs(topics(t)) do
    prune(P .. 'i:' .. topic)
    redis.call('ZADD', P .. 'i:' .. topic, t.o, t.id)
    keep(P .. 'i:' .. topic, t.ea)
  end
end
local function fill(t)
  local filled = false
  for _, topic in ipairs(topics(t)) do
    local open = P .. 'o:' .. t.k .. ':' .. topic
    while true do
      local id = redis.call('ZPOPMIN', open)[1]
      if not id then break end
      local ends = redis.call('HGET', P .. 'e:' .. id, 'ea')
      if ends and tonumber(ends) > now then
        redis.call('HSET', P .. 'e:' .. id, 't', t.id)
        redis.call('ZREM', P .. 'd', 'e:' .. t.k .. ':' .. id)
        filled = true
        break
      end
    end
  end
  return filled
end
local function bound(id, order, ends, most)
  redis.call('ZADD', P .. 'u', order, id)
  keep(P .. 'u', ends)
  while redis.call('ZCARD', P .. 'u') > most do
    redis.call('DEL', P .. 't:' .. redis.call('ZPOPMIN', P .. 'u')[1])
  end
end
`;

/** ARGV: channel, merchant, ttl, accept, most unexpected, then 8 fields a token. Answers `put`'s answer for each. */
const PUT = `
local ttl, accept, most = tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5])
local answers, under = {}, {}
local order = time[1] * 1000000 + time[2]
for at = 6, #ARGV, 8 do
  local t = { id = ARGV[at], k = ARGV[at + 1], v = ARGV[at + 2], p = ARGV[at + 3], ra = now, ea = now + ttl, dl = 0 }
  t.md, t.sd, t.mu, t.oi = ARGV[at + 4], ARGV[at + 5], ARGV[at + 6], ARGV[at + 7]
  local key = P .. 't:' .. t.id
  if redis.call('EXISTS', key) == 1 then
    answers[#answers + 1] = 'known'
  else
    t.o = string.format('%.0f', order + #answers)
    t.st = (fill(t) or accept == 'any') and 'live' or 'unexpected'
    local flat = {}
    for field, value in pairs(t) do
      if value ~= '' then flat[#flat + 1] = field flat[#flat + 1] = value end
    end
    redis.call('HSET', key, unpack(flat))
    redis.call('PEXPIREAT', key, t.ea)
    if t.st == 'live' then
      index(t)
      redis.call('ZADD', P .. 'd', t.ea, 't:' .. t.k .. ':' .. t.id)
      keep(P .. 'd', t.ea + 60000)
      for _, topic in ipairs(topics(t)) do under[#under + 1] = topic end
      answers[#answers + 1] = 'kept'
    else
      bound(t.id, t.o, t.ea, most)
      answers[#answers + 1] = 'unexpected'
    end
  end
end
announce(ARGV[1], ARGV[2], under)
return answers
`;

/** ARGV: topic, kind or ''. */
const READ = `
local live, used, distinct = find(ARGV[1], ARGV[2])
if not live then return absent(ARGV[1], ARGV[2], used) end
if not live.sn then
  redis.pcall('HSET', P .. 't:' .. live.id, 'sn', '1')
  redis.pcall('ZREM', P .. 'd', 't:' .. live.k .. ':' .. live.id)
end
return answer('live', distinct, live.id)
`;

/** ARGV: claim id, lease, what ('held', 'pool' or 'topic'), topic, kind or '', '1' to refuse conflicts. */
const CLAIM = `
local claim, lease, what, topic, kind = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]
local function hold(t, renewals)
  local ends = math.min(now + lease, tonumber(t.ea))
  redis.call('HSET', P .. 't:' .. t.id, 'cl', claim, 'le', ends, 'dl', t.dl, 'rn', renewals)
  if t.p == '1' then
    redis.call('ZREM', P .. 'f:' .. t.k, t.id)
    redis.call('ZADD', P .. 'l:' .. t.k, ends, t.id)
    keep(P .. 'l:' .. t.k, t.ea)
  end
end
local function take(t, distinct)
  t.dl = t.dl + 1
  hold(t, 0)
  seen(t)
  redis.call('DEL', P .. 'c:' .. claim)
  redis.call('HSET', P .. 'c:' .. claim, 't', t.id)
  redis.call('PEXPIREAT', P .. 'c:' .. claim, t.ea)
  return answer('held', distinct, t.id)
end
local mine = redis.call('HGET', P .. 'c:' .. claim, 't')
local t = mine and get(mine)
if t and t.st == 'live' and held(t) and t.cl == claim then
  hold(t, (t.rn or 0) + 1)
  return answer('held', 1, t.id)
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
  while true do
    local id = redis.call('ZRANGE', free, 0, 0)[1]
    if not id then break end
    local first = get(id)
    if first and first.st == 'live' then return take(first, 1) end
    redis.call('ZREM', free, id)
  end
  local next = redis.call('ZRANGE', leased, 0, 0, 'WITHSCORES')
  if next[2] then return { 'none', next[2] - now } end
  return { 'none' }
end
local live, used, distinct = find(topic, kind)
if not live then return absent(topic, kind, used) end
if distinct > 1 and ARGV[6] == '1' then return { 'conflict', distinct } end
if held(live) then return answer('claimed', live.le - now, live.id) end
return take(live, distinct)
`;

/** ARGV: channel, merchant, claim id, 'use' or 'release'. */
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
  announce(ARGV[1], ARGV[2], topics(t))
  return 'done'
end
if c[2] or t.cl ~= claim then return 'lease_lost' end
markUsed(t)
return 'done'
`;

/** ARGV: channel, merchant, claim id, deliveries. */
const UNDO = `
local claim = ARGV[3]
local id = redis.call('HGET', P .. 'c:' .. claim, 't')
local t = id and get(id)
if t and t.st == 'live' and t.cl == claim and t.dl == ARGV[4] and t.rn == '0' then
  redis.call('HINCRBY', P .. 't:' .. t.id, 'dl', -1)
  putBack(t, claim)
  announce(ARGV[1], ARGV[2], topics(t))
end
return 'done'
`;

/** ARGV: token id. */
const USE = `
local t = get(ARGV[1])
if not t or t.st == 'unexpected' then return 'unknown' end
markUsed(t)
return 'done'
`;

/** ARGV: expectation id, kind, topic, ttl. Answers when it ends. */
const EXPECT = `
local id, kind, topic, ends = ARGV[1], ARGV[2], ARGV[3], now + tonumber(ARGV[4])
local opened = string.format('%.0f', time[1] * 1000000 + time[2])
redis.call('HSET', P .. 'e:' .. id, 'k', kind, 'tp', topic, 'op', opened, 'ea', ends)
redis.call('PEXPIREAT', P .. 'e:' .. id, ends)
local open = P .. 'o:' .. kind .. ':' .. topic
for _, old in ipairs(redis.call('ZRANGE', open, 0, 2)) do
  if redis.call('EXISTS', P .. 'e:' .. old) == 0 then redis.call('ZREM', open, old) end
end
redis.call('ZADD', open, opened, id)
keep(open, ends)
redis.call('HSET', P .. 'n:' .. topic, kind, id)
keep(P .. 'n:' .. topic, ends)
redis.call('ZADD', P .. 'd', ends, 'e:' .. kind .. ':' .. id)
keep(P .. 'd', ends + 60000)
return tostring(ends)
`;

/** ARGV: channel, merchant, expectation id. */
const CANCEL = `
local e = redis.call('HMGET', P .. 'e:' .. ARGV[3], 'k', 'tp', 'x', 'ea')
if not e[1] or tonumber(e[4]) <= now then return 'unknown' end
if e[3] then return 'done' end
redis.call('HSET', P .. 'e:' .. ARGV[3], 'x', '1')
redis.call('ZREM', P .. 'o:' .. e[1] .. ':' .. e[2], ARGV[3])
redis.call('ZREM', P .. 'd', 'e:' .. e[1] .. ':' .. ARGV[3])
announce(ARGV[1], ARGV[2], { e[2] })
return 'done'
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
  caratUse: USE,
  caratExpect: EXPECT,
  caratCancel: CANCEL,
  caratSweep: SWEEP,
};
export type ScriptName = keyof typeof BODIES;

/** The scripts, for ioredis' `defineCommand`. */
export const SCRIPTS = Object.fromEntries(
  Object.entries(BODIES).map(([name, body]) => [name, { lua: PRELUDE + body, numberOfKeys: 1 }]),
) as Record<ScriptName, { lua: string; numberOfKeys: number }>;
