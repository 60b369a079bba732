"""One's own profile, people as staff see them, erasure, and the audit."""

from uuid import uuid4

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import DatabaseError, transaction

from accounts import services
from accounts.models import KnownAddress, PasswordReset, SignupChallenge, StaffAction, TokenFamily, User
from accounts.services.profiles import NotYours, OwnRights
from common.errors import Conflict, NotFound
from common.models import OutboxMessage, SentMail
from tests.accounts.mailbox import code_for, mails_to

PASSWORD = "velvet-otter-91"
PROFILE = "/api/v1/auth/profile"
PROTECTED = ["isStaff", "is_staff", "isSuperuser", "role", "sessionVersion", "id", "createdAt", "password", "groups"]

pytestmark = pytest.mark.django_db


@pytest.fixture
def ana(user_factory):
    return user_factory(email="ana@example.com", name="Ana", password=PASSWORD)


@pytest.fixture
def staff(user_factory):
    return user_factory(email="staff@example.com", is_staff=True)


@pytest.fixture
def administrator(user_factory):
    return user_factory(email="root@example.com", is_staff=True, is_superuser=True)


# -- One's own profile ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_profile_changes_name_and_phone(api, ana, method):
    mine = api.as_user(ana)

    status, body = mine.send(method, PROFILE, {"name": " Ana Maria ", "phone": "+49 30 1234"})

    assert status == 200
    assert (body["data"]["name"], body["data"]["phone"]) == ("Ana Maria", "+49 30 1234")
    assert mine.get(PROFILE).body["data"] == body["data"]
    assert mine.patch(PROFILE, {"name": "Ana"}).body["data"]["phone"] == "+49 30 1234"


@pytest.mark.parametrize("field", [*PROTECTED, "isActive", "isOrganiser"])
def test_profile_refuses_what_the_server_decides(api, ana, field):
    status, body = api.as_user(ana).put(PROFILE, {"name": "Ana", field: True})

    assert (status, body["code"]) == (400, "protected_field")
    ana.refresh_from_db()
    assert (ana.is_staff, ana.is_organiser, ana.is_superuser, ana.session_version) == (False, False, False, 1)


def test_profile_keeps_the_address(api, ana):
    mine = api.as_user(ana)

    same = mine.put(PROFILE, {"name": "Ana", "email": "ANA@example.com"})
    other = mine.put(PROFILE, {"name": "Ana", "email": "other@example.com"})

    assert same.status == 200
    assert (other.status, other.body["code"]) == (400, "protected_field")


@pytest.mark.parametrize("body", [{"phone": "call me"}, {"name": "x" * 151}, {"name": ["Ana"]}, {"name": "a\0b"}])
def test_profile_refuses_what_is_no_name_or_number(api, ana, body):
    assert api.as_user(ana).patch(PROFILE, body).status == 400


def test_profile_needs_a_session(api):
    assert api.get(PROFILE).status == 401
    assert api.put(PROFILE, {"name": "x"}).status == 401


# -- People, for themselves and for staff -----------------------------------------------------------------------------


def test_person_is_shown_to_themselves_and_to_staff_only(api, ana, staff, user_factory):
    path = f"/api/v1/users/{ana.pk}"

    stranger = api.as_user(user_factory()).get(path)

    assert api.as_user(ana).get(path).body["data"]["email"] == "ana@example.com"
    assert api.as_user(staff).get(path).body["data"]["isActive"] is True
    assert stranger.status == 404
    assert "ana" not in str(stranger.body)
    assert stranger.body == api.as_user(staff).get(f"/api/v1/users/{uuid4()}").body
    assert api.get(path).status == 401


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_malformed_id_is_400(api, staff, method):
    status, body = api.as_user(staff).send(method, "/api/v1/users/abc")

    assert (status, body["message"]) == (400, "Invalid user ID format")


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_stranger_changes_nobody(api, ana, user_factory, method):
    assert api.as_user(user_factory()).send(method, f"/api/v1/users/{ana.pk}", {}).status == 404
    ana.refresh_from_db()
    assert ana.erased_at is None


def test_list_is_for_staff(api, ana, staff):
    assert api.as_user(ana).get("/api/v1/users").status == 403
    assert api.get("/api/v1/users").status == 401
    assert api.as_user(staff).get("/api/v1/users").status == 200


def test_list_is_searched_and_paged(api, staff, user_factory):
    for number in range(5):
        user_factory(email=f"zoe{number}@example.com", name="Zoë")
    user_factory(email="erased-x@erased.invalid", erased_at="2026-01-01T00:00Z")

    status, body = api.as_user(staff).get("/api/v1/users?search=ZO%C3%8B&pageSize=2&page=2")

    assert status == 200
    assert [person["email"] for person in body["data"]] == ["zoe2@example.com", "zoe1@example.com"]
    assert (body["results"], body["pagination"]["count"]) == (2, 5)
    assert body["pagination"]["next"] and body["pagination"]["previous"]
    assert len(api.as_user(staff).get("/api/v1/users").body["data"]) == 6
    assert api.as_user(staff).get("/api/v1/users?search=%00%25'").body["data"] == []


def test_list_takes_the_same_statements_for_one_and_many(api, staff, user_factory, django_assert_num_queries):
    door = api.as_user(staff)
    for _ in range(2):
        with django_assert_num_queries(4):  # who asks, their rights, the count, the page
            door.get("/api/v1/users")
        for _ in range(4):
            user_factory()


def test_passwords_never_leave(api, ana, staff):
    for reply in (
        api.as_user(staff).get("/api/v1/users"),
        api.as_user(staff).get(f"/api/v1/users/{ana.pk}"),
        api.as_user(ana).get(PROFILE),
        api.post("/api/v1/auth/login/email", {"email": ana.email, "password": PASSWORD}),
    ):
        assert "argon2" not in str(reply.body)
        assert "password" not in str(reply.body)


def test_staff_change_a_customer_and_it_is_written_down(api, ana, staff):
    status, body = api.as_user(staff).patch(
        f"/api/v1/users/{ana.pk}", {"name": "Anna", "isOrganiser": True, "reason": "Runs the town hall"}
    )

    assert status == 200
    assert (body["data"]["name"], body["data"]["isOrganiser"]) == ("Anna", True)
    action = StaffAction.objects.get()
    assert (action.actor, action.action, action.object_id) == (staff, "update_user", str(ana.pk))
    assert (action.before, action.after) == (
        {"is_organiser": False},
        {"name": "changed", "is_organiser": True},
    )
    assert action.reason == "Runs the town hall"
    assert len(action.request_id) == 32
    assert "Anna" not in str(StaffAction.objects.values())


def test_closing_an_account_ends_its_sessions(api, ana, staff):
    tokens = services.open_session(user=ana)

    assert api.as_user(staff).patch(f"/api/v1/users/{ana.pk}", {"isActive": False}).status == 200

    assert api.with_token(tokens.access).get(PROFILE).status == 401
    assert api.post("/api/v1/auth/refresh", {"refresh": tokens.refresh}).status == 401


@pytest.mark.parametrize("field", PROTECTED)
def test_staff_give_no_rights_through_the_api(api, ana, staff, field):
    assert api.as_user(staff).patch(f"/api/v1/users/{ana.pk}", {field: True}).body["code"] == "protected_field"


@pytest.mark.parametrize("field", ["isOrganiser", "isActive"])
def test_nobody_changes_their_own_privileges(api, ana, staff, field):
    for person in (ana, staff):
        reply = api.as_user(person).patch(f"/api/v1/users/{person.pk}", {field: True})

        assert (reply.status, reply.body["code"]) == (400, "protected_field")


def test_changing_oneself_by_id_is_a_profile_change(api, ana):
    assert api.as_user(ana).patch(f"/api/v1/users/{ana.pk}", {"name": "Me"}).body["data"]["name"] == "Me"
    assert not StaffAction.objects.exists()


def test_staff_do_not_touch_staff(api, staff, user_factory):
    colleague = user_factory(is_staff=True)
    path = f"/api/v1/users/{colleague.pk}"

    for reply in (api.as_user(staff).patch(path, {"isActive": False}), api.as_user(staff).delete(path)):
        assert (reply.status, reply.body["code"]) == (403, "administrators_only")


def test_only_administrators_make_staff(ana, staff, administrator):
    with pytest.raises(NotYours):
        services.update_user(actor=staff, user_id=ana.pk, is_staff=True)

    assert services.update_user(actor=administrator, user_id=ana.pk, is_staff=True).is_staff


def test_administrators_do_not_change_their_own_rights(administrator):
    with pytest.raises(OwnRights):
        services.update_user(actor=administrator, user_id=administrator.pk, is_superuser=False)


def test_change_that_changes_nothing_is_not_written_down(staff, ana):
    services.update_user(actor=staff, user_id=ana.pk, name="Ana", is_active=True)

    assert not StaffAction.objects.exists()


# -- The audit --------------------------------------------------------------------------------------------------------


def test_audit_can_not_be_altered_or_deleted(staff, ana):
    services.update_user(actor=staff, user_id=ana.pk, is_organiser=True)
    actions = StaffAction.objects.all()

    for attempt in (lambda: actions.update(reason="other"), lambda: actions.delete(), lambda: actions[0].delete()):
        with pytest.raises(DatabaseError, match="Cannot update or delete rows"), transaction.atomic():
            attempt()

    assert StaffAction.objects.get().reason == ""


# -- Erasure ----------------------------------------------------------------------------------------------------------


def test_erasing_oneself_leaves_nothing_of_the_person(api, ana):
    tokens = services.open_session(user=ana)
    services.log_in(email=ana.email, password=PASSWORD, address="203.0.113.7")
    services.start_password_reset(email=ana.email)
    services.start_signup(email=ana.email, password=PASSWORD)
    mails_to(ana.email)
    LogEntry.objects.create(
        user=ana,
        content_type=ContentType.objects.get_for_model(User),
        object_id=str(ana.pk),
        object_repr=ana.email,
        action_flag=CHANGE,
    )

    status, body = api.with_token(tokens.access).delete(f"/api/v1/users/{ana.pk}")

    assert (status, body["data"]) == (200, None)
    erased = User.objects.get(pk=ana.pk)
    assert erased.email.startswith("erased-") and erased.email.endswith("@erased.invalid")
    assert (erased.name, erased.phone, erased.is_active, erased.last_login) == ("", "", False, None)
    assert erased.erased_at is not None
    assert not erased.has_usable_password()
    for model in (TokenFamily, KnownAddress, SignupChallenge, PasswordReset):
        assert not model.objects.exists()
    assert api.with_token(tokens.access).get(PROFILE).status == 401
    assert api.post("/api/v1/auth/refresh", {"refresh": tokens.refresh}).status == 401
    assert LogEntry.objects.get().object_repr == "erased"


def test_erased_persons_address_is_nowhere_after_the_last_mail(api, ana):
    services.start_password_reset(email=ana.email)
    mails_to(ana.email)
    api.as_user(ana).delete(f"/api/v1/users/{ana.pk}")

    assert [sent.subject for sent in mails_to("ana@example.com")] == ["Your account is erased"]

    SentMail.objects.all().delete()  # exists in development only
    rows = [list(model.objects.values()) for model in (User, OutboxMessage, PasswordReset, SignupChallenge)]
    assert "ana@example.com" not in str(rows)


def test_erased_address_signs_up_as_somebody_new(api, ana):
    api.as_user(ana).delete(f"/api/v1/users/{ana.pk}")
    services.start_signup(email="ana@example.com", password=PASSWORD)

    again = services.verify_code(email="ana@example.com", code=code_for("ana@example.com"))

    assert again.pk != ana.pk


def test_erased_person_is_not_found(api, ana, staff):
    services.erase_user(user_id=ana.pk)

    assert api.as_user(staff).get(f"/api/v1/users/{ana.pk}").status == 404
    assert api.as_user(staff).delete(f"/api/v1/users/{ana.pk}").status == 404
    with pytest.raises(NotFound):
        services.update_profile(user_id=ana.pk, name="Ana")


def test_staff_erase_with_a_reason_that_is_kept(api, ana, staff):
    status, _ = api.as_user(staff).delete(f"/api/v1/users/{ana.pk}?reason=Asked%20by%20letter&cancel=true")

    assert status == 200
    action = StaffAction.objects.get()
    assert (action.action, action.reason, action.after) == (
        "erase_user",
        "Asked by letter",
        {"cancelled_bookings": True},
    )


CALLS: list[dict] = []


def note_step(**arguments):
    CALLS.append(arguments)


def refuse_step(**arguments):
    raise Conflict("Not now.")


def test_erasure_calls_every_step_first(settings, ana, staff):
    settings.ERASURE_STEPS = [f"{__name__}.note_step"]
    CALLS.clear()

    services.erase_user(user_id=ana.pk, cancel=True)
    services.erase_user(user_id=staff.pk, actor=staff)

    assert [
        {"user_id": ana.pk, "cancel": True, "by": "buyer"},
        {"user_id": staff.pk, "cancel": False, "by": "buyer"},
    ] == CALLS


def test_a_step_that_refuses_stops_the_erasure(api, settings, ana):
    settings.ERASURE_STEPS = [f"{__name__}.note_step", f"{__name__}.refuse_step"]

    status, body = api.as_user(ana).delete(f"/api/v1/users/{ana.pk}")

    assert (status, body["message"]) == (409, "Not now.")
    ana.refresh_from_db()
    assert (ana.email, ana.erased_at, ana.session_version) == ("ana@example.com", None, 1)
    assert not OutboxMessage.objects.exists()
