-- uses: keys
-- All expectations, ended ones included, while a verdict may still be put off. Kept only where a
-- verdict is demanded.
local ALL_PLACES = prefix .. 'a:'
