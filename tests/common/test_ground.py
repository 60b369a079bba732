"""The ground every flow stands on: money, names on the wire, addresses, limits, idempotency, the outbox, jobs."""

from decimal import Decimal

import pytest
import redis
from django.db import DatabaseError, OperationalError, transaction
from redis.exceptions import ConnectionError as RedisAway

from common import idempotency, invariants, jobs, money, outbox, ratelimit
from common.addresses import client_address
from common.errors import FairseatError, Invalid
from common.models import Heartbeat, IdempotencyKey, OutboxMessage
from config.api import field_errors, is_transient
from config.renderers import camel, snake, with_keys
from tests.factories import UserFactory
from tests.races import race, results


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [("49.00", "EUR", 4900), ("49", "EUR", 4900), ("500", "JPY", 500), ("1.234", "KWD", 1234), ("0", "EUR", 0)],
)
def test_money_becomes_minor_units_and_comes_back(amount, currency, minor):
    assert money.to_minor(amount, currency) == minor
    assert money.to_decimal(minor, currency) == Decimal(amount)


@pytest.mark.parametrize(
    ("amount", "currency"), [("1.005", "EUR"), ("-1", "EUR"), ("1.5", "JPY"), ("NaN", "EUR"), ("x", "EUR")]
)
def test_money_that_can_not_be_is_refused(amount, currency):
    with pytest.raises(Invalid):
        money.to_minor(amount, currency)


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [(123456, "EUR", "€1,234.56"), (500, "JPY", "¥500"), (1200, "CHF", "CHF 12.00"), (0, "EUR", "Free")],
)
def test_money_reads_as_people_write_it(minor, currency, text):
    assert money.display(minor, currency) == text


def test_names_change_their_case_at_the_rim():
    assert camel("sale_starts_at") == "saleStartsAt"
    assert snake("saleStartsAt") == snake("sale_starts_at") == "sale_starts_at"
    assert with_keys([{"a_b": {"c_d": 1}}], camel) == [{"aB": {"cD": 1}}]


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (0, "6.6.6.6", "10.0.0.1"),
        (1, "6.6.6.6, 203.0.113.9", "203.0.113.9"),
        (2, "6.6.6.6, 203.0.113.9, 10.0.0.7", "203.0.113.9"),
        (2, "203.0.113.9", "10.0.0.1"),
        (1, "not an address", "10.0.0.1"),
        (1, "", "10.0.0.1"),
    ],
)
def test_address_can_not_be_chosen_by_the_client(proxies, forwarded, address):
    assert client_address({"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": forwarded}, proxies) == address


def test_limit_counts_down_and_then_refuses():
    allowances = [ratelimit.take([("person", 2), ("address", 10)], seconds=60) for _ in range(3)]

    assert [(one.allowed, one.limit, one.remaining) for one in allowances] == [
        (True, 2, 1),
        (True, 2, 0),
        (False, 2, 0),
    ]
    assert 1 <= allowances[0].reset <= 60


def test_crowd_behind_one_address_is_not_locked_out_by_one_of_them():
    for _ in range(5):
        ratelimit.take([("greedy", 2), ("school", 6)], seconds=60)

    assert ratelimit.take([("patient", 2), ("school", 6)], seconds=60).allowed


@pytest.mark.django_db
def test_api_tells_its_limits_and_refuses_with_when_to_come_back(api, settings):
    settings.THROTTLES = settings.THROTTLES | {"read": ((2, 60), (100, 60), False)}
    person = api.as_user(UserFactory())

    statuses = [person.get("/api/v1/bookings").status for _ in range(3)]

    assert statuses == [200, 200, 429]
    assert person.last.headers["RateLimit-Limit"] == "2"
    assert person.last.headers["RateLimit-Remaining"] == "0"
    assert 1 <= int(person.last.headers["Retry-After"]) <= 60
    assert person.last.json()["code"] == "too_many_requests"


@pytest.mark.django_db
def test_redis_away_refuses_log_in_and_lets_reading_through(api, settings, monkeypatch):
    away = redis.Redis(unix_socket_path="/nowhere/redis.sock")
    monkeypatch.setattr(ratelimit, "connection", lambda: away)

    read = api.get("/api/v1/events")
    log_in = api.post("/api/v1/auth/login", {"email": "a@example.test", "password": "b"})

    assert read.status == 200
    assert (log_in.status, log_in.body["status"], log_in.body["code"]) == (503, "error", "busy")
    assert api.last.headers["Retry-After"] == "5"


@pytest.mark.django_db(transaction=True)
def test_key_runs_its_act_once_even_at_the_same_time():
    ran = []

    def act():
        ran.append(1)
        return 201, {"data": len(ran)}

    def post():
        return idempotency.once(key="k", owner="me", method="POST", path="/x", body={"a": 1}, act=act)

    answers = results(race([post for _ in range(6)], gate="common_idempotencykey"))

    assert len(ran) == 1
    assert sorted(replayed for _, _, replayed in answers) == [False] + [True] * 5
    assert {str(answer) for _, answer, _ in answers} == {"{'data': 1}"}


@pytest.mark.django_db(transaction=True)
def test_key_is_forgotten_with_the_effect_that_failed():
    def act():
        raise Invalid

    for _ in range(2):
        with pytest.raises(Invalid):
            idempotency.once(key="k", owner="me", method="POST", path="/x", body={}, act=act)

    assert not IdempotencyKey.objects.exists()


@pytest.fixture
def topic():
    """A topic whose handler notes what it was given and fails as often as `failures` says."""

    class Topic:
        delivered: list = []
        failures: list = []

    def handle(key, payload):
        if Topic.failures:
            raise Topic.failures.pop()
        Topic.delivered.append((key, payload))

    Topic.delivered, Topic.failures = [], []
    outbox.HANDLERS["test"] = handle
    yield Topic
    del outbox.HANDLERS["test"]


@pytest.mark.django_db(transaction=True)
def test_outbox_delivers_each_cause_once(topic):
    for _ in range(3):
        outbox.put(topic="test", dedupe_key="cause", number=1)

    race([lambda: outbox.deliver_due() for _ in range(4)])

    assert topic.delivered == [("cause", {"number": 1})]
    assert OutboxMessage.objects.get().done_at is not None


@pytest.mark.django_db(transaction=True)
def test_outbox_forgets_what_was_rolled_back(topic):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        outbox.put(topic="test", dedupe_key="cause")
        raise ZeroDivisionError

    assert outbox.deliver_due() == 0
    assert topic.delivered == []


@pytest.mark.django_db(transaction=True)
def test_outbox_tries_again_later_and_gives_up_when_told(topic):
    outbox.put(topic="test", dedupe_key="again")
    topic.failures = [OperationalError("the provider is away")]
    outbox.deliver_due()
    failed = OutboxMessage.objects.get()
    failed_again = outbox.deliver_due()
    OutboxMessage.objects.update(due_at=failed.created_at)
    outbox.deliver_due()

    assert "the provider is away" in failed.last_error
    assert (failed.attempts, failed.done_at, failed_again) == (1, None, 0)
    assert topic.delivered == [("again", {})]

    outbox.put(topic="test", dedupe_key="hopeless")
    topic.failures = [outbox.GiveUp("no such address")]
    outbox.deliver_due()
    hopeless = OutboxMessage.objects.get(dedupe_key="hopeless")
    assert (hopeless.last_error, hopeless.done_at) == ("no such address", None)
    assert hopeless.failed_at is not None


@pytest.mark.django_db(transaction=True)
def test_outbox_row_is_there_when_the_broker_is_not(topic, monkeypatch):
    def away(**_):
        raise RedisAway("no broker")

    monkeypatch.setattr("common.tasks.deliver_outbox.delay", away)

    outbox.put(topic="test", dedupe_key="cause")

    assert OutboxMessage.objects.filter(done_at=None).count() == 1
    assert outbox.deliver_due() == 1


@pytest.mark.django_db
def test_job_leaves_its_heartbeat():
    jobs.JOBS["test"] = jobs.Job("test", "SWEEP_SECONDS", lambda: 7)
    try:
        assert jobs.run("test") == 7
    finally:
        del jobs.JOBS["test"]

    assert Heartbeat.objects.get(name="test").result == "7"


@pytest.mark.django_db
def test_invariants_hold_in_an_empty_database():
    assert {name: found for name, found in invariants.breaches().items() if found} == {}


def test_only_passing_troubles_of_the_database_say_busy():
    def failing(sqlstate):
        error = DatabaseError("x")
        error.__cause__ = type("Cause", (Exception,), {"sqlstate": sqlstate})()
        return error

    assert is_transient(failing("55P03"))
    assert is_transient(OperationalError("server closed the connection"))
    assert is_transient(RedisAway())
    assert not is_transient(failing("23505"))
    assert not is_transient(ValueError())


def test_field_errors_name_the_place():
    detail = {"start_time": ["Bad."], "categories": [{}, {"price": ["Too low."]}]}

    assert field_errors(detail) == {"startTime": ["Bad."], "categories.1.price": ["Too low."]}


def test_errors_have_a_code_a_status_and_a_sentence():
    def every(kind):
        yield kind
        for child in kind.__subclasses__():
            yield from every(child)

    for kind in every(FairseatError):
        assert 400 <= kind.status < 600
        assert kind.code == kind.code.lower()
        assert kind.message
