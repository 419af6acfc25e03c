-- uses: announcements, claims, giving-back, tokens
-- Undoes one claim. ARGV: channel, merchant, claim id, deliveries, renewals, and the end of its
-- lease or 0. The end tells this claim from a later one.
local claim = ARGV[3]
local id = redis.call('HGET', CLAIMS .. claim, TOKEN)
local t = id and get(id)
if t and t[STATE] == 'live' and t[CLAIM] == claim and t[DELIVERIES] == ARGV[4] and t[RENEWALS] == ARGV[5] and (ARGV[6] == '0' or t[LEASE_ENDS] == ARGV[6]) then
  giveBack(t, claim)
  mirror(ARGV[1], ARGV[2], t[ID], 'released\n' .. claim)
  announce(ARGV[1], ARGV[2], topics(t))
  return 1
end
return 0
