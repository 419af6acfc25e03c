-- A recharge is a hash; all that are owed are in a sorted set, by the time at which somebody may act.
local record, owed = KEYS[1], KEYS[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
