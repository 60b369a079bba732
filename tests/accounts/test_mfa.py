"""The second factor of staff: setting it up, proving it, replays, recovery, reset, at the pages, the admin and the API."""

import re
from datetime import timedelta

import pyotp
import pytest
from django.core.management import CommandError, call_command
from django.db.models import F
from django.test import Client
from django.utils import timezone

from accounts import second_factor, services
from accounts.models import Authenticator, Notification, RecoveryCode, StaffAction, TokenFamily
from accounts.second_factor import ProofTooOld
from accounts.services.mfa import AlreadyEnrolled, MayNotRemove, NothingBegun, OwnFactor, TooManyCodes, WrongCode
from accounts.services.profiles import NotYours
from accounts.services.roles import ReasonMissing
from accounts.services.sessions import StaffOnly
from common.errors import Unavailable
from tests.races import errors, race, results

PASSWORD = "velvet-otter-91"
PROVE, SET_UP, APP = "/staff/second-factor", "/staff/second-factor/set-up", "/staff/second-factor/app"
ADMIN_LOGIN = "/api/v1/auth/admin-login"

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(user_factory):
    return user_factory(email="staff@example.com", password=PASSWORD, is_staff=True)


@pytest.fixture
def owner(user_factory):
    return user_factory(email="owner@example.com", password=PASSWORD, is_staff=True, role="owner")


def code_of(secret, steps=0):
    return pyotp.TOTP(secret).at(timezone.now() + timedelta(seconds=30 * steps))


def now():
    return timezone.now().timestamp()


def enrol(user):
    """Set a second factor up and return its secret and recovery codes; the code used counts as the one before now's."""
    secret = services.begin_enrolment(user_id=user.pk, proven_at=now())
    codes = services.confirm_enrolment(user_id=user.pk, code=code_of(secret), proven_at=now())
    Authenticator.objects.filter(user_id=user.pk).update(last_step=F("last_step") - 1)
    return secret, codes


def test_secret_is_sealed_and_recovery_codes_are_hashes(staff):
    secret, codes = enrol(staff)

    held = Authenticator.objects.get()
    assert secret not in held.secret_sealed
    assert len(set(codes)) == 10
    assert not {code.replace("-", "") for code in codes} & set(RecoveryCode.objects.values_list("code_hash", flat=True))
    assert StaffAction.objects.get().action == "set_up_mfa"


def test_code_works_once_and_no_older_one_after_it(staff):
    secret, _ = enrol(staff)
    code = code_of(secret)

    services.check_code(user_id=staff.pk, code=f" {code[:3]} {code[3:]} ")

    for again in (code, code_of(secret, -1)):
        with pytest.raises(WrongCode):
            services.check_code(user_id=staff.pk, code=again)
    services.check_code(user_id=staff.pk, code=code_of(secret, 1))


@pytest.mark.parametrize("code", ["", "000000x", "12345", "١٢٣٤٥٦", "'; --", "abcde-fghij"])
def test_what_is_no_code_is_refused(staff, code):
    enrol(staff)
    with pytest.raises(WrongCode):
        services.check_code(user_id=staff.pk, code=code)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("kind", "table"), [("app", "accounts_authenticator"), ("recovery", "accounts_recoverycode")])
def test_of_many_with_one_code_the_database_lets_one_in(user_factory, settings, kind, table):
    settings.MFA_TRIES = 100
    staff = user_factory(is_staff=True)
    secret, codes = enrol(staff)
    code = code_of(secret) if kind == "app" else codes[0]

    outcomes = race([lambda: services.check_code(user_id=staff.pk, code=code)] * 6, gate=table)

    assert len(results(outcomes)) == 1
    assert [type(error) for error in errors(outcomes)] == [WrongCode] * 5


@pytest.mark.django_db(transaction=True)
def test_looking_first_and_writing_then_lets_several_in(user_factory):
    staff = user_factory(is_staff=True)
    enrol(staff)
    step = Authenticator.objects.get().last_step + 1

    def naive():
        held = Authenticator.objects.get(pk=staff.pk)
        if held.last_step >= step:
            raise WrongCode
        held.last_step = step
        held.save(update_fields=["last_step"])
        return True

    assert len(results(race([naive] * 6, gate="accounts_authenticator"))) > 1


def test_recovery_code_works_once_however_it_is_typed(staff):
    _, codes = enrol(staff)

    services.check_code(user_id=staff.pk, code=codes[0].upper().replace("-", " "))

    assert services.codes_left(user_id=staff.pk) == 9
    with pytest.raises(WrongCode):
        services.check_code(user_id=staff.pk, code=codes[0])


def test_nobody_elses_recovery_code_works(staff, owner):
    _, codes = enrol(staff)
    enrol(owner)
    with pytest.raises(WrongCode):
        services.check_code(user_id=owner.pk, code=codes[0])


def test_wrong_codes_are_counted_and_right_ones_not(staff, settings):
    settings.MFA_TRIES = 3
    secret, codes = enrol(staff)
    for code in codes[:4]:
        services.check_code(user_id=staff.pk, code=code)
    for _ in range(3):
        with pytest.raises(WrongCode):
            services.check_code(user_id=staff.pk, code="000000")
    with pytest.raises(TooManyCodes):
        services.check_code(user_id=staff.pk, code=code_of(secret))


def test_nobody_gets_in_while_codes_can_not_be_counted(staff, monkeypatch):
    from redis.exceptions import ConnectionError as RedisAway

    from common import ratelimit

    secret, _ = enrol(staff)

    def away(*_, **__):
        raise RedisAway("away")

    monkeypatch.setattr(ratelimit, "take", away)
    with pytest.raises(Unavailable):
        services.check_code(user_id=staff.pk, code=code_of(secret))


def test_only_staff_set_it_up_and_only_once(staff, user_factory):
    with pytest.raises(StaffOnly):
        services.begin_enrolment(user_id=user_factory().pk, proven_at=now())
    with pytest.raises(NothingBegun):
        services.confirm_enrolment(user_id=staff.pk, code="000000", proven_at=now())
    enrol(staff)
    with pytest.raises(AlreadyEnrolled):
        services.begin_enrolment(user_id=staff.pk, proven_at=now())


def test_owner_resets_with_a_reason_and_every_session_ends(staff, owner, user_factory):
    enrol(staff)
    services.open_session(user=staff, second_factor_at=timezone.now())
    with pytest.raises(NotYours):
        services.reset_mfa(actor=user_factory(is_staff=True), user_id=staff.pk, reason="Lost telephone")
    with pytest.raises(ReasonMissing):
        services.reset_mfa(actor=owner, user_id=staff.pk, reason="  ")
    with pytest.raises(OwnFactor):
        services.reset_mfa(actor=owner, user_id=owner.pk, reason="Lost telephone")

    assert services.reset_mfa(actor=owner, user_id=staff.pk, reason="Lost telephone")

    assert not Authenticator.objects.exists()
    assert not RecoveryCode.objects.exists()
    family = TokenFamily.objects.get()
    assert (family.revoked_because, family.second_factor_at) == ("mfa reset", None)
    kept = StaffAction.objects.get(action="reset_mfa")
    assert (kept.actor, kept.reason) == (owner, "Lost telephone")


def test_operator_resets_at_the_command_line(staff, capsys):
    enrol(staff)

    call_command("reset_mfa", " STAFF@example.com")

    assert "is removed" in capsys.readouterr().out
    assert not Authenticator.objects.exists()
    with pytest.raises(CommandError):
        call_command("reset_mfa", "nobody@example.com")


def test_erasing_takes_the_second_factor_along(staff):
    enrol(staff)
    services.erase_user(user_id=staff.pk)
    assert (Authenticator.objects.count(), RecoveryCode.objects.count()) == (0, 0)


# -- The admin and its pages ------------------------------------------------------------------------------------------


def logged_in():
    client = Client()
    client.post("/admin/login/", {"username": "staff@example.com", "password": PASSWORD, "next": "/admin/"})
    return client


def test_admin_asks_for_the_second_factor_and_remembers_it_for_hours(staff, settings):
    secret, _ = enrol(staff)
    client = logged_in()

    refused = client.get("/admin/bookings/booking/?q=x")
    assert (refused.status_code, refused.headers["Location"]) == (
        302,
        f"{PROVE}?next=%2Fadmin%2Fbookings%2Fbooking%2F%3Fq%3Dx",
    )
    wrong = client.post(PROVE, {"code": "000000", "next": "/admin/"})
    assert wrong.status_code == 401
    assert "does not work" in wrong.content.decode()
    right = client.post(PROVE, {"code": code_of(secret), "next": "/admin/bookings/booking/"})
    assert (right.status_code, right.headers["Location"]) == (302, "/admin/bookings/booking/")
    assert client.get("/admin/bookings/booking/").status_code == 200

    settings.STAFF_MFA_SECONDS = 0
    assert client.get("/admin/").headers["Location"].startswith(PROVE)


def test_admin_leads_nowhere_else(staff):
    secret, _ = enrol(staff)
    reply = logged_in().post(PROVE, {"code": code_of(secret), "next": "https://evil.example/"})
    assert reply.headers["Location"] == "/admin/"


def test_post_to_the_admin_does_nothing_without_the_factor(staff, user_factory):
    enrol(staff)
    ana = user_factory(name="Ana")
    path = f"/admin/accounts/user/{ana.pk}/profile"

    reply = logged_in().post(path, {"_form_submitted": "1", "name": "Eve", "phone": "", "reason": "x"})

    ana.refresh_from_db()
    assert (reply.status_code, ana.name) == (302, "Ana")


def test_pages_outside_the_admin_give_no_rights_of_staff_either(staff):
    from tests.factories import TicketCategoryFactory

    secret, _ = enrol(staff)
    event = TicketCategoryFactory().event
    client = logged_in()
    page = f"/organiser/events/{event.pk}"

    assert client.get(page).status_code in {403, 404}
    client.post(PROVE, {"code": code_of(secret)})
    assert client.get(page).status_code == 200


def test_drafts_of_others_are_seen_by_staff_with_their_factor_alone(staff, api, settings):
    from tests.factories import TicketCategoryFactory

    secret, _ = enrol(staff)
    event = TicketCategoryFactory(event__status="draft").event
    client, page, door = logged_in(), f"/events/{event.pk}", f"/api/v1/events/{event.pk}"
    without = services.open_session(user=staff)
    proven = services.open_session(user=staff, second_factor_at=timezone.now())

    assert client.get(page).status_code == 404
    assert bearer(api, without).get(door).status == 404
    assert bearer(api, proven).get(door).status == 200
    assert bearer(api, without).get(door).status == 404
    client.post(PROVE, {"code": code_of(secret)})
    assert client.get(page).status_code == 200
    settings.STAFF_MFA_SECONDS = 0
    assert client.get(page).status_code == 404
    settings.STAFF_MFA = "off"
    assert client.get(page).status_code == 200


def test_required_locks_the_admin_until_it_is_set_up(staff, settings):
    settings.STAFF_MFA = "required"
    client = logged_in()
    assert client.get("/admin/").headers["Location"].startswith(SET_UP)

    assert "begin" in client.get(SET_UP).content.decode().lower()
    assert client.get(APP).status_code == 200  # asks for the password too
    assert client.post(SET_UP, {"do": "app"}).status_code == 400
    assert client.post(SET_UP, {"password": "wrong-otter-00"}).status_code == 400
    client.post(SET_UP, {"password": PASSWORD})
    assert "Choose your second factor" in client.get(SET_UP).content.decode()
    assert client.post(SET_UP, {"do": "app"}).headers["Location"] == APP
    page = client.get(APP).content.decode()
    secret = re.search(r'class="mfa-secret">([^<]+)<', page).group(1).replace(" ", "")
    assert "<svg" in page
    assert client.post(APP, {"code": "000000"}).status_code == 400
    done = client.post(APP, {"code": code_of(secret)}).content.decode()

    assert len(re.findall(r"<code>\w{5}-\w{5}</code>", done)) == 10
    assert client.get("/admin/").status_code == 200
    assert client.get(APP).headers["Location"] == SET_UP
    with pytest.raises(MayNotRemove):
        services.remove_authenticator(user_id=staff.pk, proven_at=now())
    assert "last one" in client.post(SET_UP, {"do": "remove-app"}).content.decode()


def test_password_of_who_sets_it_up_is_not_guessed(staff, settings):
    settings.LOGIN_TRIES = 3
    client = logged_in()

    answers = [client.post(SET_UP, {"password": "wrong-otter-00"}).status_code for _ in range(4)]

    assert answers == [400, 400, 400, 429]


def test_codes_are_renewed_and_the_factor_removed_by_who_proved_it_lately(staff):
    secret, _ = enrol(staff)
    client, other = logged_in(), logged_in()
    for one, code in ((client, code_of(secret)), (other, code_of(secret, 1))):
        assert one.get(SET_UP).headers["Location"].startswith(PROVE)
        one.post(PROVE, {"code": code, "next": SET_UP})

    page = client.post(SET_UP, {"do": "renew"}).content.decode()
    assert len(re.findall(r"<code>(\w{5}-\w{5})</code>", page)) == 10
    assert client.post(SET_UP, {"do": "remove-app"}).headers["Location"] == "/profile"

    assert (Authenticator.objects.count(), RecoveryCode.objects.count()) == (0, 0)
    assert client.get("/admin/").status_code == 200
    assert other.get("/admin/").headers["Location"].startswith("/admin/login/")
    assert list(StaffAction.objects.order_by("id").values_list("action", flat=True)) == [
        "set_up_mfa",
        "renew_recovery_codes",
        "remove_mfa",
    ]


def test_nothing_is_changed_long_after_the_factor_was_proven(staff, settings):
    secret, codes = enrol(staff)
    client = logged_in()
    client.post(PROVE, {"code": code_of(secret)})
    settings.STAFF_RECENT_SECONDS = 0

    for wish in ("renew", "remove-app", "app"):
        assert client.post(SET_UP, {"do": wish}).headers["Location"].startswith(PROVE)
    for change in (services.begin_enrolment, services.renew_recovery_codes, services.remove_authenticator):
        with pytest.raises(ProofTooOld):
            change(user_id=staff.pk, proven_at=now())
    assert client.get("/admin/").status_code == 200
    services.check_code(user_id=staff.pk, code=codes[0])


def test_person_is_told_of_every_change(staff, owner):
    _, codes = enrol(staff)
    services.check_code(user_id=staff.pk, code=codes[0])
    services.renew_recovery_codes(user_id=staff.pk, proven_at=now())
    services.remove_authenticator(user_id=staff.pk, proven_at=now())
    enrol(staff)
    services.reset_mfa(actor=owner, user_id=staff.pk, reason="Lost telephone")

    told = Notification.objects.filter(user=staff).order_by("created_at", "id").values_list("kind", flat=True)
    assert sorted(told) == [
        "factor_added",
        "factor_added",
        "factor_removed",
        "factor_removed",
        "recovery_code_used",
        "recovery_codes_renewed",
    ]


@pytest.mark.parametrize("mode", ["optional", "off"])
def test_pages_are_not_there_for_others(client_for, user_factory, settings, mode):
    settings.STAFF_MFA = mode
    person = user_factory(is_staff=mode == "off")
    assert {client_for(person).get(path).status_code for path in (PROVE, SET_UP)} == {404}
    assert Client().get(PROVE).status_code == 302


def test_way_to_the_factors_is_shown_where_there_are_any(staff, client_for, user_factory, settings):
    assert SET_UP in client_for(staff).get("/profile").content.decode()
    assert SET_UP not in client_for(user_factory()).get("/profile").content.decode()
    settings.STAFF_MFA = "off"
    assert SET_UP not in client_for(staff).get("/profile").content.decode()


def test_off_asks_nobody(staff, settings):
    enrol(staff)
    settings.STAFF_MFA = "off"
    assert logged_in().get("/admin/").status_code == 200


def test_session_of_somebody_else_proves_nothing(staff, owner):
    secret, _ = enrol(staff)
    client = logged_in()
    client.post(PROVE, {"code": code_of(secret)})
    session = client.session
    session[second_factor.SESSION] = session[second_factor.SESSION] | {"user": str(owner.pk)}
    session.save()

    assert client.get("/admin/").status_code == 302


# -- The API ----------------------------------------------------------------------------------------------------------


def test_admin_login_takes_the_code(api, staff):
    secret, _ = enrol(staff)
    login = {"email": staff.email, "password": PASSWORD}

    assert api.post(ADMIN_LOGIN, login).body["code"] == "mfa_required"
    assert api.post(ADMIN_LOGIN, login | {"otp": "000000"}).body["code"] == "mfa_wrong_code"
    code = code_of(secret)
    status, body = api.post(ADMIN_LOGIN, login | {"otp": code})
    assert status == 200
    assert api.post(ADMIN_LOGIN, login | {"otp": code}).status == 401
    assert (
        api.post(ADMIN_LOGIN, login | {"password": "wrong-otter", "otp": code_of(secret, 1)}).body["code"]
        == "wrong_login"
    )
    assert TokenFamily.objects.get().second_factor_at is not None
    assert body["data"]


def bearer(api, tokens):
    return api.with_token(tokens.access)


def test_doors_of_staff_ask_for_it_and_refreshing_keeps_it(api, staff, settings):
    enrol(staff)
    door = "/api/v1/users"
    without = services.open_session(user=staff)
    proven = services.open_session(user=staff, second_factor_at=timezone.now())

    status, body = bearer(api, without).get(door)
    assert (status, body["code"]) == (403, "mfa_required")
    assert bearer(api, without).get("/api/v1/auth/profile").status == 200
    assert bearer(api, proven).get(door).status == 200
    assert bearer(api, services.rotate_refresh_token(token=proven.refresh)).get(door).status == 200

    old = services.open_session(user=staff, second_factor_at=timezone.now() - timedelta(hours=12, seconds=1))
    assert bearer(api, old).get(door).body["code"] == "mfa_required"


def test_required_and_not_set_up_says_so(api, staff, settings):
    settings.STAFF_MFA = "required"
    login = {"email": staff.email, "password": PASSWORD}

    assert api.post(ADMIN_LOGIN, login).body["code"] == "mfa_not_set_up"
    assert bearer(api, services.open_session(user=staff)).get("/api/v1/users").body["code"] == "mfa_not_set_up"
