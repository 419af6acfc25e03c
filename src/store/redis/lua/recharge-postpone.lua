-- uses: clock, recharges
-- Postpones the next attempt. ARGV: id, attempts, milliseconds.
if redis.call('HGET', recharge, 'attempts') == ARGV[2] then
  redis.call('ZADD', owed, 'XX', now + tonumber(ARGV[3]), ARGV[1])
end
return true
