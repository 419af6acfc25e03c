-- uses: keys
-- The pool's free tokens by arrival, and its leased ones by the end of the lease.
local FREE, LEASED = prefix .. 'f:', prefix .. 'l:'
