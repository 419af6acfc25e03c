-- uses: expectations, due
-- Open expectations, oldest first.
local OPEN = prefix .. 'o:'
