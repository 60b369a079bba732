"""What somebody wants to be told by which channel: for the page and the API."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from accounts.models import NotificationChoice, User
from accounts.notifications.kinds import GROUPS, KINDS, Kind
from accounts.notifications.services import set_choices
from accounts.notifications.sms import normalise_phone
from common.errors import Invalid


class UnknownChoice(Invalid):
    code = "unknown_group"
    message = "There is no such group of notifications."


class AlwaysMailed(Invalid):
    code = "always_mailed"
    message = "These mails carry tickets, money or safety. They can not be switched off."


class NoTextMessages(Invalid):
    code = "no_text_messages"
    message = "There are no text messages for this."


class PhoneNeeded(Invalid):
    code = "phone_needed"
    message = "Write your mobile number with its country into your profile first, for example +49 170 1234567."


@dataclass(frozen=True)
class Choice:
    """
    How one group reaches somebody.

    `mail_always`: nothing of it can be switched off. `some_always`: something of it is mailed whatever is chosen.
    """

    group: str
    title: str
    about: str
    mail: bool
    mail_always: bool
    some_always: bool
    sms: bool
    sms_possible: bool


def choices_of(user: User) -> list[Choice]:
    """Return every group with what this person chose or, without a choice, what holds."""
    made = {
        (choice.group, choice.channel): choice.wanted for choice in NotificationChoice.objects.filter(user_id=user.pk)
    }
    found = []
    for group, (title, about) in GROUPS.items():
        kinds = [kind for kind in KINDS.values() if kind.group == group]
        always = not any(can_be_switched_off(kind) for kind in kinds)
        found.append(
            Choice(
                group=group,
                title=title,
                about=about,
                mail=always or made.get((group, "mail"), True),
                mail_always=always,
                some_always=any(kind.essential for kind in kinds),
                sms=has_texts(group) and made.get((group, "sms"), False),
                sms_possible=has_texts(group),
            )
        )
    return found


def can_be_switched_off(kind: Kind) -> bool:
    """Whether a kind is mailed and need not be."""
    return kind.mail and not kind.essential


def has_texts(group: str) -> bool:
    """Whether text messages are on and some kind of the group has them."""
    return bool(settings.SMS_BACKEND) and any(kind.sms and kind.group == group for kind in KINDS.values())


def choose(*, user: User, wishes: Iterable[dict[str, Any]]) -> None:
    """
    Write what somebody wants: `{"group": …, "mail": bool, "sms": bool}`, one or both channels of any groups; all or nothing.

    :raises UnknownChoice: if there is no such group
    :raises AlwaysMailed: if mails are switched off that can not be
    :raises NoTextMessages: if text messages are wanted where there are none
    :raises PhoneNeeded: if text messages are wanted and the profile has no number they could go to
    """
    known = {choice.group: choice for choice in choices_of(user)}
    wanted: dict[tuple[str, str], bool] = {}
    for wish in wishes:
        group = wish["group"]
        if group not in known:
            raise UnknownChoice(f"There is no group {group!r}. There are: {', '.join(known)}.")
        if "mail" in wish:
            if known[group].mail_always and not wish["mail"]:
                raise AlwaysMailed
            if not known[group].mail_always:
                wanted[group, "mail"] = wish["mail"]
        if "sms" in wish:
            if wish["sms"] and not known[group].sms_possible:
                raise NoTextMessages
            if wish["sms"] and not normalise_phone(user.phone):
                raise PhoneNeeded
            if known[group].sms_possible:
                wanted[group, "sms"] = wish["sms"]
    set_choices(user_id=user.pk, choices=wanted)
