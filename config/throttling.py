"""The API's tiered rate limits (settings.THROTTLES), reported in `RateLimit-*` headers."""

from typing import Any

import structlog
from django.conf import settings
from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from common import ratelimit
from common.errors import Unavailable

log = structlog.get_logger(__name__)


class TieredThrottle(BaseThrottle):
    """
    Limits by the view's `throttle_scope`, or `read` / `booking` by method.

    With Redis away, strict scopes refuse (503) and the others let the request through: the database still decides what is
    right, only abuse is counted less.
    """

    reset = 1

    def allow_request(self, request: Request, view: Any) -> bool:
        scope = getattr(view, "throttle_scope", None) or ("read" if request.method in {"GET", "HEAD"} else "booking")
        (per_person, seconds), (per_address, _), strict = settings.THROTTLES[scope]
        address = (f"{scope}:a:{request.META['REMOTE_ADDR']}", per_address)
        person = (f"{scope}:p:{request.user.pk}", per_person) if request.user and request.user.pk else None
        try:
            allowance = ratelimit.take([person, address] if person else [address], seconds=seconds)
        except RedisError as error:
            log.warning("throttle.redis_away", scope=scope, error=str(error)[:200])
            if strict:
                raise Unavailable(retry_after=5) from error
            return True
        self.reset = allowance.reset
        request._request.rate_limit_headers = {  # type: ignore[attr-defined]
            "RateLimit-Limit": str(allowance.limit),
            "RateLimit-Remaining": str(allowance.remaining),
            "RateLimit-Reset": str(allowance.reset),
        }
        return allowance.allowed

    def wait(self) -> float:
        return self.reset
