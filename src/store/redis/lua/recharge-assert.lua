-- uses: clock, recharge-answers, recharges
-- Restores a recharge that this Redis may have lost. ARGV: id, NIT, merchant USN, milliseconds
-- until it must be settled, decision or '', who decided or '', milliseconds that the other
-- instances get to bring a decision. A decision is never replaced.
if redis.call('EXISTS', recharge) == 0 then
  local settleBy = now + tonumber(ARGV[4])
  redis.call('HSET', recharge, 'nit', ARGV[2], 'usn', ARGV[3], 'settle_by', string.format('%.0f', settleBy), 'attempts', 0)
  redis.call('ZADD', owed, string.format('%.0f', math.max(settleBy, now + tonumber(ARGV[7]))), ARGV[1])
end
if ARGV[5] ~= '' and redis.call('HEXISTS', recharge, 'end') == 0 and redis.call('HSETNX', recharge, 'decision', ARGV[5]) == 1 then
  redis.call('HSET', recharge, 'by', ARGV[6])
  redis.call('ZADD', owed, now, ARGV[1])
end
return shown()
