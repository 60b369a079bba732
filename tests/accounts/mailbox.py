"""What a person finds in their mailbox."""

import re

from common import outbox
from common.models import SentMail


def mails_to(email: str) -> list[SentMail]:
    """Deliver what is due and return the mails to this address, oldest first."""
    outbox.deliver_due()
    return list(SentMail.objects.filter(to=email).order_by("id"))


def newest_mail_to(email: str) -> SentMail:
    return mails_to(email)[-1]


def code_for(email: str) -> str:
    """Return the code from the newest mail to this address."""
    return re.search(r"^Your code is (\d{6})$", newest_mail_to(email).text, re.M).group(1)


def other_code(code: str) -> str:
    """Return a code that is not `code`."""
    return f"{(int(code) + 1) % 10**6:06d}"


def reset_token_for(email: str) -> str:
    """Return the token from the link in the newest mail to this address."""
    return re.search(r"/reset/(\S+)", newest_mail_to(email).text).group(1)
