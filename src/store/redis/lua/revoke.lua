-- uses: announcements, claims, giving-back, tokens
-- Puts back tokens that were claimed by calls whose answers were lost. ARGV: channel, merchant,
-- then for each claim its id and those calls, separated by commas. Any other call of a claim may
-- have been answered: then the claim stays.
for at = 3, #ARGV, 2 do
  local claim, unheard = ARGV[at], {}
  for call in string.gmatch(ARGV[at + 1], '[^,]+') do unheard[call] = true end
  local c = redis.call('HMGET', CLAIMS .. claim, TOKEN, CALLS)
  local t = c[1] and c[2] and get(c[1])
  if t and t[STATE] == 'live' and t[CLAIM] == claim then
    local calls = 0
    for call in string.gmatch(c[2], '[^,]+') do calls = calls + (unheard[call] and 1 or -1000) end
    -- Older versions renew without naming the call.
    if calls == (tonumber(t[RENEWALS]) or 0) + 1 then
      giveBack(t, claim)
      redis.call('DEL', CLAIMS .. claim)
      mirror(ARGV[1], ARGV[2], t[ID], 'released\n' .. claim)
      announce(ARGV[1], ARGV[2], topics(t))
    end
  end
end
return 'done'
