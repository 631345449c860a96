-- For wrk: every request has a row and an id of its own; every answer is checked against the row's probability.
-- Arguments: FILE with "row <tab> expected probability of the first class" per line, KEY, MODE (check or status).
--
-- The rows stay one string, with their places and probabilities in plain arrays: as tables of 400,000 strings they made
-- Lua's collector stop the generator for tens of milliseconds at a time, which wrk then reports as the server's latency.

local ffi = require("ffi")

local threads = {}
function setup(thread) table.insert(threads, thread) end

function init(args)
  key, mode = args[2], args[3]
  local file = assert(io.open(args[1]))
  text = file:read("*a")
  file:close()
  n_rows = select(2, text:gsub("\n", "\n"))
  first, last, expected = ffi.new("int[?]", n_rows), ffi.new("int[?]", n_rows), ffi.new("double[?]", n_rows)
  local at = 1
  for place = 0, n_rows - 1 do
    local tab = text:find("\t", at, true)
    local stop = text:find("\n", tab, true)
    first[place], last[place], expected[place] = at, tab - 1, tonumber(text:sub(tab + 1, stop - 1))
    at = stop + 1
  end
  sent, checked, wrong, failed, repeated, first_wrong = 0, 0, 0, 0, 0, ""
  headers = "POST " .. wrk.path .. " HTTP/1.1\r\nHost: " .. wrk.host .. ":" .. wrk.port ..
    "\r\nAuthorization: Bearer " .. key .. "\r\nContent-Type: application/json\r\nX-Request-Id: bench-"
end

function request()
  sent = sent + 1
  local place = (sent - 1) % n_rows
  if sent > n_rows then repeated = repeated + 1 end
  local body = '{"rows":[' .. text:sub(first[place], last[place]) .. ']}'
  return headers .. string.format("%08d", place) .. "\r\nContent-Length: " .. #body .. "\r\n\r\n" .. body
end

function response(status, headers, body)
  if status ~= 200 then
    failed = failed + 1
    if first_wrong == "" then first_wrong = status .. " " .. body:sub(1, 300) end
    return
  end
  if mode ~= "check" then
    checked = checked + 1
    return
  end
  local id = body:match('"request_id":%s*"bench%-(%d+)"')
  local value = tonumber(body:match('"probabilities":%s*%[%[([^,%]]+)'))
  if id and value and math.abs(value - expected[tonumber(id)]) < 1e-5 then
    checked = checked + 1
  else
    wrong = wrong + 1
    if first_wrong == "" then first_wrong = body:sub(1, 300) end
  end
end

function done(summary, latency, requests)
  local totals = { checked = 0, wrong = 0, failed = 0, repeated = 0 }
  local told = ""
  for _, thread in ipairs(threads) do
    for name in pairs(totals) do totals[name] = totals[name] + thread:get(name) end
    if told == "" then told = thread:get("first_wrong") end
  end
  local e = summary.errors
  io.write(string.format(
    '\nRESULT {"requests": %d, "duration_s": %.6f, "p50_ms": %.4f, "p90_ms": %.4f, "p99_ms": %.4f, "max_ms": %.4f, ' ..
    '"checked": %d, "wrong": %d, "failed": %d, "repeated": %d, "connect": %d, "read": %d, "write": %d, "timeout": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(90) / 1e3,
    latency:percentile(99) / 1e3, latency.max / 1e3, totals.checked, totals.wrong, totals.failed, totals.repeated,
    e.connect, e.read, e.write, e.timeout))
  io.write("FIRST " .. told .. "\n")
end
