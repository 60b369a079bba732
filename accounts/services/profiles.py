"""A person's own data: changed by themselves or by staff, and erased."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import structlog
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.hashers import make_password
from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils.module_loading import import_string

from accounts import news
from accounts.models import (
    Authenticator,
    KnownAddress,
    Notification,
    NotificationChoice,
    Passkey,
    PasskeyChallenge,
    PasswordReset,
    RecoveryCode,
    SignupChallenge,
    TokenFamily,
    User,
)
from accounts.notifications.sms import normalise_phone
from accounts.roles import ASSIGN
from accounts.services.audit import record_staff_action
from accounts.services.passwords import start_password_reset
from accounts.services.sessions import end_all_sessions
from common import mail
from common.errors import Conflict, Forbidden, NotFound
from common.models import OutboxMessage, SentMail

log = structlog.get_logger(__name__)

PERSONAL = {"name", "phone"}
PRIVILEGES = {"is_active", "is_organiser"}
RIGHTS = {"is_staff", "is_superuser"}
LOSSES = {"is_active", *RIGHTS}  # without which an owner is none


class NotYours(Forbidden):
    code = "administrators_only"
    message = "Only an owner may change the account of a member of staff."


class OwnRights(Forbidden):
    code = "own_rights"
    message = "Nobody changes their own rights. Ask another owner."


class LastOwner(Conflict):
    code = "last_owner"
    message = "This is the last owner. Make somebody else an owner first."


def lock_owners() -> None:
    """
    Let one transaction at a time decide about owners: who may, and that one is left.

    It comes before every row's lock.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('accounts.assign_role', 0))")


def owners() -> QuerySet[User]:
    """Return who is an owner now."""
    return User.objects.filter(Q(is_superuser=True) | Q(groups__name="owner"), is_active=True, is_staff=True)


def keep_an_owner(user_id: UUID, actor: User | None) -> None:
    """
    See to it that somebody else is an owner before `actor` takes this one away, until this transaction ends.

    :raises NotYours: if `actor` may not
    :raises LastOwner: if nobody else is
    """
    person = owners().filter(pk=user_id).first()
    if person is None:
        return
    refuse_if_above(actor, person)
    lock_owners()
    if not owners().exclude(pk=user_id).exists():
        raise LastOwner


def load_user(user_id: UUID) -> User:
    """
    Load and lock a person's row.

    :raises NotFound: if there is none, or it was erased
    """
    user = User.objects.select_for_update(no_key=True).filter(pk=user_id, erased_at__isnull=True).first()
    if user is None:
        raise NotFound("There is no such person.")
    return user


@transaction.atomic
def update_profile(*, user_id: UUID, **changes: str) -> User:
    """
    Change one's own `name` and `phone` (those that are given) and return the person.

    :raises NotFound: if the account is gone
    """
    user = load_user(user_id)
    values = {field: changes[field].strip() for field in PERSONAL & changes.keys()}
    if values:
        User.objects.filter(pk=user_id).update(**values)
    for field, value in values.items():
        setattr(user, field, value)
    return user


@transaction.atomic
def update_user(*, actor: User, user_id: UUID, reason: str = "", **changes: Any) -> User:
    """
    Change somebody's account as staff: `name`, `phone`, `is_active`, `is_organiser` (those that are given).

    Administrators also change `is_staff` and `is_superuser`. Closing an account ends every session of it. The change is
    recorded; of personal data only that it changed.

    :raises NotFound: if there is no such person
    :raises NotYours: if a member of staff is changed, or made, by anybody but an administrator
    :raises OwnRights: if somebody changes more than their own name and telephone number
    :raises LastOwner: if an account is closed without which nobody is an owner
    """
    if actor.pk != user_id and any(changes.get(field) is False for field in LOSSES):
        keep_an_owner(user_id, actor)
        actor = as_now(actor)
    user = load_user(user_id)
    refuse_if_above(actor, user)
    wanted = {field: value for field, value in changes.items() if field in PERSONAL | PRIVILEGES | RIGHTS}
    changed = {field: value for field, value in wanted.items() if getattr(user, field) != value}
    if RIGHTS & changed.keys() and not actor.has_perm(ASSIGN):
        raise NotYours
    if actor.pk == user.pk and changed.keys() - PERSONAL:
        raise OwnRights
    if not changed:
        return user
    before = {field: getattr(user, field) for field in changed if field not in PERSONAL}
    after = {field: "changed" if field in PERSONAL else value for field, value in changed.items()}
    User.objects.filter(pk=user_id).update(**changed)
    if changed.get("is_active") is False:
        end_all_sessions(user_id=user_id, because="closed")
    if changed.get("is_organiser"):
        news.became_organiser(user_id=user_id)
    record_staff_action(
        actor_id=actor.pk,
        action="update_user",
        object_type="user",
        object_id=user_id,
        before=before,
        after=after,
        reason=reason,
    )
    return User.objects.get(pk=user_id)


@transaction.atomic
def end_sessions_as_staff(*, actor: User, user_id: UUID, reason: str = "") -> None:
    """
    End every session of a person, because staff say so.

    :raises NotFound: if there is no such person
    :raises NotYours: if it is a member of staff and `actor` no administrator
    """
    refuse_if_above(actor, load_user(user_id))
    end_all_sessions(user_id=user_id, because="staff")
    record_staff_action(actor_id=actor.pk, action="end_sessions", object_type="user", object_id=user_id, reason=reason)


@transaction.atomic
def mail_reset_link_as_staff(*, actor: User, user_id: UUID, reason: str = "") -> None:
    """
    Mail a person the link to set a new password, because staff say so; staff never see or set a password.

    :raises NotFound: if there is no such person
    """
    user = load_user(user_id)
    start_password_reset(email=user.email)
    record_staff_action(
        actor_id=actor.pk, action="mail_reset_link", object_type="user", object_id=user_id, reason=reason
    )


@transaction.atomic
def erase_user(*, user_id: UUID, actor: User | None = None, cancel: bool = False, reason: str = "") -> None:
    """
    Erase a person: what is theirs is released and removed, what was sold stays without their name.

    First every step of settings.ERASURE_STEPS is called with `user_id`, `cancel` and `by` ("buyer" or "staff"), in this
    transaction; a step that raises stops it all. `actor` is the member of staff who does it for somebody else.

    :raises NotFound: if there is no such person
    :raises NotYours: if a member of staff is erased by anybody but an administrator or themselves
    :raises LastOwner: if nobody else is an owner
    :raises Conflict: from a step, e.g. because of bookings of future events while `cancel` is false
    """
    by_staff = actor is not None and actor.pk != user_id
    keep_an_owner(user_id, actor)
    if by_staff and actor is not None:
        actor = as_now(actor)
        refuse_if_above(actor, load_user(user_id))
    for path in settings.ERASURE_STEPS:
        step: Callable[..., None] = import_string(path)
        step(user_id=user_id, cancel=cancel, by="staff" if by_staff else "buyer")
    user = load_user(user_id)
    old_address = user.email
    forget_mails(old_address)
    if number := normalise_phone(user.phone):
        SentMail.objects.filter(to=number).delete()  # text messages of the development backend
    mail.send(to=old_address, template="account_erased", dedupe_key=f"account-erased:{user_id}")
    end_all_sessions(user_id=user_id, because="erased")
    User.objects.filter(pk=user_id).update(
        email=f"erased-{uuid4()}@erased.invalid",
        password=make_password(None),
        name="",
        phone="",
        is_active=False,
        is_staff=False,
        is_superuser=False,
        is_organiser=False,
        last_login=None,
        erased_at=Now(),
    )
    user.groups.clear()
    user.user_permissions.clear()
    TokenFamily.objects.filter(user_id=user_id).delete()
    KnownAddress.objects.filter(user_id=user_id).delete()
    Authenticator.objects.filter(user_id=user_id).delete()
    RecoveryCode.objects.filter(user_id=user_id).delete()
    Passkey.objects.filter(user_id=user_id).delete()
    PasskeyChallenge.objects.filter(user_id=user_id).delete()
    Notification.objects.filter(user_id=user_id).delete()
    NotificationChoice.objects.filter(user_id=user_id).delete()
    SignupChallenge.objects.filter(email=old_address).delete()
    PasswordReset.objects.filter(email=old_address).delete()
    LogEntry.objects.filter(content_type__app_label="accounts", content_type__model="user", object_id=user_id).update(
        object_repr="erased"
    )
    if by_staff and actor is not None:
        record_staff_action(
            actor_id=actor.pk,
            action="erase_user",
            object_type="user",
            object_id=user_id,
            after={"cancelled_bookings": cancel},
            reason=reason,
        )
    log.info("accounts.erased", user=str(user_id), by_staff=by_staff)


def forget_mails(address: str) -> None:
    """Remove what was mailed to an address; what has yet to leave (a refund's mail) still leaves."""
    SentMail.objects.filter(to=address).delete()
    OutboxMessage.objects.filter(payload__to=address, done_at__isnull=False).update(payload={})
    OutboxMessage.objects.filter(payload__to=address, failed_at__isnull=False).update(payload={})


def as_now(actor: User) -> User:
    """
    Return the actor as they are at this moment: who was unmade while their request waited decides nothing.

    :raises NotYours: if their account is closed, or they have yet to prove their second factor
    """
    now = User.objects.filter(pk=actor.pk, is_active=True).first()
    if now is None or actor.lacks_second_factor:
        raise NotYours
    return now


def refuse_if_above(actor: User | None, user: User) -> None:
    """
    Staff change customers; only administrators change staff.

    :raises NotYours: otherwise
    """
    if (
        actor is not None
        and actor.pk != user.pk
        and (user.is_staff or user.is_superuser)
        and not actor.has_perm(ASSIGN)
    ):
        raise NotYours
