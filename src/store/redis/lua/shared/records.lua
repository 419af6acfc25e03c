-- uses: tokens
-- One table for all records of a call: a table that grows costs more than the fields that it takes.
local flat = {}
local function record(t)
  local key, count = TOKENS .. t[ID], 0
  for field, value in pairs(t) do
    if value ~= '' then
      flat[count + 1], flat[count + 2] = field, value
      count = count + 2
    end
  end
  redis.call('HSET', key, unpack(flat, 1, count))
  redis.call('PEXPIREAT', key, t[EXPIRES])
end
