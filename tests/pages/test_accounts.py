"""Signing up, logging in and one's own data as pages, without a browser."""

from urllib.parse import quote

import pytest
from django.conf import settings
from django.test import Client

from accounts.models import User
from events.models import Event
from tests.accounts.mailbox import code_for, mails_to, newest_mail_to, other_code, reset_token_for
from tests.factories import PASSWORD, UserFactory
from tests.pages.scenes import buy, hold

pytestmark = pytest.mark.django_db
STRONG = "green river stones"


@pytest.fixture(autouse=True)
def _recorded_mails(settings: object) -> None:
    settings.EMAIL_BACKEND = "common.mail.RecordedEmailBackend"


def sign_up(client: Client, email: str = "new@example.test", **rest: str) -> object:
    return client.post("/signup", {"email": email, "password": STRONG, "name": "Nora"} | rest)


def test_a_mailed_code_opens_the_account_and_leads_where_one_wanted_to_go(client: Client) -> None:
    assert sign_up(client, next="/help")["Location"] == "/signup/code"
    assert "new@example.test" in client.get("/signup/code").content.decode()

    answer = client.post("/signup/code", {"otp": code_for("new@example.test")})

    assert answer["Location"] == "/help"
    assert User.objects.get(email="new@example.test").name == "Nora"
    assert client.get("/profile").status_code == 200


def test_known_and_unknown_addresses_look_the_same(client: Client, ana: User) -> None:
    known = sign_up(client, email=ana.email)
    unknown = sign_up(Client())

    assert (known.status_code, known["Location"]) == (unknown.status_code, unknown["Location"])
    assert "account" in newest_mail_to(ana.email).text


def test_a_wrong_code_says_how_many_tries_are_left_and_keeps_what_was_typed(client: Client) -> None:
    sign_up(client)
    right = code_for("new@example.test")
    wrong = other_code(right)

    answer = client.post("/signup/code", {"otp": wrong})

    html = answer.content.decode()
    assert answer.status_code == 400
    assert "<title>Error: Enter the code from your mail – Fairseat</title>" in html
    assert "4 tries left" in html
    assert f'value="{wrong}"' in html
    assert 'aria-invalid="true"' in html


def test_after_too_many_tries_only_a_new_code_helps(client: Client) -> None:
    sign_up(client)
    right = code_for("new@example.test")
    for _ in range(settings.OTP_MAX_TRIES):
        client.post("/signup/code", {"otp": other_code(right)})

    answer = client.post("/signup/code", {"otp": right})

    assert answer.status_code == 429
    assert "Too many wrong codes." in answer.content.decode()
    assert not User.objects.filter(email="new@example.test").exists()


def test_a_new_code_can_be_asked_for_but_not_at_once(client: Client) -> None:
    sign_up(client)

    answer = client.post("/signup/again", follow=True)

    assert answer.redirect_chain == [("/signup/code", 302)]
    assert "We sent a mail to this address a moment ago." in answer.content.decode()


def test_a_code_page_without_a_sign_up_leads_to_it(client: Client) -> None:
    assert client.get("/signup/code")["Location"] == "/signup"
    assert client.post("/signup/again")["Location"] == "/signup"


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"email": "nonsense"}, "id_email"), ({"password": "short"}, "id_password"), ({"email": ""}, "id_email")],
)
def test_a_sign_up_that_can_not_be_names_the_field(client: Client, changes: dict, field: str) -> None:
    answer = sign_up(client, **changes)

    html = answer.content.decode()
    assert answer.status_code == 400
    assert f'href="#{field}"' in html
    assert f'id="{field}_error"' in html
    assert 'value="Nora"' in html
    assert STRONG not in html


def test_logging_in_leads_to_the_tickets_or_where_one_was(client: Client, ana: User) -> None:
    assert client.post("/login", {"email": "ANA@example.test ", "password": PASSWORD})["Location"] == "/tickets"
    other = Client()
    assert other.post("/login", {"email": ana.email, "password": PASSWORD, "next": "/help"})["Location"] == "/help"


@pytest.mark.parametrize(
    "elsewhere",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)", "help"],
)
def test_logging_in_never_leads_away_from_the_site(client: Client, ana: User, elsewhere: str) -> None:
    answer = client.post("/login", {"email": ana.email, "password": PASSWORD, "next": elsewhere})

    assert answer["Location"] == "/tickets"
    assert client.get(f"/login?next={quote(elsewhere)}")["Location"] == "/tickets"


def test_a_wrong_password_and_an_unknown_address_say_the_same(client: Client, ana: User) -> None:
    wrong = client.post("/login", {"email": ana.email, "password": "something else"})
    unknown = client.post("/login", {"email": "who@example.test", "password": "something else"})

    for answer, email in ((wrong, ana.email), (unknown, "who@example.test")):
        html = answer.content.decode()
        assert answer.status_code == 401
        assert "That email address and password do not match an account." in html
        assert f'value="{email}"' in html


def test_guessing_is_slowed_down_in_words(client: Client, ana: User, settings: object) -> None:
    for _ in range(settings.LOGIN_TRIES):
        client.post("/login", {"email": ana.email, "password": "something else"})

    answer = client.post("/login", {"email": ana.email, "password": PASSWORD})

    assert answer.status_code == 429
    assert "Too many wrong passwords" in answer.content.decode()


def test_knocking_too_often_shows_the_page_that_says_how_long_to_wait(
    client: Client, ana: User, settings: object
) -> None:
    settings.THROTTLES = settings.THROTTLES | {"auth": ((1, 60), (1, 60), True)}
    client.post("/login", {"email": ana.email, "password": "x"})

    answer = client.post("/login", {"email": ana.email, "password": "x"})

    assert answer.status_code == 429
    assert 1 <= int(answer["Retry-After"]) <= 60
    assert "You can try again in" in answer.content.decode()


def test_logging_in_makes_a_new_session(client: Client, ana: User) -> None:
    sign_up(client)
    before = client.session.session_key

    client.post("/login", {"email": ana.email, "password": PASSWORD})

    assert client.session.session_key != before


def test_logging_out_is_asked_for_and_then_done(client_for, ana: User) -> None:
    client = client_for(ana)

    assert "Log out?" in client.get("/logout").content.decode()
    assert client.get("/profile").status_code == 200
    answer = client.post("/logout", follow=True)

    assert "You’re logged out." in answer.content.decode()
    assert client.get("/profile").status_code == 302


def test_a_forgotten_password_is_set_anew_by_a_mailed_link_once(client: Client, ana: User) -> None:
    sent = client.post("/forgot", {"email": ana.email}).content.decode()
    link = f"/reset/{reset_token_for(ana.email)}"

    form = client.get(link)
    answer = client.post(link, {"password": STRONG})

    assert "Look in your mailbox" in sent
    assert form.status_code == 200
    assert answer["Location"] == "/login"
    assert client.post("/login", {"email": ana.email, "password": STRONG}).status_code == 302
    assert client.get(link).status_code == 410
    assert client.post(link, {"password": STRONG}).status_code == 410


def test_asking_for_a_link_says_the_same_for_unknown_addresses(client: Client) -> None:
    answer = client.post("/forgot", {"email": "who@example.test"})

    assert "Look in your mailbox" in answer.content.decode()
    assert mails_to("who@example.test") == []


def test_a_weak_new_password_is_refused_and_the_link_stays_good(client: Client, ana: User) -> None:
    client.post("/forgot", {"email": ana.email})
    link = f"/reset/{reset_token_for(ana.email)}"

    answer = client.post(link, {"password": "short"})

    assert answer.status_code == 400
    assert 'href="#id_password"' in answer.content.decode()
    assert client.get(link).status_code == 200


def test_name_and_phone_can_be_changed(client_for, ana: User) -> None:
    answer = client_for(ana).post("/profile", {"name": "Ana S.", "phone": "+49 30 1234567"}, follow=True)

    ana.refresh_from_db()
    assert (ana.name, ana.phone) == ("Ana S.", "+49 30 1234567")
    assert "Saved." in answer.content.decode()


def test_a_phone_number_must_look_like_one(client_for, ana: User) -> None:
    answer = client_for(ana).post("/profile", {"name": "Ana", "phone": "call me"})

    assert answer.status_code == 400
    assert "Write a telephone number" in answer.content.decode()


def test_a_changed_password_ends_other_sessions_but_not_this_one(client_for, ana: User) -> None:
    client, other = client_for(ana), client_for(ana)

    answer = client.post("/profile/password", {"current": PASSWORD, "password": STRONG}, follow=True)

    assert "Your password is changed." in answer.content.decode()
    assert client.get("/profile").status_code == 200
    assert other.get("/profile").status_code == 302


def test_changing_the_password_needs_the_present_one(client_for, ana: User) -> None:
    answer = client_for(ana).post("/profile/password", {"current": "something else", "password": STRONG})

    assert answer.status_code == 400
    assert 'href="#id_current"' in answer.content.decode()


def test_an_account_with_tickets_to_come_is_deleted_only_with_them(client_for, ana: User, concert: Event) -> None:
    buy(ana, concert)
    client = client_for(ana)

    refused = client.post("/profile/delete", {"password": PASSWORD})
    assert refused.status_code == 409
    assert "You have tickets for events to come." in refused.content.decode()
    answer = client.post("/profile/delete", {"password": PASSWORD, "cancel": "on"})

    ana.refresh_from_db()
    assert "Your account is deleted" in answer.content.decode()
    assert (ana.name, ana.is_active, ana.erased_at is None) == ("", False, False)
    assert client.get("/profile").status_code == 302


def test_deleting_needs_the_password(client_for, ana: User, concert: Event) -> None:
    hold(ana, concert)

    answer = client_for(ana).post("/profile/delete", {"password": "something else"})

    ana.refresh_from_db()
    assert answer.status_code == 400
    assert ana.erased_at is None


def test_members_are_not_shown_the_forms_of_strangers(client_for, ana: User) -> None:
    client = client_for(ana)

    assert client.get("/login")["Location"] == "/tickets"
    assert client.get("/signup?next=/help")["Location"] == "/help"


def test_only_staff_see_the_way_to_the_staff_area(client_for, ana: User) -> None:
    assert "/admin/" not in client_for(ana).get("/profile").content.decode()
    assert "/admin/" in client_for(UserFactory(is_staff=True)).get("/profile").content.decode()
