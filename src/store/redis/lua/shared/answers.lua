-- uses: tokens, values
-- In the order in which wire.ts reads them.
local ANSWERED = {
  ID, KIND, VALUE, POOLED, MERCHANT_DATA, SID, MERCHANT_USN, ORDER_ID, RECEIVED, EXPIRES, CLAIM, LEASE_ENDS,
  DELIVERIES, RENEWALS,
}
local function answer(state, distinct, t)
  local fields = {}
  for i, field in ipairs(ANSWERED) do fields[i] = t[field] or false end
  if not held(t) then fields[11] = false end
  return { state, distinct, fields, unknownKey }
end
