-- uses: clock, recharge-answers, recharges
-- Records a decision. ARGV: id, decision. Only the first decision is written.
if redis.call('EXISTS', recharge) == 0 then return false end
if redis.call('HSETNX', recharge, 'decision', ARGV[2]) == 1 then
  redis.call('HSET', recharge, 'by', 'worker')
  redis.call('ZADD', owed, now, ARGV[1])
end
return shown()
