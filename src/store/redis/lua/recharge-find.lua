-- uses: recharge-answers, recharges
if redis.call('EXISTS', recharge) == 0 then return false end
return shown()
