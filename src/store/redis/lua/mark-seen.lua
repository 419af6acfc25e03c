-- uses: due, tokens
-- Marks tokens that workers got from announcements. ARGV: for each token its id, kind, and end. The
-- end must match: the token may have expired and been delivered anew.
for at = 1, #ARGV, 3 do
  local id, kind, ends = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  if redis.call('HGET', TOKENS .. id, EXPIRES) == ends then
    redis.call('HSET', TOKENS .. id, SEEN, '1')
    redis.call('ZREM', DUE, dueToken({ [ID] = id, [KIND] = kind }))
  end
end
