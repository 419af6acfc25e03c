-- uses: keys
-- A claim is a hash: the token that a claim id took last, when (microseconds), and the calls that did.
local CLAIMS = prefix .. 'c:'
local TOKEN, TAKEN, CALLS, RELEASED = 't', 'o', 'n', 'r'
