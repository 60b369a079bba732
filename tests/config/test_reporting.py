import psycopg
import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from psycopg import errors

from config import backup, reporting
from tests.factories import TicketCategoryFactory, UserFactory

pytestmark = pytest.mark.django_db(transaction=True)

PERSONAL = {
    "accounts_user": "email",
    "accounts_signupchallenge": "code_hash",
    "accounts_refreshtoken": "token_hash",
    "bookings_ticket": "code",
    "common_outboxmessage": "payload",
    "common_sentmail": "text",
    "django_session": "session_data",
    "faceverify_faceimage": "fingerprint",
    "faceverify_facereference": "vector_encrypted",
    "payments_payment": "intent_id",
    "registrations_verificationattempt": "similarity",
}


@pytest.fixture
def analyst():
    """A connection of somebody whose log-in is a member of the reporting role."""
    name = f"analyst_{connection.settings_dict['NAME']}"
    with backup.connect() as owner:
        owner.execute(f'DROP ROLE IF EXISTS "{name}"')
        owner.execute(f'CREATE ROLE "{name}" LOGIN IN ROLE "{settings.REPORTING_ROLE}"')
    where = backup.database() | {"user": name}
    with psycopg.connect(**where, autocommit=True) as theirs:
        yield theirs
    with backup.connect() as owner:
        owner.execute(f'DROP ROLE "{name}"')


def column(theirs, statement):
    return [row[0] for row in theirs.execute(statement).fetchall()]


def test_every_table_has_row_level_security():
    with connection.cursor() as cursor:
        assert reporting.unprotected(cursor) == []


def test_analyst_sees_sales(analyst):
    TicketCategoryFactory(capacity=50, price_minor=4900)

    assert column(analyst, "SELECT capacity FROM events_seatinventory") == [50]
    assert column(analyst, "SELECT price_minor FROM events_ticketcategory") == [4900]
    assert column(analyst, "SELECT coalesce(sum(amount_minor), 0) FROM bookings_booking") == [0]


@pytest.mark.parametrize("table", reporting.READABLE)
def test_analyst_reads_every_column_that_is_named(analyst, table):
    columns = ", ".join(reporting.READABLE[table].split())

    assert analyst.execute(f"SELECT {columns} FROM {table}").fetchall() is not None


@pytest.mark.parametrize(("table", "secret"), PERSONAL.items())
def test_analyst_sees_no_face_contact_or_secret(analyst, table, secret):
    with pytest.raises(errors.InsufficientPrivilege):
        analyst.execute(f"SELECT {secret} FROM {table}")


def test_every_table_that_is_not_named_is_closed(analyst):
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        closed = [name for (name,) in cursor.fetchall() if name not in reporting.READABLE]

    assert len(closed) > 20
    for table in closed:
        with pytest.raises(errors.InsufficientPrivilege):
            analyst.execute(f'SELECT count(*) FROM "{table}"')


def test_table_that_was_granted_by_mistake_shows_no_row(analyst):
    UserFactory()
    with backup.connect() as owner:
        owner.execute(f'GRANT SELECT ON accounts_user TO "{settings.REPORTING_ROLE}"')

    try:
        assert column(analyst, "SELECT email FROM accounts_user") == []
    finally:
        with backup.connect() as owner:
            owner.execute(f'REVOKE SELECT ON accounts_user FROM "{settings.REPORTING_ROLE}"')
    with backup.connect() as owner:
        assert column(owner, "SELECT count(*) FROM accounts_user") == [1]  # there is something that could be seen


def test_analyst_writes_nothing(analyst):
    TicketCategoryFactory()

    for statement in ("UPDATE events_seatinventory SET capacity = 0", "DELETE FROM bookings_booking"):
        with pytest.raises(errors.InsufficientPrivilege):
            analyst.execute(statement)


def test_access_is_put_right_again(analyst):
    with backup.connect() as owner:
        owner.execute("CREATE TABLE later_table (secret text)")
        owner.execute("ALTER TABLE events_seat DISABLE ROW LEVEL SECURITY")
        owner.execute(f'GRANT SELECT (email) ON accounts_user TO "{settings.REPORTING_ROLE}"')
        owner.execute(f'REVOKE SELECT (capacity) ON events_seatinventory FROM "{settings.REPORTING_ROLE}"')
        owner.execute(f"CREATE POLICY {reporting.POLICY} ON accounts_user FOR SELECT USING (true)")
    try:
        call_command("reporting_role", verbosity=0)

        with connection.cursor() as cursor:
            assert reporting.unprotected(cursor) == []
        assert column(analyst, "SELECT capacity FROM events_seatinventory") == []
        with pytest.raises(errors.InsufficientPrivilege):
            analyst.execute("SELECT email FROM accounts_user")
    finally:
        with backup.connect() as owner:
            owner.execute("DROP TABLE later_table")


def test_second_time_changes_nothing(django_assert_max_num_queries):
    with django_assert_max_num_queries(12) as asked:
        reporting.assert_access()

    assert not [query for query in asked if query["sql"].startswith(("ALTER", "GRANT", "REVOKE", "CREATE", "DROP"))]


def test_user_who_may_not_make_roles_is_told(settings):
    settings.REPORTING_ROLE = "nobody_may_make_this"
    with connection.cursor() as cursor:
        cursor.execute("DROP ROLE IF EXISTS without_createrole")
        cursor.execute("CREATE ROLE without_createrole")
        cursor.execute("SET ROLE without_createrole")
        try:
            assert reporting.ensure_role() is False
        finally:
            cursor.execute("RESET ROLE")
            cursor.execute("DROP ROLE without_createrole")
