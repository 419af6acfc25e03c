-- uses: keys
-- Checks that Redis accepts writes and announcements. ARGV: channel.
redis.call('PUBLISH', ARGV[1], '')
redis.call('SET', prefix .. 'probe', '1', 'PX', 1000)
return 'done'
