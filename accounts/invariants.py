"""What must always be true of people's rows."""

from collections.abc import Iterable

from common.invariants import invariant, rows


@invariant("accounts.erased_people_are_nobody")
def erased_people_are_nobody() -> Iterable[str]:
    """Yield every erased account that still holds something personal, a right or a session."""
    return rows(
        """
        SELECT u.id FROM accounts_user u
        WHERE u.erased_at IS NOT NULL AND (
            u.email NOT LIKE 'erased-%@erased.invalid' OR u.name <> '' OR u.phone <> '' OR u.is_active OR u.is_staff
            OR u.is_superuser OR u.is_organiser OR u.password NOT LIKE '!%'
            OR EXISTS (SELECT FROM accounts_tokenfamily f WHERE f.user_id = u.id)
            OR EXISTS (SELECT FROM accounts_knownaddress k WHERE k.user_id = u.id)
            OR EXISTS (SELECT FROM accounts_authenticator a WHERE a.user_id = u.id)
            OR EXISTS (SELECT FROM accounts_recoverycode r WHERE r.user_id = u.id)
            OR EXISTS (SELECT FROM accounts_passkey p WHERE p.user_id = u.id)
            OR EXISTS (SELECT FROM accounts_notification n WHERE n.user_id = u.id)
            OR EXISTS (SELECT FROM accounts_notificationchoice c WHERE c.user_id = u.id)
        )
        """,
        "the erased account {0} still holds something",
    )


@invariant("accounts.finished_signups_hold_no_secret")
def finished_signups_hold_no_secret() -> Iterable[str]:
    """Yield every sign-up that is used or replaced and still holds a password or the hash of a code."""
    return rows(
        """
        SELECT id FROM accounts_signupchallenge
        WHERE (used_at IS NOT NULL OR superseded_at IS NOT NULL) AND (password <> '' OR code_hash <> '')
        """,
        "the finished sign-up {0} still holds a secret",
    )


@invariant("accounts.closed_sessions_stay_closed")
def closed_sessions_stay_closed() -> Iterable[str]:
    """Yield every session of an API client that was used after it had been revoked."""
    return rows(
        "SELECT id FROM accounts_tokenfamily WHERE revoked_at IS NOT NULL AND last_used_at > revoked_at",
        "the session {0} was used after its end",
    )
