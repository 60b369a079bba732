"""
Who may read the database for reports: a role of PostgreSQL that sees sales, and no person's face, contact or secret.

Every table has row-level security switched on, so that a role other than the tables' owner sees nothing unless a policy says
so, whatever it was granted by mistake. The reporting role has a policy on the tables of `READABLE` and may select only the
columns named there. What is not named is closed, tables that come with a later migration included. Asserted after every
`migrate`; only what differs is changed, so that a live table is not locked for nothing.
"""

from typing import Any

import structlog
from django.conf import settings
from django.db import connection, transaction
from psycopg import errors, sql

log = structlog.get_logger(__name__)

POLICY = "reporting_reads"
READABLE = {
    "events_event": (
        "id name location timezone starts_at ends_at status currency sale_starts_at sale_ends_at queue_enabled"
        " max_active_users requires_face_verification payment_collection max_tickets_per_booking created_at deleted_at"
    ),
    "events_ticketcategory": (
        "id event_id name price_minor numbered position closed hidden sale_starts_at sale_ends_at max_per_person created_at"
    ),
    "events_seatinventory": "category_id capacity held offered sold waiting",
    "events_seat": "id category_id row number rank",
    # A person is their id here: enough to count buyers, and the table that would say who it is stays closed.
    "bookings_booking": (
        "id user_id event_id category_id quantity amount_minor currency status source expires_at created_at confirmed_at"
        " ended_at end_reason refund_minor refund_status discount_minor code_id comp"
    ),
    # What codes do and how well they sell; not the words themselves, which are as good as money.
    "bookings_salecode": (
        "id event_id percent off_minor presale category_ids per_person valid_from valid_until active created_at"
    ),
    "bookings_salecodecounter": "code_id max_uses uses",
    "bookings_bookingtransition": "id booking_id from_status to_status reason at",
    "bookings_bookingseat": "id booking_id seat_id live",
    "bookings_ticket": "id booking_id number status issued_at void_at seat_id",
    "payments_payment": (
        "id booking_id door attempt amount_minor currency status received_minor refunded_minor use created_at settled_at"
    ),
    "payments_refund": "id payment_id amount_minor currency reason status created_at finished_at",
    "registrations_registration": (
        "id user_id event_id status face_verification_status identity_method verification_attempts passed_by verified_at"
        " admin_booked created_at"
    ),
    "registrations_verificationattempt": (
        "id registration_id status engine failure_code milliseconds reserved_at decided_at"
    ),
    # How many came when and by which gate, and what was refused; not who scanned and nothing that was read.
    "gate_scan": "id event_id ticket_id method result reason offline let_in scanned_at at undone_at resolved_at",
    "waitlist_waitlistentry": (
        "id user_id event_id quantity status reason eligible joined_at offered_at offer_expires_at offers ended_at booking_id"
    ),
}


def assert_access(**_: Any) -> None:
    """Switch row-level security on for every table, and give the reporting role what `READABLE` says and nothing else."""
    with transaction.atomic(), connection.cursor() as cursor:
        for table in unprotected(cursor):
            cursor.execute(sql.SQL("ALTER TABLE {} ENABLE ROW LEVEL SECURITY").format(sql.Identifier(table)))
        if not ensure_role():
            return
        give_policies(cursor)
        give_columns(cursor)


def after_migrate(**given: Any) -> None:
    """Receiver of `post_migrate`; `flush`, which tests call after each transaction, sends it without a plan."""
    if "plan" in given:
        assert_access()


def unprotected(cursor: Any) -> list[str]:
    """Return our tables without row-level security."""
    cursor.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
        " AND NOT relrowsecurity ORDER BY relname"
    )
    return [name for (name,) in cursor.fetchall()]


def ensure_role() -> bool:
    """
    Make the role if it is missing; False when this user may not make roles.

    Roles belong to the whole server: another database of it may make the same one at this moment.
    """
    role = sql.Identifier(settings.REPORTING_ROLE)
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [settings.REPORTING_ROLE])
            if not cursor.fetchone():
                cursor.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(role))
    except Exception as error:
        if isinstance(error.__cause__, errors.DuplicateObject | errors.UniqueViolation):
            return True
        if isinstance(error.__cause__, errors.InsufficientPrivilege):
            log.warning(
                "reporting.no_role", role=settings.REPORTING_ROLE, advice="run manage.py reporting_role as an owner"
            )
            return False
        raise
    return True


def give_policies(cursor: Any) -> None:
    """Let the role see the rows of the tables it may read, and of no others."""
    cursor.execute("SELECT tablename FROM pg_policies WHERE schemaname = 'public' AND policyname = %s", [POLICY])
    there = {name for (name,) in cursor.fetchall()}
    policy, role = sql.Identifier(POLICY), sql.Identifier(settings.REPORTING_ROLE)
    for table in sorted({table for table, _ in existing(cursor)} - there):
        cursor.execute(
            sql.SQL("CREATE POLICY {} ON {} FOR SELECT TO {} USING (true)").format(policy, sql.Identifier(table), role)
        )
    for table in sorted(there - READABLE.keys()):
        cursor.execute(sql.SQL("DROP POLICY {} ON {}").format(policy, sql.Identifier(table)))


def give_columns(cursor: Any) -> None:
    """Grant what is missing and revoke what is too much, column by column."""
    cursor.execute(
        "SELECT table_name, column_name FROM information_schema.column_privileges"
        " WHERE grantee = %s AND privilege_type = 'SELECT' AND table_schema = 'public'",
        [settings.REPORTING_ROLE],
    )
    given = set(cursor.fetchall())
    wanted = existing(cursor)
    role = sql.Identifier(settings.REPORTING_ROLE)
    for statement, differences in (
        ("GRANT SELECT ({}) ON {} TO {}", wanted - given),
        ("REVOKE SELECT ({}) ON {} FROM {}", given - wanted),
    ):
        for table, column in sorted(differences):
            cursor.execute(sql.SQL(statement).format(sql.Identifier(column), sql.Identifier(table), role))


def existing(cursor: Any) -> set[tuple[str, str]]:
    """Return the tables and columns of `READABLE` that are there: while migrations go back, some are not."""
    cursor.execute(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = ANY(%s)",
        [list(READABLE)],
    )
    named = {(table, column) for table, columns in READABLE.items() for column in columns.split()}
    return named & set(cursor.fetchall())
