-- uses: keys, pool, tokens
-- Tokens under a correlator, by order of arrival, for each kind.
local KINDS = { 'seid', 'nit', 'token' }
local INDEX = prefix .. 'i:'
-- An existing set may hold expired tokens. It lives as long as its longest-lived token.
local function place(key, score, id, ends)
  local added = redis.call('ZADD', key, score, id)
  if redis.call('PEXPIREAT', key, ends, 'NX') == 0 then
    for _, old in ipairs(redis.call('ZRANGE', key, 0, 2)) do
      if old ~= id and redis.call('EXISTS', TOKENS .. old) == 0 then redis.call('ZREM', key, old) end
    end
    redis.call('PEXPIREAT', key, ends, 'GT')
  end
  return added == 1
end
-- Returns whether the token was missing anywhere.
local function index(t, named)
  if t[POOLED] == '1' then return place((held(t) and LEASED or FREE) .. t[KIND], held(t) and t[LEASE_ENDS] or t[ORDER], t[ID], t[EXPIRES]) end
  local missing = false
  for _, topic in ipairs(named or topics(t)) do
    if place(INDEX .. t[KIND] .. ':' .. topic, t[ORDER], t[ID], t[EXPIRES]) then missing = true end
  end
  return missing
end
