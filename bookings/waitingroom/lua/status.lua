-- ARGV: user. Where somebody stands. A tick that nobody made is made here, so the line moves with every worker dead.
if c.state == 'open' and now - num('tick') > 1.5 * num('period') then promote(100) end
return arrive(ARGV[1])
