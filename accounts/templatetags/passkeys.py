"""What the admin's log-in page shows of passkeys."""

from django import template
from django.conf import settings

from accounts import relying_party

register = template.Library()


@register.simple_tag
def passkey_sign_in() -> dict[str, object]:
    """Return whether staff sign in with passkeys here, and at which address."""
    return {"possible": settings.STAFF_MFA != "off" and relying_party.are_possible(), "origin": settings.SITE_URL}
