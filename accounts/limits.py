"""
How often somebody may knock.

`check` is the address's rate limit for pages, the same that the API's throttle applies. The log-in counters slow down guessing
at one account: per account and address, and over all addresses from which its owner has never logged in, so that nobody can
lock owners out of the places they use. Only failed tries stay counted, and a password reset is always open.
"""

from django.conf import settings
from django.http import HttpRequest
from django.utils.crypto import salted_hmac
from redis.exceptions import RedisError

from common import ratelimit
from common.errors import TooMany, Unavailable


class TooManyRequests(TooMany):
    code = "too_many_requests"
    message = "Too many requests. Wait a moment and try again."


class TooManyLogins(TooMany):
    code = "too_many_logins"
    message = "Too many wrong passwords for this account. Wait a few minutes, or reset your password."


def check(request: HttpRequest, scope: str = "auth") -> None:
    """
    Count a page's request against the limits of `scope` (settings.THROTTLES), per person when logged in, then per address.

    :raises TooManyRequests: if there were too many
    :raises Unavailable: if Redis is away and the scope is strict
    """
    (per_person, seconds), (per_address, _), strict = settings.THROTTLES[scope]
    user = getattr(request, "user", None)
    limits = [(f"{scope}:p:{user.pk}", per_person)] if user is not None and user.is_authenticated else []
    limits.append((f"{scope}:a:{request.META['REMOTE_ADDR']}", per_address))
    try:
        allowance = ratelimit.take(limits, seconds=seconds)
    except RedisError as error:
        if strict:
            raise Unavailable(retry_after=5) from error
        return
    if not allowance.allowed:
        raise TooManyRequests(retry_after=allowance.reset)


def reserve_login(*, email: str, address: str, known: bool) -> list[str]:
    """
    Count one try to log in, before the password is looked at, and return what `give_back_login` needs.

    :raises TooManyLogins: if there were too many failed ones
    :raises Unavailable: if Redis is away: guessing is never unlimited
    """
    account = account_digest(email)
    limits = [(f"login:{account}:{address_digest(address)}", settings.LOGIN_TRIES)]
    if not known:
        limits.append((f"login:{account}", settings.LOGIN_TRIES_PER_ACCOUNT))
    try:
        allowance = ratelimit.take(limits, seconds=settings.LOGIN_WINDOW_SECONDS)
    except RedisError as error:
        raise Unavailable(retry_after=5) from error
    if not allowance.allowed:
        raise TooManyLogins(retry_after=allowance.reset)
    return [name for name, _ in limits]


def give_back_login(names: list[str]) -> None:
    """
    Uncount a try that was right.

    :raises Unavailable: if Redis is away
    """
    try:
        ratelimit.give_back(names, seconds=settings.LOGIN_WINDOW_SECONDS)
    except RedisError as error:
        raise Unavailable(retry_after=5) from error


def account_digest(email: str) -> str:
    """Return a keyed hash of an account's address, for counters and logs."""
    return salted_hmac("accounts.login-account", email, algorithm="sha256").hexdigest()


def address_digest(address: str) -> str:
    """Return a keyed hash of a network address; the address itself is stored nowhere."""
    return salted_hmac("accounts.network-address", address, algorithm="sha256").hexdigest()
