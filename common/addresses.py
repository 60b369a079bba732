"""Whose request is it? The client's address, which no header of the client's can change."""

from collections.abc import Mapping
from ipaddress import ip_address


def client_address(meta: Mapping[str, str], trusted_proxies: int) -> str:
    """
    Return the address of the client.

    With `trusted_proxies` = n, the n-th entry of X-Forwarded-For from the right is what our outermost proxy saw; entries to
    its left were written by the client and mean nothing. With 0 the header is ignored.
    """
    peer = meta.get("REMOTE_ADDR") or "127.0.0.1"
    if not trusted_proxies:
        return peer
    hops = [hop.strip() for hop in meta.get("HTTP_X_FORWARDED_FOR", "").split(",") if hop.strip()]
    if len(hops) < trusted_proxies:
        return peer
    try:
        return str(ip_address(hops[-trusted_proxies]))
    except ValueError:
        return peer
