-- Ten tokens per creator, each of which returns one window after its send ended, and a gap between two sends.
--
-- A token bucket with a refill lets 19 messages through in one 60 s window, and a log stamped at the grant lets 12 through
-- once sends take time; tokens stamped at the end of the send hold at 10. While a send is in flight its token is stamped
-- now + lease + window and the next grant waits for lease + gap, so that a worker that dies takes nothing with it.
--
-- A breaker beside it: so many troubles of the platform in a row shut the gate for a time that doubles with each further
-- one. The first grant after it is the probe. It needs no mark of its own, because nobody else is granted while a send is
-- in flight, and a probe that dies gives way with its lease.
--
-- KEYS[1] tokens: sorted set, member = dispatch id, score = when the token returns
-- KEYS[2] gate:   hash, next_at = when the next grant may be, holder = the dispatch in flight, hold = pause asked by the platform
-- KEYS[3] breaker: hash, failures = troubles in a row, open_until = when the next probe may go; absent while all is well
-- ARGV    operation, dispatch id, limit, window, gap, lease, then: acquire: need, quiet; hold: for how long;
--         settle and refund: verdict ('well', 'trouble' or ''), troubles that open the breaker, first and longest time open
-- All times are milliseconds of this server's clock, never a worker's. acquire answers {granted (1 or 0), milliseconds to
-- wait}: the soonest that it could be, so while a send is in flight the gap after it, not the lease that it may take.
-- settle and refund answer {1, what became of the breaker}: opened for so many milliseconds, closed (-1), neither (0).
local tokens, gate, breaker = KEYS[1], KEYS[2], KEYS[3]
local operation, id = ARGV[1], ARGV[2]
local limit, window, gap, lease = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

-- The longest that a send which this server has forgotten can forbid another one.
local away = lease + math.max(window, gap)

local function field(name)
  return tonumber(redis.call('HGET', gate, name) or 0) or 0
end

-- A token is taken and the gate shut for as long as a send may last.
local function grant()
  redis.call('ZADD', tokens, now + lease + window, id)
  redis.call('HSET', gate, 'next_at', now + lease + gap, 'holder', id)
end

-- What the end of a send says of the platform.
local function judge(verdict, enough, first, longest)
  if verdict == 'well' then
    local failures = tonumber(redis.call('HGET', breaker, 'failures') or 0)
    redis.call('DEL', breaker)
    return failures >= enough and -1 or 0
  end
  local open_until = tonumber(redis.call('HGET', breaker, 'open_until') or 0)
  if verdict ~= 'trouble' or open_until > now then
    return 0
  end
  local failures = redis.call('HINCRBY', breaker, 'failures', 1)
  local open = 0
  if failures >= enough then
    open = math.min(first * 2 ^ (failures - enough), longest)
    redis.call('HSET', breaker, 'open_until', now + open)
  end
  -- Troubles an hour apart are not in a row.
  redis.call('PEXPIREAT', breaker, now + open + 3600000)
  return open
end

-- Keys outlive everything they can forbid, and idle creators cost nothing.
local function keep(until_at)
  local at = math.max(until_at, now + lease + window + gap) + 10000
  redis.call('PEXPIREAT', tokens, at)
  redis.call('PEXPIREAT', gate, at)
end

if operation == 'acquire' then
  local need, quiet = math.min(tonumber(ARGV[7]), limit), tonumber(ARGV[8])
  if redis.call('EXISTS', gate) == 0 and quiet >= 0 and quiet < away then
    -- Redis was emptied while this creator was sending: every token may still be out.
    redis.call('HSET', gate, 'next_at', now + away - quiet)
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
  local open_until = tonumber(redis.call('HGET', breaker, 'open_until') or 0)
  local wait = math.max(next_at, field('hold'), open_until) - now
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
    redis.call('HSET', gate, 'next_at', now + away)
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
return {1, judge(ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10]))}
