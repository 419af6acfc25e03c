-- uses: announcements, clock, closing, expectations
-- Cancels an expectation. ARGV: channel, merchant, expectation id. Answers its kind and topic, how
-- long ago it was opened and cancelled, and how long it has left.
local e = redis.call('HMGET', EXPECTATIONS .. ARGV[3], EXPECTED_KIND, TOPIC, CANCELLED, ENDS, OPENED)
if not e[1] or tonumber(e[4]) <= now then return {} end
if not e[3] then
  redis.call('HSET', EXPECTATIONS .. ARGV[3], CANCELLED, now)
  close(ARGV[3], e[1], e[2])
  announce(ARGV[1], ARGV[2], { e[2] })
  mirror(ARGV[1], ARGV[2], ARGV[3], 'cancelled')
end
return { e[1], e[2], now - math.floor(e[5] / 1000), now - (e[3] or now), e[4] - now }
