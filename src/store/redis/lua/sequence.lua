-- uses: announcements
return redis.call('GET', SEQUENCE)
