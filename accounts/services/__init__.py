"""Every write to accounts, by noun: sign-ups, sessions, passwords, second factors, roles, profiles, set-up, the audit."""

from accounts.services.audit import record_staff_action
from accounts.services.mfa import (
    address_of,
    begin_enrolment,
    check_code,
    codes_left,
    confirm_enrolment,
    pending_secret,
    prove_at_login,
    remove_authenticator,
    renew_recovery_codes,
    reset_mfa,
    reset_mfa_of,
)
from accounts.services.passwords import change_password, finish_password_reset, start_password_reset
from accounts.services.profiles import (
    end_sessions_as_staff,
    erase_user,
    mail_reset_link_as_staff,
    update_profile,
    update_user,
)
from accounts.services.roles import assign_role, extras_of
from accounts.services.sessions import (
    Tokens,
    confirm_password,
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
    "address_of",
    "assign_role",
    "begin_enrolment",
    "change_password",
    "check_code",
    "codes_left",
    "confirm_enrolment",
    "confirm_password",
    "create_setup_token",
    "end_all_sessions",
    "end_sessions_as_staff",
    "erase_user",
    "extras_of",
    "finish_password_reset",
    "log_in",
    "log_out",
    "mail_reset_link_as_staff",
    "open_session",
    "pending_secret",
    "prove_at_login",
    "record_staff_action",
    "refuse_without_setup_token",
    "register_first_admin",
    "remove_authenticator",
    "renew_recovery_codes",
    "resend_code",
    "reset_mfa",
    "reset_mfa_of",
    "rotate_refresh_token",
    "start_password_reset",
    "start_signup",
    "update_profile",
    "update_user",
    "verify_code",
]
