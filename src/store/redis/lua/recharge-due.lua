-- uses: clock, recharges
-- Lists due recharges and counts the owed ones. ARGV: limit.
return { redis.call('ZRANGEBYSCORE', owed, '-inf', now, 'LIMIT', 0, ARGV[1]), redis.call('ZCARD', owed) }
