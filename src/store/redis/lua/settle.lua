-- uses: announcements, answers, claims, putting-back, tokens, using
-- Settles claims, in the given order. ARGV: channel, merchant, then for each claim its id and 'use'
-- or 'release'. Answers each. After a use the answer includes the token.
local used = {}
local function settle(claim, how)
  local c = redis.call('HMGET', CLAIMS .. claim, TOKEN, RELEASED)
  local t = c[1] and get(c[1])
  if not t then return 'unknown' end
  if how == 'release' then
    if c[2] then return 'done' end
    if t[STATE] == 'used' then return 'used' end
    if t[CLAIM] ~= claim then return 'lease_lost' end
    putBack(t, claim)
    mirror(ARGV[1], ARGV[2], t[ID], 'released\n' .. claim)
    announce(ARGV[1], ARGV[2], topics(t))
    return 'done'
  end
  if c[2] or t[CLAIM] ~= claim then return 'lease_lost' end
  if t[STATE] ~= 'used' then
    redis.call('HSET', TOKENS .. t[ID], STATE, 'used')
    used[#used + 1] = t
  end
  mirror(ARGV[1], ARGV[2], t[ID], 'used')
  return answer('done', 1, t)
end
local answers = {}
for at = 3, #ARGV, 2 do answers[#answers + 1] = settle(ARGV[at], ARGV[at + 1]) end
unlist(used)
return answers
