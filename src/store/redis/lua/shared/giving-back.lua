-- uses: due, putting-back, tokens
local function giveBack(t, claim)
  if redis.call('HINCRBY', TOKENS .. t[ID], DELIVERIES, -1) == 0 and not t[SEEN] then watch(t) end
  putBack(t, claim)
end
