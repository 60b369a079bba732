"""The short way of two answers is the long way's answer, to the last header; whatever is unusual takes the long way."""

import json
from io import BytesIO
from uuid import uuid4

import pytest
from django.core.wsgi import get_wsgi_application
from django.utils import timezone

from accounts.authentication import issue_access_token
from config import quick
from tests.factories import UserFactory
from tests.waitingroom.drawn import drawn_line

pytestmark = pytest.mark.django_db(transaction=True)
OWN = {"x-request-id", "next-poll-ms", "content-length"}  # each answer's own


class Asked:
    """One request through the WSGI application, and whether it had to go the long way."""

    def __init__(self, path: str, query: str = "", **environ: str) -> None:
        self.long = 0
        django = get_wsgi_application()

        def counted(*given):
            self.long += 1
            return django(*given)

        def start(status, headers, *_):
            self.status, self.headers = int(status[:3]), {name.lower(): value for name, value in headers}

        given = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.url_scheme": "http",
            "wsgi.input": BytesIO(),
        }
        answer = quick.quick(counted)(given | environ, start)
        self.body = b"".join(answer)
        if hasattr(answer, "close"):
            answer.close()


@pytest.fixture
def line():
    return drawn_line(count=3, max_active_users=1)


def bearer(person, at=None) -> str:
    return f"Bearer {issue_access_token(user=person, now=at or timezone.now())}"


def without(body: bytes, *names: str) -> dict:
    found = json.loads(body)
    return {name: value for name, value in found["data"].items() if name not in names} | {"status": found["status"]}


@pytest.mark.parametrize("base", ["/api/v1/", "/api/"])
def test_where_one_stands_is_the_same_both_ways(line, base):
    event, crowd = line
    query = f"eventId={event.pk}"

    for person in crowd:
        short = Asked(f"{base}queue/status", query, HTTP_AUTHORIZATION=bearer(person))
        long = Asked(f"{base}queue/status/", query, HTTP_AUTHORIZATION=bearer(person))

        assert (short.long, long.long) == (0, 1)
        assert (short.status, long.status) == (200, 200)
        assert without(short.body, "nextPollMs") == without(long.body, "nextPollMs")
        assert {n: v for n, v in short.headers.items() if n not in OWN} == {
            n: v for n, v in long.headers.items() if n not in OWN
        }
        assert short.headers.keys() == long.headers.keys()
        assert int(short.headers["content-length"]) == len(short.body)


def test_how_the_line_moves_is_the_same_both_ways(line):
    event, _ = line

    short = Asked(f"/api/v1/queue/serving/{event.pk}")
    long = Asked(f"/api/v1/queue/serving/{event.pk}/")

    assert (short.long, long.long) == (0, 1)
    assert short.body == long.body
    assert short.headers.keys() == long.headers.keys()
    assert {n: v for n, v in short.headers.items() if n not in OWN} == {
        n: v for n, v in long.headers.items() if n not in OWN
    }


def test_nothing_new_is_304_both_ways(line):
    event, crowd = line
    given = {"HTTP_AUTHORIZATION": bearer(crowd[0])}
    tag = Asked("/api/v1/queue/status", f"eventId={event.pk}", **given).headers["etag"]

    short = Asked("/api/v1/queue/status", f"eventId={event.pk}", HTTP_IF_NONE_MATCH=tag, **given)
    long = Asked("/api/v1/queue/status/", f"eventId={event.pk}", HTTP_IF_NONE_MATCH=tag, **given)

    assert (short.status, short.body, short.long) == (304, b"", 0)
    assert (long.status, long.body) == (304, b"")
    assert long.headers["etag"] == short.headers["etag"] == tag


@pytest.mark.parametrize("case", ["nobody", "forged", "expired", "stranger", "no event", "bad event", "no line"])
def test_what_is_refused_is_refused_the_long_way(line, case):
    event, (person, *_) = line
    past = timezone.now() - timezone.timedelta(days=1)
    token = {
        "nobody": "",
        "forged": bearer(person)[:-3] + "abc",
        "expired": bearer(person, past),
        "stranger": bearer(UserFactory()),
    }
    query = {"no event": "", "bad event": "eventId=7", "no line": f"eventId={uuid4()}"}

    asked = Asked(
        "/api/v1/queue/status",
        query.get(case, f"eventId={event.pk}"),
        HTTP_AUTHORIZATION=token.get(case, bearer(person)),
    )

    assert asked.long == 1
    assert asked.status in {400, 401, 404}
    assert json.loads(asked.body)["code"]


def test_other_origins_methods_and_plain_http_go_the_long_way(line, settings):
    event, (person, *_) = line
    path, given = f"/api/v1/queue/serving/{event.pk}", {"HTTP_AUTHORIZATION": bearer(person)}

    assert Asked(path, HTTP_ORIGIN="https://elsewhere.test", **given).long == 1
    assert Asked(path, REQUEST_METHOD="OPTIONS", **given).long == 1
    assert Asked("/api/v1/queue/serving/7").status == 400
    settings.SECURE_SSL_REDIRECT = True
    assert Asked(path, **given).long == 1
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    assert Asked(path, HTTP_X_FORWARDED_PROTO="https").long == 0
    assert Asked(path, HTTP_X_FORWARDED_PROTO="http").long == 1


def test_a_token_ends_on_the_short_way_too(line, monkeypatch):
    event, (person, *_) = line
    given = {"HTTP_AUTHORIZATION": bearer(person)}
    assert Asked("/api/v1/queue/status", f"eventId={event.pk}", **given).long == 0

    now = quick.time.time()
    monkeypatch.setattr(quick.time, "time", lambda: now + 100_000)

    assert Asked("/api/v1/queue/status", f"eventId={event.pk}", **given).long == 1


def test_the_short_way_asks_no_database_and_redis_once(line, django_assert_num_queries, count_redis_calls):
    event, crowd = line
    given = {"HTTP_AUTHORIZATION": bearer(crowd[1])}

    with django_assert_num_queries(0), count_redis_calls() as calls:
        Asked("/api/v1/queue/status", f"eventId={event.pk}", **given)

    assert calls == ["EVALSHA"]
