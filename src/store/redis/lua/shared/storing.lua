-- uses: due, indexes, records, refusals, tokens
local function store(t, most)
  if t[STATE] == 'unexpected' then
    record(t)
    return refuse(t, most)
  end
  -- Index first: if the script fails there, the token does not count as known.
  if t[STATE] == 'live' or t[POOLED] ~= '1' then index(t) end
  record(t)
  if t[STATE] ~= 'live' then return end
  if not t[SEEN] and tonumber(t[DELIVERIES]) == 0 then watch(t) end
end
