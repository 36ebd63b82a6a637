-- Asks for the paths of a file in the order they stand there; wrk knows its host by the time it calls init.
local paths = {}
local place = 0

function init()
  for line in io.lines(os.getenv("PATHS")) do paths[#paths + 1] = wrk.format("GET", line) end
end

function request()
  place = place % #paths + 1
  return paths[place]
end
