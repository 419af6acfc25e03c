-- uses: keys
-- Free tokens of the pool by arrival, and leased ones by the end of the lease.
local FREE, LEASED = prefix .. 'f:', prefix .. 'l:'
