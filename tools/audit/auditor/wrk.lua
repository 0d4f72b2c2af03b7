-- Print the measurements of wrk as one line of JSON. With the argument `count`, also count responses by status. This
-- slows wrk down, so omit it to measure the speed of a server.
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(arguments)
  ok, refused, other = 0, 0, 0
  if arguments[1] == "count" then
    function response(status)
      if status == 200 then ok = ok + 1 elseif status == 429 then refused = refused + 1 else other = other + 1 end
    end
  end
end

function done(summary, latency)
  local sums, errors = {ok = 0, refused = 0, other = 0}, summary.errors
  for _, thread in ipairs(threads) do
    for name in pairs(sums) do sums[name] = sums[name] + thread:get(name) end
  end
  print(string.format(
    '{"requests": %d, "seconds": %.3f, "p50_ms": %.3f, "p99_ms": %.3f, "ok": %d, "refused": %d, "other": %d, ' ..
    '"failed": %d, "broken": %d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    sums.ok, sums.refused, sums.other, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
