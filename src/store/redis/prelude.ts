/**
 * How the Redis store keeps a merchant's tokens, and the Lua functions that its scripts share. A merchant's keys share
 * the hash tag `{merchant}` and so one slot; the only key passed is their prefix, `carat:{merchant}:`. Deadlines are by Redis' clock.
 *
 * | key | type | what it holds | until |
 * |---|---|---|---|
 * | `t:ID` | hash | a token | it expires |
 * | `i:KIND:TOPIC` | sorted set | tokens under a correlator, by order of arrival | the last of them expires |
 * | `f:KIND`, `l:KIND` | sorted set | the pool's free tokens by arrival, its leased ones by the end of the lease | the same |
 * | `c:CLAIM` | hash | the token that a claim id took last, when (`o`, microseconds), and the calls that did (`n`) | the last token that it took expires |
 * | `e:ID` | hash | an expectation | it ends, or is of no use to a verdict that was put off |
 * | `o:KIND:TOPIC` | sorted set | open expectations, oldest first | the last of them ends |
 * | `a:KIND:TOPIC` | sorted set | all expectations, also those over, while a verdict may still be put off; only where one is demanded | the last is forgotten |
 * | `n:TOPIC` | hash | the newest expectation of each kind | the last of them ends |
 * | `d` | sorted set | what is told when its time is over: tokens that nobody got, open expectations | a minute after the last |
 * | `u` | sorted set | unexpected tokens, a bounded number | the last of them expires |
 * | `r:KIND:TOPIC` | sorted set | unexpected tokens under a correlator or of the pool, by order of arrival: an announcement that comes later may admit one | the same |
 * | `x`, `y`, `z` | hash, sorted set, number | what is written when nothing is to be kept, and the time of a write must pass | as a token, a minute later |
 * | `w` | hash | the instances: which run of Redis each has restored, and when it last had nothing pending | none was heard of for a token's lifetime |
 * | `s` | number | the counter of announcements | it has rested for twice the longest wait |
 */
import { KINDS, MOST_DISTINCT } from '../../token.ts';

/** The fields of a token's hash, in the order in which scripts answer them; the 11th and 12th are claim and lease end. */
const TOKEN_FIELDS = ['id', 'k', 'v', 'p', 'md', 'sd', 'mu', 'oi', 'ra', 'ea', 'cl', 'le', 'dl', 'rn'] as const;

export const PRELUDE = `
local P = KEYS[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function keep(key, at)
  if redis.call('PEXPIREAT', key, at, 'NX') == 0 then redis.call('PEXPIREAT', key, at, 'GT') end
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
  local found = {}
  if t.md and t.md ~= '' then found[1] = 'merchant_data=' .. t.md end
  if t.sd and t.sd ~= '' then found[#found + 1] = 'sid=' .. t.sd end
  if t.mu and t.mu ~= '' then found[#found + 1] = 'merchant_usn=' .. t.mu end
  if t.oi and t.oi ~= '' then found[#found + 1] = 'order_id=' .. t.oi end
  return found
end
local function announce(channel, merchant, under)
  if #under == 0 then return end
  local sequence = redis.call('INCR', P .. 's')
  if sequence == 1 then sequence = redis.call('INCRBY', P .. 's', now) end
  redis.call('PEXPIRE', P .. 's', 120000)
  redis.call('PUBLISH', channel, merchant .. '\\n' .. sequence .. '\\n' .. table.concat(under, '\\n'))
end
-- Tells the instances that keep a copy of a token what became of it. An empty merchant marks it: older versions skip it.
local function mirror(channel, merchant, t, what)
  redis.call('PUBLISH', channel, '\\n' .. merchant .. '\\n' .. t.id .. '\\n' .. what)
end
-- The fingerprints of the keys that the caller has, each with a comma behind it; '*' when it opens every value.
local openable, unknownKey = '*', false
local function opens(t)
  local key = string.match(t.v, '^sealed (%x+) ')
  if not key or openable == '*' or string.find(openable, key .. ',', 1, true) then return true end
  unknownKey = key
  return false
end
local function answer(state, distinct, id)
  local fields = redis.call('HMGET', P .. 't:' .. id, ${TOKEN_FIELDS.map((field) => `'${field}'`).join(', ')})
  if not fields[11] or tonumber(fields[12]) <= now then fields[11] = false end
  return { state, distinct, fields, unknownKey }
end
local function held(t) return t.cl and tonumber(t.le) > now end
local function find(topic, kind)
  local live, used, distinct = nil, false, 0
  for _, of in ipairs(kind == '' and { ${KINDS.map((kind) => `'${kind}'`).join(', ')} } or { kind }) do
    local newest, at = nil, 0
    repeat
      local ids = redis.call('ZREVRANGE', P .. 'i:' .. of .. ':' .. topic, at, at + ${MOST_DISTINCT - 1})
      at = at + #ids
      for _, id in ipairs(ids) do
        local t = get(id)
        if t and t.st == 'used' then used = true
        elseif t and t.st == 'live' then
          distinct = distinct + 1
          if not newest and opens(t) then newest = t end
        end
      end
    until #ids < ${MOST_DISTINCT} or distinct >= ${MOST_DISTINCT}
    if newest and (not live or tonumber(newest.o) > tonumber(live.o)) then live = newest end
  end
  return live, used, math.min(distinct, ${MOST_DISTINCT})
end
-- A live token that the caller cannot open is there for others: the query is neither used up nor cancelled.
local function absent(topic, kind, used)
  if unknownKey then return { 'none', false, false, unknownKey } end
  local newest, cancelled = 0, false
  local flat = redis.call('HGETALL', P .. 'n:' .. topic)
  for i = 1, #flat, 2 do
    if kind == '' or flat[i] == kind then
      local e = redis.call('HMGET', P .. 'e:' .. flat[i + 1], 'op', 'ea', 'x')
      if e[1] and tonumber(e[2]) > now and tonumber(e[1]) >= newest then newest, cancelled = tonumber(e[1]), e[3] ~= false end
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
local function told(t) redis.call('ZREM', P .. 'd', 't:' .. t.k .. ':' .. t.id) end
-- A script may fail at any command. A token in two sets is harmless, and one in none is lost: add before removing.
local function putBack(t, claim)
  if t.p == '1' then
    redis.call('ZADD', P .. 'f:' .. t.k, t.o, t.id)
    keep(P .. 'f:' .. t.k, t.ea)
    redis.call('ZREM', P .. 'l:' .. t.k, t.id)
  end
  redis.call('HSET', P .. 'c:' .. claim, 'r', '1')
  redis.call('HDEL', P .. 't:' .. t.id, 'cl', 'le', 'rn')
end
local function markUsed(t)
  if t.st ~= 'used' then
    redis.call('HSET', P .. 't:' .. t.id, 'st', 'used')
    told(t)
    unpool(t)
  end
end
-- A set that was there before may hold what has expired, and lives as long as the last that comes into it.
local function place(key, score, id, ends)
  local added = redis.call('ZADD', key, score, id)
  if redis.call('PEXPIREAT', key, ends, 'NX') == 0 then
    for _, old in ipairs(redis.call('ZRANGE', key, 0, 2)) do
      if old ~= id and redis.call('EXISTS', P .. 't:' .. old) == 0 then redis.call('ZREM', key, old) end
    end
    redis.call('PEXPIREAT', key, ends, 'GT')
  end
  return added == 1
end
-- Answers whether the token was missing anywhere.
local function index(t, named)
  if t.p == '1' then return place(P .. (held(t) and 'l:' or 'f:') .. t.k, held(t) and t.le or t.o, t.id, t.ea) end
  local missing = false
  for _, topic in ipairs(named or topics(t)) do
    if place(P .. 'i:' .. t.k .. ':' .. topic, t.o, t.id, t.ea) then missing = true end
  end
  return missing
end
local function fill(t)
  local filled = false
  for _, topic in ipairs(topics(t)) do
    local open = P .. 'o:' .. t.k .. ':' .. topic
    while true do
      -- Out of memory, Redis refuses a script at its first write, if that is one that needs memory: this one does.
      local id = redis.call('ZRANGE', open, 0, 0)[1]
      if not id then break end
      local ends = redis.call('HGET', P .. 'e:' .. id, 'ea')
      local isOpen = ends and tonumber(ends) > now
      if isOpen then redis.call('HSET', P .. 'e:' .. id, 't', t.id) end
      redis.call('ZREM', open, id)
      if isOpen then
        redis.call('ZREM', P .. 'd', 'e:' .. t.k .. ':' .. id)
        filled = true
        break
      end
    end
  end
  return filled
end
local function close(id, kind, topic)
  redis.call('ZREM', P .. 'o:' .. kind .. ':' .. topic, id)
  redis.call('ZREM', P .. 'd', 'e:' .. kind .. ':' .. id)
end
-- The expectations under a topic, oldest first: read once in a script, kept up to date by fillPlace. The arrival of the
-- token in one, ra, is read when it is needed.
local placesOf = {}
local function placesUnder(kind, topic)
  local under = kind .. ':' .. topic
  if not placesOf[under] then
    local places = {}
    for _, id in ipairs(redis.call('ZRANGE', P .. 'a:' .. under, 0, -1)) do
      local e = redis.call('HMGET', P .. 'e:' .. id, 'op', 'ea', 'x', 't')
      if e[1] then
        local since, upto = math.floor(e[1] / 1000), math.min(tonumber(e[2]), tonumber(e[3] or e[2]))
        places[#places + 1] = { id = id, k = kind, tp = topic, since = since, upto = upto, t = e[4] }
      end
    end
    placesOf[under] = places
  end
  return placesOf[under]
end
local function fillPlace(e, id)
  if not e.t then close(e.id, e.k, e.tp) end
  e.t, e.ra = id, nil
  redis.call('HSET', P .. 'e:' .. e.id, 't', id)
end
local function placeOf(id, kind, topic)
  for _, e in ipairs(placesUnder(kind, topic)) do
    if e.t == id then return e end
  end
end
-- Finds a token an expectation that was open when it arrived. Tokens are not judged in the order in which they arrived:
-- the latest may have taken the place of an earlier one. Then it moves to a place that was opened later.
local function seat(t)
  local moves, mover = {}, t
  for _ = 1, 100 do
    local arrived, latest = tonumber(mover.ra), nil
    for _, topic in ipairs(topics(mover)) do
      for _, e in ipairs(placesUnder(mover.k, topic)) do
        if e.since <= arrived and arrived < e.upto then
          if not e.t then
            fillPlace(e, mover.id)
            for _, move in ipairs(moves) do fillPlace(move[1], move[2]) end
            return true
          end
          if not e.ra then e.ra = tonumber(redis.call('HGET', P .. 't:' .. e.t, 'ra') or 0) end
          if not latest or e.ra > latest.ra then latest = e end
        end
      end
    end
    local holder = latest and latest.ra > arrived and get(latest.t)
    if not holder then return false end
    moves[#moves + 1] = { latest, mover.id }
    mover = holder
  end
  return false
end
local function judge(t)
  for _, topic in ipairs(topics(t)) do
    if placeOf(t.id, t.k, topic) then return true end
  end
  return seat(t)
end
local function openNow(id, kind, topic, opened, ends)
  local newest = redis.call('HGET', P .. 'n:' .. topic, kind)
  if not newest or tonumber(redis.call('HGET', P .. 'e:' .. newest, 'op') or 0) <= tonumber(opened) then
    redis.call('HSET', P .. 'n:' .. topic, kind, id)
  end
  keep(P .. 'n:' .. topic, ends)
  local places = P .. 'o:' .. kind .. ':' .. topic
  for _, old in ipairs(redis.call('ZRANGE', places, 0, 2)) do
    if tonumber(redis.call('HGET', P .. 'e:' .. old, 'ea') or 0) <= now then redis.call('ZREM', places, old) end
  end
  redis.call('ZADD', places, opened, id)
  keep(places, ends)
  redis.call('ZADD', P .. 'd', ends, 'e:' .. kind .. ':' .. id)
  keep(P .. 'd', ends + 60000)
end
local function open(id, kind, topic, opened, ends, retention)
  redis.call('HSET', P .. 'e:' .. id, 'k', kind, 'tp', topic, 'op', opened, 'ea', ends)
  redis.call('PEXPIREAT', P .. 'e:' .. id, ends + retention)
  if ends > now then openNow(id, kind, topic, opened, ends) end
  if retention > 0 then
    local all = P .. 'a:' .. kind .. ':' .. topic
    for _, old in ipairs(redis.call('ZRANGE', all, 0, 2)) do
      if redis.call('EXISTS', P .. 'e:' .. old) == 0 then redis.call('ZREM', all, old) end
    end
    redis.call('ZADD', all, opened, id)
    keep(all, ends + retention)
  end
end
local function refuse(t, most)
  redis.call('ZADD', P .. 'u', t.o, t.id)
  keep(P .. 'u', t.ea)
  for _, topic in ipairs(topics(t)) do place(P .. 'r:' .. t.k .. ':' .. topic, t.o, t.id, t.ea) end
  while redis.call('ZCARD', P .. 'u') > most do
    redis.call('DEL', P .. 't:' .. redis.call('ZPOPMIN', P .. 'u')[1])
  end
end
local function watch(t)
  local what = 't:' .. t.k .. ':' .. t.id
  if redis.call('ZADD', P .. 'd', 'NX', t.ea, what) == 0 then
    local over = redis.call('ZSCORE', P .. 'd', what)
    if tonumber(over) <= now then redis.call('ZADD', P .. 'd', over, what .. ':' .. over) end
    redis.call('ZADD', P .. 'd', t.ea, what)
  end
  keep(P .. 'd', t.ea + 60000)
end
local function record(t)
  local flat = {}
  for field, value in pairs(t) do
    if value ~= '' then flat[#flat + 1] = field flat[#flat + 1] = value end
  end
  redis.call('HSET', P .. 't:' .. t.id, unpack(flat))
  redis.call('PEXPIREAT', P .. 't:' .. t.id, t.ea)
end
local function store(t, most)
  if t.st == 'unexpected' then
    record(t)
    return refuse(t, most)
  end
  -- First the index: should the script fail there, the token is not taken for one that is here.
  if t.st == 'live' or t.p ~= '1' then index(t) end
  record(t)
  if t.st ~= 'live' then return end
  if not t.sn and tonumber(t.dl) == 0 then watch(t) end
end
-- A refused token that was expected after all.
local function admit(t)
  t.st = 'live'
  redis.call('HSET', P .. 't:' .. t.id, 'st', 'live')
  redis.call('ZREM', P .. 'u', t.id)
  for _, topic in ipairs(topics(t)) do redis.call('ZREM', P .. 'r:' .. t.k .. ':' .. topic, t.id) end
  index(t)
  if not t.sn and tonumber(t.dl) == 0 then watch(t) end
end
local function giveBack(t, claim)
  if redis.call('HINCRBY', P .. 't:' .. t.id, 'dl', -1) == 0 and not t.sn then watch(t) end
  putBack(t, claim)
end
`;
