-- uses: recharge-answers
-- Brings back what this Redis may have lost. ARGV: id, NIT, merchant USN, milliseconds until it
-- must be settled, decision or '', who decided or '', milliseconds that the other instances get to
-- bring a decision. A decision is never replaced.
if redis.call('EXISTS', record) == 0 then
  local settleBy = now + tonumber(ARGV[4])
  redis.call('HSET', record, 'nit', ARGV[2], 'usn', ARGV[3], 'settle_by', string.format('%.0f', settleBy), 'attempts', 0)
  redis.call('ZADD', owed, string.format('%.0f', math.max(settleBy, now + tonumber(ARGV[7]))), ARGV[1])
end
if ARGV[5] ~= '' and redis.call('HEXISTS', record, 'end') == 0 and redis.call('HSETNX', record, 'decision', ARGV[5]) == 1 then
  redis.call('HSET', record, 'by', ARGV[6])
  redis.call('ZADD', owed, now, ARGV[1])
end
return shown()
