"""The link in a mail that switches such mails off: signed, for one person and one group, good without logging in."""

from uuid import UUID

from django.conf import settings
from django.core import signing

from accounts.models import User
from accounts.notifications.kinds import GROUPS
from accounts.notifications.services import set_choices
from common.errors import NotFound

SALT = "accounts.notifications.unsubscribe"


class LinkInvalid(NotFound):
    code = "unsubscribe_link_invalid"
    message = "This link is not complete. Open it from the mail again, or log in and choose under Notifications."


def unsubscribe_url(*, user_id: UUID, group: str) -> str:
    """Return the address that switches the mails of a group off."""
    return f"{settings.SITE_URL}/unsubscribe/{signing.dumps([user_id.hex, group], salt=SALT)}"


def read_link(token: str) -> tuple[User, str]:
    """
    Return whose mails of which group a link is about. It does not grow old: so does the mail it came in.

    :raises LinkInvalid: if it is none of ours, or the account is gone
    """
    try:
        user_id, group = signing.loads(token, salt=SALT)
    except signing.BadSignature:
        raise LinkInvalid from None
    user = User.objects.filter(pk=UUID(user_id), erased_at__isnull=True).first()
    if user is None or group not in GROUPS:
        raise LinkInvalid
    return user, group


def unsubscribe(*, token: str, wanted: bool = False) -> tuple[User, str]:
    """
    Switch the mails that a link is about off (or on again) and return whose and which they are.

    :raises LinkInvalid: if it is none of ours, or the account is gone
    """
    user, group = read_link(token)
    set_choices(user_id=user.pk, choices={(group, "mail"): wanted})
    return user, group
