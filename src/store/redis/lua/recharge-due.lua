-- uses: clock, recharges
-- ARGV: how many.
return { redis.call('ZRANGEBYSCORE', owed, '-inf', now, 'LIMIT', 0, ARGV[1]), redis.call('ZCARD', owed) }
