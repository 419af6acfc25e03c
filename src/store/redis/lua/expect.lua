-- uses: clock, opening
-- Opens an expectation. ARGV: expectation id, kind, topic, ttl, for how long a verdict may be put
-- off. Answers when it ends.
local ends = now + tonumber(ARGV[4])
open(ARGV[1], ARGV[2], ARGV[3], string.format('%.0f', time[1] * 1000000 + time[2]), ends, tonumber(ARGV[5]))
return tostring(ends)
