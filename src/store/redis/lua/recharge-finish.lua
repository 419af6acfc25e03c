-- uses: recharges
-- Ends a recharge. ARGV: id, end, status, milliseconds for which it is remembered.
if redis.call('EXISTS', recharge) == 1 and redis.call('HSETNX', recharge, 'end', ARGV[2]) == 1 then
  redis.call('HSET', recharge, 'status', ARGV[3])
  redis.call('PEXPIRE', recharge, ARGV[4])
end
redis.call('ZREM', owed, ARGV[1])
return true
