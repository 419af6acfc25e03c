-- uses: clock, instances
-- Records this instance among the instances that share the merchant, and lists them. ARGV:
-- instance, what, for how long it is remembered. What: 'look'; 'asserted': this instance has
-- brought its uses and claims; 'whole': the same still holds, and nothing is pending; 'leave'.
-- Answers the run of Redis and the time. For each instance follow its name, the run in which it
-- asserted, and the time of its last mark. An instance that is missing from the answer concludes
-- that data was lost.
local key, me, what = INSTANCES, ARGV[1], ARGV[2]
local function say(of) redis.call('HSET', key, me, of .. ' ' .. string.format('%.0f', now)) end
local mine = redis.call('HGET', key, me)
local run = mine and string.match(mine, '^%S+') or '-'
if what ~= 'whole' then
  local info = redis.pcall('INFO', 'server')
  run = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or '-'
end
if what == 'asserted' then say(run)
elseif what == 'whole' and mine then say(run)
elseif what == 'leave' and mine and string.match(mine, '^%S+') == run then say('left:' .. run)
elseif what == 'leave' then redis.call('HDEL', key, me) end
local answer = { run, string.format('%.0f', now) }
local flat = redis.call('HGETALL', key)
for i = 1, #flat, 2 do
  local of, at = string.match(flat[i + 1], '^(%S+) (%d+)$')
  if not at or tonumber(at) + ARGV[3] < now then redis.call('HDEL', key, flat[i])
  else for _, part in ipairs({ flat[i], of, at }) do answer[#answer + 1] = part end end
end
if what ~= 'look' then redis.call('PEXPIRE', key, ARGV[3]) end
return answer
