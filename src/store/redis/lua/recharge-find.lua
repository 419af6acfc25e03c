-- uses: recharge-answers
if redis.call('EXISTS', record) == 0 then return false end
return shown()
