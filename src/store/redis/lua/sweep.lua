-- uses: clock, due
-- Answers each expired entry once: 't:KIND:ID' for an unseen token, 'e:KIND:ID' for an expectation
-- without its post.
local over = redis.call('ZRANGEBYSCORE', DUE, '-inf', now, 'LIMIT', 0, 1000)
for _, what in ipairs(over) do redis.call('ZREM', DUE, what) end
return over
