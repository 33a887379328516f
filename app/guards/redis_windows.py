"""`LibraryWindows` on Redis in one round trip, because five of them would cost more than the rest of a request.

It runs on the client and on the keys of the limits library's own RedisStorage, in the library's own formats (a number
for a fixed window, a list with the newest first for a moving one), so either way can go on where the other stopped.
"""

from limits.storage import RedisStorage

from app.guards.rules import BlockReason, Rules, Window, block_key
from app.guards.windows import Count, LibraryWindows, Spent
from app.model.clock import Seconds

# The numbers of the rules are written into the scripts, and the answer is one text: packing and parsing them one by one
# costs more than the scripts. The answer: milliseconds that the block stands (0: none), "burst" or "excess" when this
# request set it (else "-"), then requests and milliseconds left of each window of the throttle. What would end later
# than it could if it began now is from before the server's clock was set back, and is made to end in time.

# KEYS[1]: block.
_UNLESS_BLOCKED = """
local blocked_ms = redis.call('PTTL', KEYS[1])
if blocked_ms > %(longest_block_s)d * 1000 then
    blocked_ms = %(longest_block_s)d * 1000
    redis.call('PEXPIRE', KEYS[1], blocked_ms)
end
if blocked_ms > 0 then return blocked_ms .. ' -' end
"""

# KEYS: block, burst, excess, then the throttle's windows. ARGV: now, where a test says so; else it is the server's.
_CLIENT_SCRIPT = """
%(unless_blocked)s
local clock = redis.call('TIME')
local now_text = ARGV[1] ~= '' and ARGV[1] or string.format('%%d.%%06d', clock[1], clock[2])
local now = tonumber(now_text)
local function is_full(key, limit, seconds)
    if limit < 1 then return true end
    local newest = redis.call('LINDEX', key, 0)
    if newest and tonumber(newest) > now + seconds then redis.call('DEL', key) end
    local decisive = redis.call('LINDEX', key, limit - 1)
    if decisive and tonumber(decisive) >= now - seconds then return true end
    redis.call('LPUSH', key, now_text)
    redis.call('LTRIM', key, 0, limit - 1)
    redis.call('EXPIRE', key, seconds)
    return false
end

%(spend)s
local block_s, reason = 0, '-'
if is_full(KEYS[2], %(burst)s) then block_s, reason = %(burst_block_s)d, 'burst' end
if is_full(KEYS[3], %(excess)s) and %(excess_block_s)d > block_s then block_s, reason = %(excess_block_s)d, 'excess' end
if block_s > 0 then redis.call('SET', KEYS[1], 1, 'EX', block_s) end
return block_s * 1000 .. ' ' .. reason .. spent
"""

# A piece of the others, and all that there is for an access token. KEYS: the windows, from `first` on.
_SPEND = """
local spent = ''
for i, seconds in ipairs({%(seconds)s}) do
    local key = KEYS[%(first)d + i - 1]
    local requests = redis.call('INCR', key)
    local left_ms = redis.call('PTTL', key)
    if left_ms < 0 or left_ms > seconds * 1000 then
        redis.call('SET', key, 1, 'EX', seconds)
        requests, left_ms = 1, seconds * 1000
    end
    spent = spent .. ' ' .. requests .. ' ' .. left_ms
end
"""


class RedisWindows(LibraryWindows):
    """Windows on one Redis server; a cluster would keep the keys of one client on several.

    They go by the server's clock, so that processes and machines whose clocks differ count alike; a test may give
    another one as `now`, for the windows that move.
    """

    def __init__(self, storage: RedisStorage, rules: Rules, *, now: Seconds | None = None) -> None:
        super().__init__(storage, rules)
        self._server_now = now
        unless_blocked = _UNLESS_BLOCKED % {"longest_block_s": max(rules.block_s.values())}
        client_script = _CLIENT_SCRIPT % {
            "unless_blocked": unless_blocked,
            "spend": _spending(rules.throttles, first=4),
            "burst": f"{rules.burst.limit}, {rules.burst.seconds}",
            "burst_block_s": rules.block_s[BlockReason.BURST],
            "excess": f"{rules.excess.limit}, {rules.excess.seconds}",
            "excess_block_s": rules.block_s[BlockReason.EXCESS],
        }
        page_script = f"{unless_blocked} {_spending(rules.page_throttles, first=2)} return '0 -' .. spent"
        token_script = f"{_spending(rules.token_throttles, first=1)} return spent"
        connection = storage.get_connection()
        self._client_script = connection.register_script(client_script.encode())
        self._page_script = connection.register_script(page_script.encode())
        self._token_script = connection.register_script(token_script.encode())
        self._prefix = storage.prefixed_key("")

    def count(self, client: str) -> Count:
        rules, prefix = self._rules, self._prefix
        keys = [
            prefix + block_key(client),
            prefix + rules.burst.key(client),
            prefix + rules.excess.key(client),
            *[prefix + window.key(client) for window in rules.throttles],
        ]
        return _count(self._client_script(keys, ["" if self._server_now is None else self._server_now()]))

    def count_page(self, client: str) -> Count:
        keys = [block_key(client), *[window.key(client) for window in self._rules.page_throttles]]
        return _count(self._page_script([self._prefix + key for key in keys]))

    def count_token(self, token: str) -> tuple[Spent, ...]:
        keys = [self._prefix + window.key(token) for window in self._rules.token_throttles]
        return _spent(_words(self._token_script(keys)))


def _spending(windows: tuple[Window, ...], *, first: int) -> str:
    return _SPEND % {"first": first, "seconds": ", ".join(str(window.seconds) for window in windows)}


def _count(answer: str | bytes) -> Count:
    blocked_ms, reason, *spent = _words(answer)
    return Count(_spent(spent), int(blocked_ms) / 1000, None if reason == "-" else BlockReason(reason))


def _words(answer: str | bytes) -> list[str]:
    # A client that decodes is an option of the storage's URI.
    return (answer.decode() if isinstance(answer, bytes) else answer).split()


def _spent(words: list[str]) -> tuple[Spent, ...]:
    return tuple(Spent(int(words[i]), int(words[i + 1]) / 1000) for i in range(0, len(words), 2))
