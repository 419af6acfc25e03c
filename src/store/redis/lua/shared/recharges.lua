-- A recharge is a hash. All owed recharges are in a sorted set, by the time of the next action.
local recharge, owed = KEYS[1], KEYS[2]
