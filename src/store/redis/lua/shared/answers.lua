-- uses: clock, tokens, values
-- The fields are in the order in which wire.ts reads them.
local function answer(state, distinct, id)
  local fields = redis.call('HMGET', TOKENS .. id, 
    ID, KIND, VALUE, POOLED, MERCHANT_DATA, SID, MERCHANT_USN, ORDER_ID, RECEIVED, EXPIRES, CLAIM, LEASE_ENDS,
    DELIVERIES, RENEWALS)
  if not fields[11] or tonumber(fields[12]) <= now then fields[11] = false end
  return { state, distinct, fields, unknownKey }
end
