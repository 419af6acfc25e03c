-- uses: keys
-- All expectations, also those over, while a verdict may still be put off; only where one is demanded.
local ALL_PLACES = prefix .. 'a:'
