"""
The way out: a signed POST to an address that somebody else chose.

The name is resolved once, every address it has must be a public one, and the connection goes to the very address that was
checked (a name that changes its answer in between gains nothing). Redirects are answers, not ways. A receiver that drips
its answer is cut off: `TOTAL_SECONDS` is all it gets.
"""

import ipaddress
import socket
import ssl
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import certifi
import urllib3
from django.conf import settings
from standardwebhooks import Webhook
from urllib3.exceptions import HTTPError

from common.errors import Invalid

CONNECT_SECONDS = 3.0
TOTAL_SECONDS = 10.0
SAID = 500
PORTS = range(1, 65536)


class BadAddress(Invalid):
    code = "webhook_address_refused"
    message = "That address can not be used. Give a public https:// address."


@dataclass(frozen=True)
class Reply:
    """What came of one POST: the status code, or the problem that kept it from coming."""

    status_code: int | None
    milliseconds: int
    problem: str = ""
    said: str = ""

    @property
    def taken(self) -> bool:
        """Whether the receiver took it: any 2xx."""
        return self.status_code is not None and 200 <= self.status_code < 300


def check_address(url: str) -> None:
    """
    See that an endpoint's address is one we would call.

    :raises BadAddress: if it is not https, carries a password, or leads to a machine that is not public
    """
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        raise BadAddress("The port in that address is no port.") from None
    if parts.scheme != "https" and not (settings.WEBHOOK_PRIVATE_ADDRESSES and parts.scheme == "http"):
        raise BadAddress("Give an https:// address: what we tell you is nobody else's business.")
    if not parts.hostname or parts.username or parts.password or (port is not None and port not in PORTS):
        raise BadAddress
    resolve(parts.hostname)


def resolve(host: str) -> str:
    """
    Return an address of `host`, all of whose addresses are public.

    :raises BadAddress: if there is none, or one of them is private, loopback, link-local, reserved or multicast
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise BadAddress(f"There is no machine of the name {host}.") from None
    addresses = [str(entry[4][0]) for entry in found]
    if not settings.WEBHOOK_PRIVATE_ADDRESSES and not all(is_public(address) for address in addresses):
        raise BadAddress("That name leads to a machine inside a private network.")
    return addresses[0]


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet; one that is wrapped in another counts as what it wraps."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        wrapped = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if wrapped is not None:
            return is_public(str(wrapped))
        if ip in ipaddress.ip_network("64:ff9b::/96"):  # NAT64 (RFC 6052): the last four bytes are an IPv4 address
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
    return ip.is_global and not ip.is_multicast


def signatures(secrets: list[str], *, message_id: str, body: str, now: datetime) -> str:
    """Return the value of `webhook-signature`: one signature per secret that is in force (Standard Webhooks 1.0)."""
    return " ".join(Webhook(secret).sign(msg_id=message_id, timestamp=now, data=body) for secret in secrets)


def post(url: str, body: str, *, message_id: str, secrets: list[str]) -> Reply:
    """POST one message; every way in which that can fail is a `Reply` with its problem."""
    started = time.monotonic()
    now = datetime.now(UTC)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Fairseat-Webhooks/1",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signatures(secrets, message_id=message_id, body=body, now=now),
    }
    try:
        status, said = send(url, body.encode(), headers, until=started + TOTAL_SECONDS)
    except BadAddress as error:
        return Reply(None, since(started), problem=error.text)
    except (HTTPError, OSError, ssl.SSLError, ValueError) as error:
        return Reply(None, since(started), problem=describe(error))
    problem = "" if status < 300 else "redirects are not followed" if status < 400 else "refused"
    return Reply(status, since(started), problem=problem, said=said)


def send(url: str, body: bytes, headers: dict[str, str], *, until: float) -> tuple[int, str]:
    """Connect to the checked address of the URL's host, send, and return status and the beginning of the answer."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    address = resolve(host)
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=max(0.1, until - time.monotonic()))
    target = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    named = host if port in {80, 443} else f"{host}:{port}"
    options: dict[str, Any] = (
        {"server_hostname": host, "assert_hostname": host, "ca_certs": certifi.where()} if secure else {}
    )
    kind: Any = urllib3.HTTPSConnectionPool if secure else urllib3.HTTPConnectionPool
    with kind(address, port, timeout=timeout, retries=False, maxsize=1, **options) as pool:
        answer = pool.urlopen(
            "POST", target, body=body, headers=headers | {"Host": named}, redirect=False, preload_content=False
        )
        try:
            return answer.status, beginning(answer, until)
        finally:
            answer.close()


def beginning(answer: urllib3.BaseHTTPResponse, until: float) -> str:
    """Read up to SAID bytes of an answer, no longer than until then: what it says is for the log, its status has come."""
    said = b""
    while len(said) < SAID and time.monotonic() < until:
        more = answer.read1(SAID)
        if not more:
            break
        said += more
    return said[:SAID].decode("utf-8", "replace").replace("\x00", "")


def describe(error: Exception) -> str:
    """Return a sentence for the log of the endpoint's owner, without our own addresses."""
    known = {
        "ConnectTimeoutError": "no connection within 3 seconds",
        "ReadTimeoutError": "no answer within 10 seconds",
        "NewConnectionError": "no connection",
        "SSLError": "the certificate is not valid for that name",
        "NameResolutionError": "no machine of that name",
    }
    return known.get(type(error).__name__, f"the connection broke ({type(error).__name__})")


def since(started: float) -> int:
    """Return how many milliseconds have passed."""
    return round((time.monotonic() - started) * 1000)
