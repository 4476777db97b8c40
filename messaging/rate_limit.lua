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
-- KEYS    a creator's book each: one string that is read and written whole. acquire takes several, the others one.
-- ARGV[1] operation: acquire, settle, refund or hold
-- ARGV[2] a question for each key: dispatch (8 bytes that stand for its id), limit, window, gap, lease, then
--         acquire: how many tokens must be free, how long the creator has been quiet (-1 for never); hold: for how long
-- ARGV[3] and on, settle and refund: verdict ('well', 'trouble' or ''), troubles that open the breaker, first and longest
--         time open
-- All times are milliseconds of this server's clock, never a worker's. The answer is a number for each key. acquire:
-- 0 where it is granted, else the milliseconds to wait: the soonest that it could be, so while a send is in flight the
-- gap after it, not the lease that it may take. settle and refund: what became of the breaker, which is opened for so many
-- milliseconds, closed (-1), or neither (0). hold: 0.
local call, max, min, pack, unpack = redis.call, math.max, math.min, struct.pack, struct.unpack
local operation, questions = ARGV[1], ARGV[2]
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

-- A book: whether sends are known of (0 after this server was emptied), until when anything here but the breaker matters,
-- when the next grant may be, a pause asked for by the platform, the dispatch in flight; troubles in a row, when the next
-- probe may go, when the troubles are forgotten. Then the tokens that are out: when each returns, and its dispatch.
local QUESTION, BOOK, TOKEN = '>c8I4I4I4I4i8i8', '>BI6I6I6c8I4I6I6', '>I6c8'
local QUESTION_BYTES, BOOK_BYTES, TOKEN_BYTES = struct.size(QUESTION), struct.size(BOOK), struct.size(TOKEN)
local NOBODY = string.rep('\0', 8)
-- Troubles an hour apart are not in a row.
local HOUR = 3600000

local function book_read(key)
  local raw = call('GET', key)
  local book = {known = 0, keep_until = 0, next_at = 0, hold = 0, holder = NOBODY, failures = 0, open_until = 0, forget_at = 0}
  if raw then
    book.known, book.keep_until, book.next_at, book.hold, book.holder, book.failures, book.open_until, book.forget_at =
      unpack(BOOK, raw)
    if book.keep_until > now then
      book.tokens = raw
    else
      book.known, book.next_at, book.hold, book.holder = 0, 0, 0, NOBODY
    end
    if book.forget_at <= now then
      book.failures, book.open_until, book.forget_at = 0, 0, 0
    end
  end
  return book
end

-- When each token that is out returns; and those tokens as they are kept, without the one of this dispatch.
local function tokens_out(book, id)
  local times, others = {}, {}
  for at = BOOK_BYTES + 1, #(book.tokens or ''), TOKEN_BYTES do
    local returns, dispatch = unpack(TOKEN, book.tokens, at)
    if returns > now then
      times[#times + 1] = returns
      if dispatch ~= id then
        others[#others + 1] = string.sub(book.tokens, at, at + TOKEN_BYTES - 1)
      end
    end
  end
  return times, others
end

-- Kept for longer than it can forbid anything, and no longer, so that idle creators cost nothing.
local function book_write(key, book, tokens, busy)
  if book.known == 0 and #tokens == 0 and book.failures == 0 then
    call('DEL', key)
    return
  end
  book.keep_until = max(book.hold, now + busy) + 10000
  local raw = pack(
    BOOK, book.known, book.keep_until, book.next_at, book.hold, book.holder, book.failures, book.open_until, book.forget_at
  )
  call('SET', key, raw .. table.concat(tokens), 'PXAT', max(book.keep_until, book.forget_at))
end

local function acquire(key, id, limit, window, gap, lease, need, quiet)
  local book = book_read(key)
  local times, others = tokens_out(book, id)
  local function grant()
    -- The gate is shut for as long as the send may last.
    book.known, book.next_at, book.holder = 1, now + lease + gap, id
    others[#others + 1] = pack(TOKEN, now + lease + window, id)
    book_write(key, book, others, lease + window + gap)
    return 0
  end
  -- The longest that a send which this server has forgotten can forbid another one.
  local away = lease + max(window, gap)
  if book.holder == id and book.next_at > now then
    -- Its lease begins anew, since its send does.
    return grant()
  end
  -- The last grant or end of a send that is known here. A claim a gap after it was granted by what is known no more: this
  -- server was emptied, or set back to an older copy (a snapshot, a replica that was behind). A second for slow clients.
  local last = book.next_at - gap - (book.holder ~= NOBODY and lease or 0)
  if quiet >= 0 and quiet < away and now - quiet >= last + max(gap, 1000) then
    -- Every token may still be out, and the end of a send that the older copy knows opens nothing.
    book.known, book.next_at, book.holder = 1, now + away - quiet, NOBODY
    book_write(key, book, others, lease + window + gap)
  end
  local next_at = book.next_at
  if book.holder ~= NOBODY then
    -- A quarter of a second where there is no gap, so that nobody asks without end.
    next_at = min(next_at, now + max(gap, 250))
  end
  local wait = max(next_at, book.hold, book.open_until) - now
  local missing = min(need, limit) - (limit - #times)
  if missing > 0 then
    table.sort(times)
    wait = max(wait, times[missing] - now)
  end
  return wait > 0 and wait or grant()
end

local function hold(key, id, limit, window, gap, lease, how_long)
  local book = book_read(key)
  local _, tokens = tokens_out(book)
  if book.known == 0 then
    book.known, book.next_at = 1, now + lease + max(window, gap)
  end
  book.hold = max(book.hold, now + how_long)
  book_write(key, book, tokens, lease + window + gap)
  return 0
end

-- What the end of a send says of the platform.
local function judge(book, verdict, enough, first, longest)
  if verdict == 'well' then
    local closed = book.failures >= enough
    book.failures, book.open_until, book.forget_at = 0, 0, 0
    return closed and -1 or 0
  end
  if verdict ~= 'trouble' or book.open_until > now then
    return 0
  end
  book.failures = book.failures + 1
  local open = 0
  if book.failures >= enough then
    open = min(first * 2 ^ (book.failures - enough), longest)
    book.open_until = now + open
  end
  book.forget_at = now + open + HOUR
  return open
end

-- settle: the send ended. refund: it is proven that nothing was sent. The gap counts from now either way.
local function finish(key, id, limit, window, gap, lease)
  local book = book_read(key)
  local _, tokens = tokens_out(book, id)
  if operation == 'settle' then
    tokens[#tokens + 1] = pack(TOKEN, now + window, id)
  end
  -- Not where nothing is known: that is what tells that Redis was emptied.
  if book.holder == id then
    book.next_at, book.holder = now + gap, NOBODY
  end
  local turn = judge(book, ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]))
  book_write(key, book, tokens, lease + window + gap)
  return turn
end

local run = ({acquire = acquire, hold = hold, settle = finish, refund = finish})[operation]
local answers = {}
for number, key in ipairs(KEYS) do
  answers[number] = run(key, unpack(QUESTION, questions, (number - 1) * QUESTION_BYTES + 1))
end
return answers
