"""Who is calling the API: a short-lived access token, checked without a database round trip."""

import hashlib
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.db.models import OuterRef
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import TokenBackendError

from accounts import second_factor
from accounts.models import User

AUDIENCE = "fairseat-api"
ISSUER = "fairseat"


@lru_cache(maxsize=8)
def backend(secret: str) -> TokenBackend:
    """Return the signer for one application secret; its key serves nothing but access tokens."""
    key = hashlib.sha256(b"access-token:" + secret.encode()).hexdigest()
    return TokenBackend("HS256", signing_key=key, audience=AUDIENCE, issuer=ISSUER, leeway=5)


def issue_access_token(
    *,
    user: User,
    now: datetime,
    family_id: UUID | None = None,
    token_id: str = "",
    second_factor_at: datetime | None = None,
) -> str:
    """Return a signed access token for `user`, valid for ACCESS_TOKEN_SECONDS; `family_id` is the session to log out of."""
    claims = {
        "sub": str(user.pk),
        "sv": user.session_version,
        "typ": "access",
        "iat": int(now.timestamp()),
        "exp": int((now + timedelta(seconds=settings.ACCESS_TOKEN_SECONDS)).timestamp()),
        "jti": token_id or uuid4().hex,
    }
    if family_id is not None:
        claims["fam"] = str(family_id)
    if second_factor_at is not None:
        claims["mfa"] = int(second_factor_at.timestamp())
    return backend(settings.SECRET_KEY).encode(claims)


def read_access_token(token: str) -> dict[str, Any]:
    """
    Return the claims of a valid access token, signed with the current secret or one of its fallbacks.

    :raises AuthenticationFailed: if it is expired, forged, for somebody else or not an access token
    """
    for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        try:
            claims = backend(secret).decode(token, verify=True)
        except TokenBackendError:
            continue
        if claims.get("typ") == "access" and "exp" in claims:
            return claims
    raise AuthenticationFailed("Your session is over. Log in again.")


class Principal:
    """
    The person a token speaks for. `pk` costs nothing; everything else loads the row, and then the token must still match it
    (a changed password or a deactivated account ends it).
    """

    is_authenticated = True
    is_anonymous = False

    def __init__(
        self, pk: UUID, session_version: int, family_id: UUID | None = None, second_factor_at: int | None = None
    ) -> None:
        self.pk = self.id = pk
        self.session_version = session_version
        self.family_id = family_id
        self.second_factor_at = second_factor_at

    @cached_property
    def person(self) -> User:
        """
        The row behind the token.

        :raises AuthenticationFailed: if the account is closed or its sessions were ended
        """
        people = User.objects.annotate(enrolled=second_factor.enrolled_of(OuterRef("pk")))
        person = people.filter(pk=self.pk, is_active=True).first()
        if person is None or person.session_version != self.session_version:
            raise AuthenticationFailed("Your session is over. Log in again.")
        return second_factor.mark(person, self.second_factor_at)

    @property
    def is_active(self) -> bool:
        return self.person.is_active

    @property
    def is_staff(self) -> bool:
        return self.person.is_staff

    @property
    def is_superuser(self) -> bool:
        return self.person.is_superuser

    @property
    def is_organiser(self) -> bool:
        return self.person.is_organiser

    def has_perm(self, permission: str, obj: Any = None) -> bool:
        return self.person.has_perm(permission, obj)


class AccessTokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer <access>`; never a cookie."""

    def authenticate(self, request: Request) -> tuple[Principal, str] | None:
        scheme, _, token = get_authorization_header(request).partition(b" ")
        if scheme.lower() != b"bearer":
            return None
        try:
            claims = read_access_token(token.strip().decode("ascii"))
            family_id = UUID(claims["fam"]) if "fam" in claims else None
            proven_at = int(claims["mfa"]) if "mfa" in claims else None
            principal = Principal(UUID(claims["sub"]), int(claims["sv"]), family_id, proven_at)
        except (UnicodeDecodeError, KeyError, ValueError, TypeError):
            raise AuthenticationFailed("Your session is over. Log in again.") from None
        second_factor.proven.set(second_factor.is_fresh(proven_at))
        return principal, "access"

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="fairseat"'
