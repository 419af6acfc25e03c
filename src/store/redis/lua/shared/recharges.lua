-- A recharge is a hash; all that are owed are in a sorted set, by the time at which somebody may act.
local recharge, owed = KEYS[1], KEYS[2]
