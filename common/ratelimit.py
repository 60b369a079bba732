"""
Rate limits: so many requests per window, counted in Redis by one script call.

A signed-in person is limited as that person; an address is limited too, but far more loosely, so that a crowd behind one
address (a school, a mobile carrier) is not locked out.
"""

import hashlib
import time
from dataclasses import dataclass

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
SCRIPT_SHA = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class Allowance:
    """What is left of the tightest limit; `reset` is in seconds."""

    allowed: bool
    limit: int
    remaining: int
    reset: int


_pool: redis.ConnectionPool | None = None


def connection() -> redis.Redis:
    """Return the process's Redis client, with timeouts so that a hung server hangs no request."""
    global _pool
    if _pool is None:
        _pool = redis.ConnectionPool.from_url(
            settings.REDIS_URL,
            socket_timeout=settings.REDIS_TIMEOUT,
            socket_connect_timeout=settings.REDIS_TIMEOUT,
            health_check_interval=30,
        )
    return redis.Redis(connection_pool=_pool)


def take(limits: list[tuple[str, int]], *, seconds: int) -> Allowance:
    """
    Count one request against every (name, limit per window) and say whether it may go on.

    :raises redis.RedisError: if Redis does not answer; the caller decides whether that means yes or no
    """
    now = time.time()
    window = int(now // seconds)
    keys = [f"rl:{name}:{window}" for name, _ in limits]
    client = connection()
    arguments = [len(keys), *keys, *[limit for _, limit in limits], seconds + 1]
    try:
        over, limit, left = client.evalsha(SCRIPT_SHA, *arguments)
    except redis.exceptions.NoScriptError:
        over, limit, left = client.eval(SCRIPT, *arguments)
    return Allowance(not over, int(limit), int(left), max(1, int((window + 1) * seconds - now)))
