-- uses: keys
-- Open expectations, oldest first.
local OPEN = prefix .. 'o:'
