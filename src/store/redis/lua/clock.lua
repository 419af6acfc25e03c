-- uses: clock
-- Answers Redis' clock, in microseconds since 1970.
return string.format('%.0f', time[1] * 1000000 + time[2])
