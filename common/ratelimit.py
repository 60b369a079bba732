"""
Rate limits: so many requests per window, counted in Redis by one script call.

A signed-in person is limited as that person; an address is limited too, but far more loosely, so that a crowd behind one
address (a school, a mobile carrier) is not locked out.
"""

import hashlib
import time
from dataclasses import dataclass
from functools import cache

import redis
from django.conf import settings

# Fixed windows: the counter's key holds the window's number, so nothing needs to be cleaned up but by its expiry.
SCRIPT = """
local worst_left, worst_limit, over = nil, 0, 0
for i = 1, #KEYS do
  local limit = tonumber(ARGV[i])
  local n = redis.call('INCR', KEYS[i])
  if n == 1 then redis.call('EXPIRE', KEYS[i], ARGV[#KEYS + 1]) end
  local left = limit - n
  if worst_left == nil or left < worst_left then worst_left = left; worst_limit = limit end
  if left < 0 then over = 1; break end
end
return {over, worst_limit, worst_left < 0 and 0 or worst_left}
"""
# Only a counter of the same window is still there to be lowered; one that expired needs nothing.
GIVE_BACK = """
for i = 1, #KEYS do
  if tonumber(redis.call('GET', KEYS[i]) or '0') > 0 then redis.call('DECR', KEYS[i]) end
end
"""
SCRIPT_SHA = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class Allowance:
    """What is left of the tightest limit; `reset` is in seconds."""

    allowed: bool
    limit: int
    remaining: int
    reset: int


@cache
def connection() -> redis.Redis:
    """Return the process's Redis client, with timeouts so that a hung server hangs no request."""
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=settings.REDIS_TIMEOUT,
        socket_connect_timeout=settings.REDIS_TIMEOUT,
        health_check_interval=30,
    )


def take(limits: list[tuple[str, int]], *, seconds: int) -> Allowance:
    """
    Count one request against every (name, limit per window) and say whether it may go on.

    :raises redis.RedisError: if Redis does not answer; the caller decides whether that means yes or no
    """
    now = time.time()
    window = int(now // seconds)
    keys = [f"rl:{name}:{window}" for name, _ in limits]
    client = connection()
    arguments: list[str | int] = [*keys, *[limit for _, limit in limits], seconds + 1]
    try:
        over, limit, left = client.evalsha(SCRIPT_SHA, len(keys), *arguments)
    except redis.exceptions.NoScriptError:
        over, limit, left = client.eval(SCRIPT, len(keys), *arguments)
    return Allowance(not over, int(limit), int(left), max(1, int((window + 1) * seconds - now)))


def give_back(names: list[str], *, seconds: int) -> None:
    """
    Uncount one request that `take` counted in this window, e.g. a log-in that turned out to be right.

    :raises redis.RedisError: if Redis does not answer
    """
    window = int(time.time() // seconds)
    keys = [f"rl:{name}:{window}" for name in names]
    connection().eval(GIVE_BACK, len(keys), *keys)
