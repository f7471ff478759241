-- What wrk sends: one request after another from a file, each once; with `again`, from the top when it ends.
-- A line: method, path, cookie, body, parted by tabs. At the end it prints one line of figures.
local requests, place, again, host = {}, 0, false, ""

function init(arguments)
  host, again = arguments[2], arguments[3] == "again"
  for line in io.lines(arguments[1]) do
    local method, path, cookie, body = line:match("^(%S+)\t(%S+)\t([^\t]*)\t(.*)$")
    local headers = { Host = host, ["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64)" }
    if cookie ~= "" then headers["Cookie"] = cookie end
    if method == "POST" then headers["Content-Type"] = "application/x-www-form-urlencoded" end
    requests[#requests + 1] = wrk.format(method, path, headers, method == "POST" and body or nil)
  end
end

function request()
  place = place + 1
  if place > #requests then
    if not again then wrk.thread:stop() end
    place = again and 1 or #requests
  end
  return requests[place]
end

function done(summary, latency)
  local faults = summary.errors
  io.write(string.format("figures %d %d %.0f %.0f %d\n", summary.requests, summary.duration, latency:percentile(50),
    latency:percentile(99), faults.connect + faults.read + faults.write + faults.status + faults.timeout))
end
