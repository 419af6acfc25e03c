-- uses: keys
-- A hash of the instances: which run of Redis each has restored, and when it last had nothing pending.
local INSTANCES = prefix .. 'w'
