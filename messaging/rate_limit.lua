-- Ten tokens per creator, each of which returns one window after its send ended, and a gap between two sends.
--
-- A token bucket with a refill lets 19 messages through in one 60 s window, and a log stamped at the grant lets 12 through
-- once sends take time; tokens stamped at the end of the send hold at 10. While a send is in flight its token is stamped
-- now + lease + window and the next grant waits for lease + gap, so that a worker that dies takes nothing with it.
--
-- KEYS[1] tokens: sorted set, member = dispatch id, score = when the token returns
-- KEYS[2] gate:   hash, next_at = when the next grant may be, holder = the dispatch in flight, hold = pause asked by the platform
-- ARGV    operation, dispatch id, limit, window, gap, lease, then: acquire: need, quiet; hold: for how long
-- All times are milliseconds of this server's clock, never a worker's. Answers {granted (1 or 0), milliseconds to wait}:
-- the soonest that it could be, so while a send is in flight the gap after it, not the lease that it may take.
local tokens, gate = KEYS[1], KEYS[2]
local operation, id = ARGV[1], ARGV[2]
local limit, window, gap, lease = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local function field(name)
  return tonumber(redis.call('HGET', gate, name) or 0) or 0
end

-- A token is taken and the gate shut for as long as a send may last.
local function grant()
  redis.call('ZADD', tokens, now + lease + window, id)
  redis.call('HSET', gate, 'next_at', now + lease + gap, 'holder', id)
end

-- Keys outlive everything they can forbid, and idle creators cost nothing.
local function keep(until_at)
  local at = math.max(until_at, now + lease + window + gap) + 10000
  redis.call('PEXPIREAT', tokens, at)
  redis.call('PEXPIREAT', gate, at)
end

if operation == 'acquire' then
  local need, quiet = math.min(tonumber(ARGV[7]), limit), tonumber(ARGV[8])
  if redis.call('EXISTS', gate) == 0 and quiet >= 0 and quiet < lease + window then
    -- Redis was emptied while this creator was sending: every token may still be out.
    redis.call('HSET', gate, 'next_at', now + lease + window - quiet)
    keep(0)
  end
  local next_at, holder = field('next_at'), redis.call('HGET', gate, 'holder')
  if holder == id and next_at > now then
    -- Its lease begins anew, since its send does.
    grant()
    keep(field('hold'))
    return {1, 0}
  end
  redis.call('ZREMRANGEBYSCORE', tokens, '-inf', now)
  if holder and holder ~= '' then
    -- A quarter of a second where there is no gap, so that nobody asks without end.
    next_at = math.min(next_at, now + math.max(gap, 250))
  end
  local wait = math.max(next_at, field('hold')) - now
  local missing = need - (limit - redis.call('ZCARD', tokens))
  if missing > 0 then
    local returning = redis.call('ZRANGE', tokens, missing - 1, missing - 1, 'WITHSCORES')
    wait = math.max(wait, tonumber(returning[2]) - now)
  end
  if wait > 0 then
    return {0, wait}
  end
  grant()
  keep(field('hold'))
  return {1, 0}
end

if operation == 'hold' then
  local until_at = math.max(field('hold'), now + tonumber(ARGV[7]))
  if redis.call('EXISTS', gate) == 0 then
    redis.call('HSET', gate, 'next_at', now + lease + window)
  end
  redis.call('HSET', gate, 'hold', until_at)
  keep(until_at)
  return {1, 0}
end

-- settle: the send ended. refund: it is proven that nothing was sent. The gap counts from now either way.
if operation == 'settle' then
  redis.call('ZADD', tokens, now + window, id)
else
  redis.call('ZREM', tokens, id)
end
if redis.call('HGET', gate, 'holder') == id then
  redis.call('HSET', gate, 'next_at', now + gap, 'holder', '')
end
-- Not where the gate is gone: its absence is what tells that Redis was emptied.
keep(field('hold'))
return {1, 0}
