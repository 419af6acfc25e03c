-- uses: tokens
local function record(t)
  local flat = {}
  for field, value in pairs(t) do
    if value ~= '' then flat[#flat + 1] = field flat[#flat + 1] = value end
  end
  redis.call('HSET', TOKENS .. t[ID], unpack(flat))
  redis.call('PEXPIREAT', TOKENS .. t[ID], t[EXPIRES])
end
