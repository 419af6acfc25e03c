-- uses: announcements, answers, claims, putting-back, tokens, using
-- Settles a claim. ARGV: channel, merchant, claim id, 'use' or 'release'. After a use the answer
-- includes the token.
local claim = ARGV[3]
local c = redis.call('HMGET', CLAIMS .. claim, TOKEN, RELEASED)
local t = c[1] and get(c[1])
if not t then return 'unknown' end
if ARGV[4] == 'release' then
  if c[2] then return 'done' end
  if t[STATE] == 'used' then return 'used' end
  if t[CLAIM] ~= claim then return 'lease_lost' end
  putBack(t, claim)
  mirror(ARGV[1], ARGV[2], t[ID], 'released\n' .. claim)
  announce(ARGV[1], ARGV[2], topics(t))
  return 'done'
end
if c[2] or t[CLAIM] ~= claim then return 'lease_lost' end
markUsed(t)
mirror(ARGV[1], ARGV[2], t[ID], 'used')
return answer('done', 1, t[ID])
