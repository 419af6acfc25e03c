-- uses: announcements, answers, tokens, using
-- Marks a token as used. ARGV: token id, channel, merchant. Answers the token, unless it is unknown.
-- token.
local t = get(ARGV[1])
if not t or t[STATE] == 'unexpected' then return 'unknown' end
markUsed(t)
mirror(ARGV[2], ARGV[3], t[ID], 'used')
return answer('done', 1, t)
