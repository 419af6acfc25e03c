-- uses: recharges
-- ARGV: id, end, status, milliseconds for which it is remembered.
if redis.call('EXISTS', record) == 1 and redis.call('HSETNX', record, 'end', ARGV[2]) == 1 then
  redis.call('HSET', record, 'status', ARGV[3])
  redis.call('PEXPIRE', record, ARGV[4])
end
redis.call('ZREM', owed, ARGV[1])
return true
