-- uses: clock, recharge-answers, recharges
-- Adds an owed recharge. ARGV: id, NIT, merchant USN, milliseconds until it must be settled.
if redis.call('EXISTS', recharge) == 0 then
  local settleBy = string.format('%.0f', now + tonumber(ARGV[4]))
  redis.call('HSET', recharge, 'nit', ARGV[2], 'usn', ARGV[3], 'settle_by', settleBy, 'attempts', 0)
  redis.call('ZADD', owed, settleBy, ARGV[1])
end
return shown()
