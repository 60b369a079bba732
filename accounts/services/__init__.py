"""Every write to accounts, by noun: sign-ups, sessions, passwords, profiles, the first administrator, the staff's audit."""

from accounts.services.audit import record_staff_action
from accounts.services.passwords import change_password, finish_password_reset, start_password_reset
from accounts.services.profiles import (
    end_sessions_as_staff,
    erase_user,
    mail_reset_link_as_staff,
    update_profile,
    update_user,
)
from accounts.services.sessions import (
    Tokens,
    end_all_sessions,
    log_in,
    log_out,
    open_session,
    rotate_refresh_token,
)
from accounts.services.setup import create_setup_token, refuse_without_setup_token, register_first_admin
from accounts.services.signup import resend_code, start_signup, verify_code

__all__ = [
    "Tokens",
    "change_password",
    "create_setup_token",
    "end_all_sessions",
    "end_sessions_as_staff",
    "erase_user",
    "finish_password_reset",
    "log_in",
    "log_out",
    "mail_reset_link_as_staff",
    "open_session",
    "record_staff_action",
    "refuse_without_setup_token",
    "register_first_admin",
    "resend_code",
    "rotate_refresh_token",
    "start_password_reset",
    "start_signup",
    "update_profile",
    "update_user",
    "verify_code",
]
