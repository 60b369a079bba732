"""What people are told about the security of their account."""

from uuid import UUID

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


def password_changed(*, user_id: UUID, cause: str) -> None:
    """Tell somebody that their account has a new password."""
    notify(user_id=user_id, kind=PASSWORD_CHANGED.name, cause=cause, url="/profile")


def session_ended(*, user_id: UUID, family_id: UUID) -> None:
    """Tell somebody that a session was ended because its token came a second time."""
    notify(user_id=user_id, kind=SESSION_ENDED.name, cause=str(family_id), url="/profile")
