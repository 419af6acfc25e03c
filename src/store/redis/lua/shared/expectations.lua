-- uses: keys
-- An expectation is a hash; TOKEN_FILLING is the token that it admitted.
local EXPECTATIONS = prefix .. 'e:'
local EXPECTED_KIND, TOPIC, OPENED, ENDS, CANCELLED, TOKEN_FILLING = 'k', 'tp', 'op', 'ea', 'x', 't'
-- The newest expectation of each kind under a topic.
local NEWEST = prefix .. 'n:'
