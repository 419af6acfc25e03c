-- uses: keys
-- A claim is a hash: the last token that a claim id took, when (microseconds), and by which calls.
local CLAIMS = prefix .. 'c:'
local TOKEN, TAKEN, CALLS, RELEASED = 't', 'o', 'n', 'r'
