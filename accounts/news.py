"""What people are told about the security of their account."""

from uuid import UUID, uuid4

from accounts.notifications import Kind, notify, register

PASSWORD_CHANGED = register(
    Kind(
        name="password_changed",
        title="Your password was changed",
        body="Every other session has ended. If it was not you, set a new password now.",
        essential=True,
        group="security",
    )
)
SESSION_ENDED = register(
    Kind(
        name="session_ended",
        title="We ended a session of yours, for safety",
        body="A key of one of your logged-in apps was used a second time after it had been replaced: somebody may have copied"
        " it. Log in again in the app. If you do not know why this happened, set a new password.",
        essential=True,
        group="security",
    )
)
FACTOR_ADDED = register(
    Kind(
        name="factor_added",
        title="New way into the staff area: {factor}",
        body="It opens the staff area with your account from now on. If it was not you, tell an owner at once: they reset your"
        " second factor. Then set a new password.",
        essential=True,
        group="security",
        template="notice",
    )
)
FACTOR_REMOVED = register(
    Kind(
        name="factor_removed",
        title="Removed from your account: {factor}",
        body="It no longer opens the staff area, and every other session of yours has ended. If it was not you, tell an owner"
        " and set a new password.",
        essential=True,
        group="security",
        template="notice",
    )
)
RECOVERY_CODES_RENEWED = register(
    Kind(
        name="recovery_codes_renewed",
        title="You have new recovery codes",
        body="The old ones no longer work. If it was not you, tell an owner at once: they reset your second factor.",
        essential=True,
        group="security",
        template="notice",
    )
)
RECOVERY_CODE_USED = register(
    Kind(
        name="recovery_code_used",
        title="A recovery code of yours was used",
        body="Unused ones left: {left}. If it was not you, tell an owner at once, and set a new password.",
        essential=True,
        group="security",
        template="notice",
    )
)
PASSKEY_COPIED = register(
    Kind(
        name="passkey_copied",
        title="We refused your passkey “{name}”",
        body="Its counter went back: another device may hold a copy. Remove it from your account, and register a new one.",
        essential=True,
        group="security",
        template="notice",
    )
)
FACTORS = "/staff/second-factor/set-up"
STAFF_ROLE = register(
    Kind(
        name="staff_role",
        title="You are staff: {role}",
        body="What you do: {duty}. The staff area opens with your password, and a passkey or a code once you have set one up.",
        essential=True,
        group="security",
        template="notice",
    )
)
STAFF_ROLE_ENDED = register(
    Kind(
        name="staff_role_ended",
        title="You are no longer staff",
        body="The staff area is closed to you. Your tickets and your account stay as they are.",
        essential=True,
        group="security",
        template="notice",
    )
)
ORGANISER = register(
    Kind(
        name="organiser",
        title="You can sell tickets now",
        body="Make events, put them on sale and see how they do under My events.",
        essential=True,
        group="security",
        template="notice",
    )
)


def password_changed(*, user_id: UUID, cause: str) -> None:
    """Tell somebody that their account has a new password."""
    notify(user_id=user_id, kind=PASSWORD_CHANGED.name, cause=cause, url="/profile")


def session_ended(*, user_id: UUID, family_id: UUID) -> None:
    """Tell somebody that a session was ended because its token came a second time."""
    notify(user_id=user_id, kind=SESSION_ENDED.name, cause=str(family_id), url="/profile")


def factor_added(*, user_id: UUID, factor: str) -> None:
    """Tell somebody that a new factor opens the staff area with their account."""
    notify(user_id=user_id, kind=FACTOR_ADDED.name, cause=str(uuid4()), url=FACTORS, factor=factor)


def factor_removed(*, user_id: UUID, factor: str) -> None:
    """Tell somebody that a factor of theirs is gone."""
    notify(user_id=user_id, kind=FACTOR_REMOVED.name, cause=str(uuid4()), url=FACTORS, factor=factor)


def recovery_codes_renewed(*, user_id: UUID) -> None:
    """Tell somebody that their recovery codes were replaced."""
    notify(user_id=user_id, kind=RECOVERY_CODES_RENEWED.name, cause=str(uuid4()), url=FACTORS)


def recovery_code_used(*, user_id: UUID, left: int) -> None:
    """Tell somebody that one of their recovery codes was used."""
    notify(user_id=user_id, kind=RECOVERY_CODE_USED.name, cause=str(uuid4()), url=FACTORS, left=left)


def passkey_copied(*, user_id: UUID, name: str) -> None:
    """Tell somebody that a passkey of theirs was refused because it counted back."""
    notify(user_id=user_id, kind=PASSKEY_COPIED.name, cause=str(uuid4()), url=FACTORS, name=name)


def role_changed(*, user_id: UUID, role: str, duty: str) -> None:
    """Tell somebody which role of staff they have now; "" is none."""
    if role:
        notify(user_id=user_id, kind=STAFF_ROLE.name, cause=str(uuid4()), url="/admin/", role=role, duty=duty)
    else:
        notify(user_id=user_id, kind=STAFF_ROLE_ENDED.name, cause=str(uuid4()), url="/profile")


def became_organiser(*, user_id: UUID) -> None:
    """Tell somebody that they may create events."""
    notify(user_id=user_id, kind=ORGANISER.name, cause=str(uuid4()), url="/organiser")
