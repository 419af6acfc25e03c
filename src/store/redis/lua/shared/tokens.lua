-- uses: clock, keys
-- A token is a hash. Keys and fields are those of version 1.0.0: two versions share a Redis during a rolling update.
local TOKENS = prefix .. 't:'
local ID, KIND, VALUE, POOLED, STATE = 'id', 'k', 'v', 'p', 'st'
local MERCHANT_DATA, SID, MERCHANT_USN, ORDER_ID = 'md', 'sd', 'mu', 'oi'
-- Time of arrival, time of the end, and order of arrival.
local RECEIVED, EXPIRES, ORDER = 'ra', 'ea', 'o'
-- '1' after a worker read the token.
local SEEN = 'sn'
local CLAIM, LEASE_ENDS, DELIVERIES, RENEWALS = 'cl', 'le', 'dl', 'rn'
local function get(id)
  local t = {}
  local flat = redis.call('HGETALL', TOKENS .. id)
  for i = 1, #flat, 2 do t[flat[i]] = flat[i + 1] end
  if not t[ID] or tonumber(t[EXPIRES]) <= now then return nil end
  return t
end
local function topics(t)
  if t[POOLED] == '1' then return { 'pool=' .. t[KIND] } end
  local found = {}
  if t[MERCHANT_DATA] and t[MERCHANT_DATA] ~= '' then found[1] = 'merchant_data=' .. t[MERCHANT_DATA] end
  if t[SID] and t[SID] ~= '' then found[#found + 1] = 'sid=' .. t[SID] end
  if t[MERCHANT_USN] and t[MERCHANT_USN] ~= '' then found[#found + 1] = 'merchant_usn=' .. t[MERCHANT_USN] end
  if t[ORDER_ID] and t[ORDER_ID] ~= '' then found[#found + 1] = 'order_id=' .. t[ORDER_ID] end
  return found
end
-- A set may still name an expired token that came again with other correlators.
local function isUnder(t, topic)
  for _, own in ipairs(topics(t)) do
    if own == topic then return true end
  end
  return false
end
local function held(t) return t[CLAIM] and tonumber(t[LEASE_ENDS]) > now end
