-- uses: announcements, answers, clock, due, queries, tokens, values
-- Reads a token and marks it as seen. ARGV: topic, kind or '', the keys that can be opened. If no
-- token is live, the answer includes the merchant's sequence. Every arrival after this read is
-- announced with a higher one.
openable = ARGV[3]
local live, used, distinct = find(ARGV[1], ARGV[2])
if not live then
  local nothing = absent(ARGV[1], ARGV[2], used)
  -- The sequence expires after a pause in announcements; the next one begins above this time.
  local sequence = redis.call('GET', SEQUENCE) or string.format('%.0f', now)
  return { nothing[1], false, false, nothing[4] or false, sequence }
end
if not live[SEEN] then
  redis.pcall('HSET', TOKENS .. live[ID], SEEN, '1')
  redis.pcall('ZREM', DUE, dueToken(live))
end
return answer('live', distinct, live)
