-- uses: tokens
-- Fingerprints of the caller's keys, each followed by a comma; '*' when the caller opens every
-- value.
local openable, unknownKey = '*', false
local function opens(t)
  local key = string.match(t[VALUE], '^sealed (%x+) ')
  if not key or openable == '*' or string.find(openable, key .. ',', 1, true) then return true end
  unknownKey = key
  return false
end
