-- uses: recharge-answers
-- ARGV: id, decision. Only the first decision is written.
if redis.call('EXISTS', record) == 0 then return false end
if redis.call('HSETNX', record, 'decision', ARGV[2]) == 1 then
  redis.call('HSET', record, 'by', 'worker')
  redis.call('ZADD', owed, now, ARGV[1])
end
return shown()
