-- uses: clock, keys, tokens
-- Entries that are reported when they expire: unseen tokens and open expectations.
local DUE = prefix .. 'd'
local function dueToken(t) return 't:' .. t[KIND] .. ':' .. t[ID] end
local function dueExpectation(kind, id) return 'e:' .. kind .. ':' .. id end
local function watch(t)
  local what = dueToken(t)
  if redis.call('ZADD', DUE, 'NX', t[EXPIRES], what) == 0 then
    local over = redis.call('ZSCORE', DUE, what)
    if tonumber(over) <= now then redis.call('ZADD', DUE, over, what .. ':' .. over) end
    redis.call('ZADD', DUE, t[EXPIRES], what)
  end
  keep(DUE, t[EXPIRES] + 60000)
end
local function unwatch(t) redis.call('ZREM', DUE, dueToken(t)) end
