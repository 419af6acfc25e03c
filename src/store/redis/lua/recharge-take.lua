-- uses: clock, recharge-answers, recharges
-- Takes a due recharge under a lease. ARGV: id, lease. A recharge without a timely decision is
-- decided here: undo.
local due = redis.call('ZSCORE', owed, ARGV[1])
if not due or tonumber(due) > now then return false end
if redis.call('EXISTS', recharge) == 0 or redis.call('HEXISTS', recharge, 'end') == 1 then
  redis.call('ZREM', owed, ARGV[1])
  return false
end
if redis.call('HSETNX', recharge, 'decision', 'undo') == 1 then redis.call('HSET', recharge, 'by', 'guard') end
redis.call('HINCRBY', recharge, 'attempts', 1)
redis.call('ZADD', owed, now + tonumber(ARGV[2]), ARGV[1])
return shown()
