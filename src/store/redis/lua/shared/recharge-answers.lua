-- uses: recharges
-- Returns the fields in the order in which recharges.ts reads them.
local function shown()
  return redis.call('HMGET', recharge, 'nit', 'usn', 'settle_by', 'decision', 'by', 'attempts', 'end', 'status')
end
