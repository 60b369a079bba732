"""The pages of no app: words, errors, the development mailbox."""

import json

import pytest
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings
from django.urls import path

from common.models import SentMail
from config import urls

pytestmark = pytest.mark.django_db
ERRORS = {
    "bad": SuspiciousOperation("x"),
    "forbidden": PermissionDenied(),
    "broken": RuntimeError("the secret reason"),
    "busy": OperationalError("the server closed the connection"),
}


def fail(request: HttpRequest, kind: str) -> HttpResponse:
    raise ERRORS[kind]


urlpatterns = [path("fail/<str:kind>", fail), *urls.urlpatterns]
handler400, handler403, handler404, handler500 = urls.handler400, urls.handler403, urls.handler404, urls.handler500


@pytest.mark.parametrize(
    ("kind", "status", "words"),
    [
        ("bad", 400, "We couldn’t read that request"),
        ("forbidden", 403, "This page isn’t open to you"),
        ("broken", 500, "Something broke on our side"),
        ("busy", 503, "We’re very busy"),
    ],
)
def test_every_failure_has_a_page_of_ours_that_gives_nothing_away(kind: str, status: int, words: str) -> None:
    client = Client(raise_request_exception=False)

    with override_settings(ROOT_URLCONF=__name__, DEBUG=False):
        answer = client.get(f"/fail/{kind}")

    html = answer.content.decode()
    assert answer.status_code == status
    assert words in html
    assert "secret" not in html
    assert (answer.get("Retry-After"), answer.get("Refresh")) == (("5", "5") if status == 503 else (None, None))


def test_a_form_that_met_an_overload_is_not_sent_again_by_itself() -> None:
    client = Client(raise_request_exception=False)

    with override_settings(ROOT_URLCONF=__name__, DEBUG=False):
        answer = client.post("/fail/busy")

    assert (answer.status_code, answer["Retry-After"], answer.has_header("Refresh")) == (503, "5", False)


@pytest.mark.parametrize("address", ["/nothing-here", "/events/not-an-id", "/tickets/", "/bookings/1"])
@pytest.mark.parametrize("debug", [True, False])
def test_an_unknown_address_has_a_page_that_leads_on(client: Client, address: str, debug: bool) -> None:
    with override_settings(DEBUG=debug):
        answer = client.get(address)

    assert answer.status_code == 404
    assert "This seat doesn’t exist" in answer.content.decode()


def test_an_unknown_address_of_the_api_is_json(client: Client) -> None:
    answer = client.get("/api/v1/nothing-here")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("name", ["help", "privacy", "accessibility"])
def test_pages_of_words_are_linked_from_every_page(client: Client, name: str) -> None:
    assert f'href="/{name}"' in client.get("/").content.decode()
    assert client.get(f"/{name}").status_code == 200


def test_the_help_says_the_limits_that_are_set(client: Client, settings: object) -> None:
    settings.HOLD_SECONDS, settings.CANCEL_UNTIL_HOURS = 900, 48

    html = client.get("/help").content.decode()

    assert "for 15 minutes" in html
    assert "until 48 hours before" in html


@override_settings(DEBUG=True)
def test_the_mailbox_lists_newest_first_and_filters(client: Client) -> None:
    SentMail.objects.create(to="a@example.test", subject="First", text="One <b>")
    SentMail.objects.create(to="b@example.test", subject="Second", text="Two")

    everything = client.get("/dev/mail", headers={"Accept": "application/json"}).json()
    some = json.loads(client.get("/dev/mail?to=A@example.test", headers={"Accept": "application/json"}).content)
    html = client.get("/dev/mail", headers={"Accept": "text/html"}).content.decode()

    assert [mail["subject"] for mail in everything] == ["Second", "First"]
    assert [sorted(mail) for mail in some] == [["sentAt", "subject", "text", "to"]]
    assert some[0]["text"] == "One <b>"
    assert "One &lt;b&gt;" in html


def test_there_is_no_mailbox_without_debug(client: Client) -> None:
    SentMail.objects.create(to="a@example.test", subject="First", text="One")

    with override_settings(DEBUG=False):
        answer = client.get("/dev/mail", headers={"Accept": "application/json"})

    assert answer.status_code == 404
    assert b"First" not in answer.content


def test_the_site_says_that_it_is_in_test_mode(client: Client) -> None:
    assert "Test mode: no real money" in client.get("/").content.decode()
    with override_settings(PAYMENTS_SANDBOX=False):
        assert "Test mode" not in client.get("/help").content.decode()
