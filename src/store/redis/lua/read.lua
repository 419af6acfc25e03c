-- uses: answers, due, queries, tokens, values
-- ARGV: topic, kind or '', the keys that can be opened.
openable = ARGV[3]
local live, used, distinct = find(ARGV[1], ARGV[2])
if not live then return absent(ARGV[1], ARGV[2], used) end
if not live[SEEN] then
  redis.pcall('HSET', TOKENS .. live[ID], SEEN, '1')
  redis.pcall('ZREM', DUE, dueToken(live))
end
return answer('live', distinct, live[ID])
