-- What people and clients ask: a redirect, a balancer's question, reading and writing the API.
-- Each request has a connection of its own: the check routes by reloading nginx, which closes idle
-- connections as a client may be about to use them. An ingress learns of pods without reloading.
local threads = {}
local plain = { ["Connection"] = "close" }
local headers = {
  ["Connection"] = "close",
  ["Authorization"] = "Bearer " .. os.getenv("ROLLING_TOKEN"),
  ["Content-Type"] = "application/json",
}
local materials = "/api/v1/sites/" .. os.getenv("ROLLING_SITE") .. "/materials"
local counter = 0
-- Of each thread; `done` adds them up.
created, refused = 0, ""

function setup(thread)
  thread:set("number", #threads)
  table.insert(threads, thread)
end

function request()
  counter = counter + 1
  local kind = counter % 4
  if kind == 0 then return wrk.format("GET", "/", plain) end
  if kind == 1 then return wrk.format("GET", "/readyz", plain) end
  if kind == 2 then return wrk.format("GET", "/api/v1/sites", headers) end
  local name = string.format("%d-%d", number, counter)
  return wrk.format("POST", materials, headers, '{"name": "' .. name .. '"}')
end

function response(status)
  if status == 201 then created = created + 1 end
  if status >= 400 then refused = refused .. status .. " " end
end

function done(summary, latency)
  local made, statuses = 0, ""
  for _, thread in ipairs(threads) do
    made = made + thread:get("created")
    statuses = statuses .. thread:get("refused")
  end
  local errors = summary.errors
  print(string.format(
    'RESULT {"requests": %d, "created": %d, "refused": "%s", "connect": %d, "read": %d, '
      .. '"write": %d, "timeout": %d, "p50_ms": %.1f, "p99_ms": %.1f, "seconds": %.1f}',
    summary.requests, made, statuses, errors.connect, errors.read, errors.write, errors.timeout,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000, summary.duration / 1e6))
end
