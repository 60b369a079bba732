"""The review screen: lists without faces, both photos side by side for who may see them, decisions with a reason, batches."""

import pytest

from accounts.models import StaffAction, User
from bookings.models import Booking
from faceverify.models import FaceView
from registrations import services
from registrations.models import BatchRun, Registration
from tests.factories import StaffFactory, TicketCategoryFactory, UserFactory
from tests.registrations.scenes import OTHER, check, enrolled, face_category, registered

pytestmark = pytest.mark.django_db
LIST = "/admin/registrations/registration/"


@pytest.fixture
def boss():
    return User.objects.create_superuser("boss@example.test")


@pytest.fixture
def case():
    registration = registered(enrolled(), face_category().event)
    check(registration, drawn=OTHER)
    return registration


def page(registration):
    return f"{LIST}{registration.pk}/change/"


def photo(registration, kind):
    return f"{LIST}{registration.pk}/photo/{kind}"


def test_list_shows_no_face_and_costs_the_same_for_one_and_three(client_for, boss, case, django_assert_max_num_queries):
    browser = client_for(boss)
    first = browser.get(LIST).content.decode()
    for _ in range(2):
        registered(UserFactory(), case.event)

    with django_assert_max_num_queries(20):
        listed = browser.get(LIST)

    assert case.user.email in first
    assert "/photo/" not in listed.content.decode()
    assert browser.get(f"{LIST}?review=waiting").status_code == 200
    assert not FaceView.objects.exists()


def test_case_shows_score_against_threshold_and_photos_only_when_asked(client_for, boss, case):
    browser = client_for(boss)

    closed, opened = browser.get(page(case)).content.decode(), browser.get(f"{page(case)}?photos=1").content.decode()

    assert "needed 80" in closed
    assert "face_mismatch" not in closed
    assert photo(case, "selfie") not in closed
    assert photo(case, "selfie") in opened
    assert photo(case, "profile") in opened


def test_photos_are_served_to_who_may_see_them_and_each_look_is_written_down(client_for, boss, case):
    browser = client_for(boss)

    for kind in ("selfie", "profile"):
        answer = browser.get(photo(case, kind))
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/jpeg")
        assert answer.content.startswith(b"\xff\xd8")
        assert "no-store" in answer.headers["Cache-Control"]

    looks = FaceView.objects.order_by("id")
    assert [look.kind for look in looks] == ["image", "reference"]
    assert {look.staff for look in looks} == {boss}
    assert all(str(case.pk) in look.reason for look in looks)
    assert browser.get(photo(case, "passport")).status_code == 404


def test_photos_are_for_nobody_else(client_for, case):
    viewer = client_for(StaffFactory())

    assert "may not look at faces" in viewer.get(page(case)).content.decode()
    assert viewer.get(photo(case, "selfie")).status_code == 403
    assert client_for(case.user).get(photo(case, "selfie")).status_code == 404
    assert not FaceView.objects.exists()


@pytest.mark.parametrize(
    ("path", "status"),
    [("approve", "verified"), ("reject", "rejected"), ("retry", "pending"), ("override", "verified")],
)
def test_decisions_take_a_reason_and_call_the_service(client_for, boss, case, path, status):
    browser = client_for(boss)
    address = f"{LIST}{case.pk}/{path}/"

    browser.post(address, {"_form_submitted": "on", "reason": ""})
    case.refresh_from_db()
    assert not StaffAction.objects.exists()
    browser.post(address, {"_form_submitted": "on", "reason": "Looked at both photos"})

    case.refresh_from_db()
    assert case.status == status
    assert case.decisions.get().staff == boss
    assert StaffAction.objects.get().reason == "Looked at both photos"


def test_refusal_of_a_service_is_told(client_for, boss, case):
    services.override_ticket(actor=boss, registration_id=case.pk, reason="Saw the ID")

    answer = client_for(boss).post(
        f"{LIST}{case.pk}/override/", {"_form_submitted": "on", "reason": "Again"}, follow=True
    )

    assert "Ticket already issued" in answer.content.decode()


def test_ticket_is_issued_of_the_category_that_staff_choose(client_for, boss, case):
    balcony = TicketCategoryFactory(event=case.event, name="Balcony")
    elsewhere = TicketCategoryFactory(name="Elsewhere")
    browser, address = client_for(boss), f"{LIST}{case.pk}/override/"
    sent = {"_form_submitted": "on", "reason": "Saw the ID"}

    dialog = browser.get(address).content.decode()
    browser.post(address, sent | {"category": str(elsewhere.pk)})
    refused = Booking.objects.exists()
    browser.post(address, sent | {"category": str(balcony.pk)})

    assert "Balcony" in dialog
    assert "Elsewhere" not in dialog
    assert not refused
    assert Booking.objects.get().category == balcony


def test_audit_lists_what_was_done_to_many_at_once(client_for, boss, case):
    browser = client_for(boss)
    chosen = {"action": "export_csv", "_selected_action": [str(case.pk)]}
    b"".join(browser.post(LIST, chosen).streaming_content)
    done = StaffAction.objects.get()

    listed = browser.get("/admin/accounts/staffaction/")
    shown = browser.get(f"/admin/accounts/staffaction/{done.pk}/change/")

    assert done.object_id == ""
    assert (listed.status_code, shown.status_code) == (200, 200)


def test_batch_asks_for_a_reason_and_shows_its_progress(client_for, boss):
    category = face_category()
    cases = [registered(UserFactory(), category.event) for _ in range(2)]
    chosen = {"action": "approve_many", "_selected_action": [str(one.pk) for one in cases]}
    browser = client_for(boss)

    asked = browser.post(LIST, chosen)
    assert asked.status_code == 200
    assert "2 registrations" in asked.content.decode()
    assert not BatchRun.objects.exists()
    started = browser.post(LIST, chosen | {"confirmed": "1", "reason": "IDs seen at the door"})

    batch = BatchRun.objects.get()
    assert started.headers["Location"] == f"/admin/registrations/batchrun/{batch.pk}/change/"
    shown = browser.get(started.headers["Location"])
    assert shown.headers["Refresh"] == "2"
    assert "2 of 2 are left" in shown.content.decode()
    services.work_batch(batch_id=batch.pk)
    done = browser.get(started.headers["Location"])
    assert "Refresh" not in done.headers
    assert "2 of 2: 2 done" in done.content.decode()
    assert Registration.objects.filter(status="verified").count() == 2
    assert browser.get("/admin/registrations/batchrun/").status_code == 200
