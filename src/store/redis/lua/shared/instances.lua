-- uses: keys
-- A hash of the instances: the run of Redis that each has restored, and when it last had nothing
-- pending.
local INSTANCES = prefix .. 'w'
