"""What passkeys of this site are bound to (WebAuthn calls it the relying party)."""

from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from django.conf import settings

from common.errors import Conflict

USUAL_PORTS = {"http": 80, "https": 443}


class NoName(Conflict):
    code = "passkeys_need_a_name"
    message = "Passkeys need an address with a name, not with numbers. Use an authenticator app here."


@dataclass(frozen=True)
class Site:
    """The host's name and the whole origin, both of SITE_URL."""

    name: str
    origin: str


def site() -> Site:
    """
    Return what passkeys of this site are bound to.

    :raises NoName: if SITE_URL has an address of numbers, for which browsers make none
    """
    parts = urlsplit(settings.SITE_URL)
    host = parts.hostname or ""
    try:
        ip_address(host)
    except ValueError:
        port = f":{parts.port}" if parts.port not in {None, USUAL_PORTS[parts.scheme]} else ""
        return Site(host, f"{parts.scheme}://{host}{port}")
    raise NoName


def are_possible() -> bool:
    """Whether browsers make passkeys for this site's address."""
    try:
        site()
    except NoName:
        return False
    return True
