"""The demo: nine events in their states, whole books, nothing done twice, and still a sensible shop a month later."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db.models import F
from django.utils import timezone

from accounts.models import User
from bookings.models import Booking
from common.invariants import breaches
from common.models import OutboxMessage
from events import queries, services
from events.models import Event
from faceverify import services as faces
from faceverify.drawings import DEMO_FACES, STRANGER, selfie
from faceverify.refusals import EngineMisconfigured
from registrations.models import Registration
from registrations.services import create_registration, run_check, verify_face
from waitlist import queries as waitlist_queries

pytestmark = pytest.mark.django_db
STATES = {
    "on_sale": "on_sale",
    "selling_out": "selling_out",
    "sold_out": "sold_out",
    "upcoming": "upcoming",
    "free": "on_sale",
    "numbered": "on_sale",
    "face_check": "upcoming",
    "face_open": "on_sale",
    "past": "over",
}
NAMES = ("staff", "organiser", "ana", "ben", "manager", "boxoffice", "gate", "support")


def seed(**options):
    out = StringIO()
    call_command("seed_demo", json=True, stdout=out, **options)
    return json.loads(out.getvalue())


def states(report):
    return {row["demo"]: queries.get_event(event_id=row["id"]).sale_state(timezone.now()) for row in report["events"]}


def test_demo_shows_every_state_and_its_books_are_whole():
    report = seed()

    assert states(report) == STATES
    assert {
        row["email"]: User.objects.get(email=row["email"]).check_password(row["password"]) for row in report["accounts"]
    } == {
        "staff@demo.test": True,
        "organiser@demo.test": True,
        "ana@demo.test": True,
        "ben@demo.test": True,
        "manager@demo.test": True,
        "boxoffice@demo.test": True,
        "gate@demo.test": True,
        "support@demo.test": True,
    }
    events = {row["demo"]: queries.get_event(event_id=row["id"]) for row in report["events"]}
    assert (events["free"].from_price_minor, events["past"].status) == (0, "completed")
    assert events["face_check"].requires_face_verification
    assert all(category.numbered for category in events["numbered"].categories.all())
    assert events["selling_out"].available_tickets == 4
    assert waitlist_queries.console(event_id=events["sold_out"].pk).seats == 9
    assert {name: found for name, found in breaches().items() if found} == {}
    assert not OutboxMessage.objects.filter(done_at=None).exists()
    assert not Booking.objects.filter(user__email__in=["ana@demo.test", "ben@demo.test"]).exists()


def test_second_run_changes_nothing(django_assert_max_num_queries):
    first = seed()
    counts = [model.objects.count() for model in (Event, Booking, User)]

    with django_assert_max_num_queries(50):
        second = seed()

    assert [model.objects.count() for model in (Event, Booking, User)] == counts
    assert [row["id"] for row in second["events"]] == [row["id"] for row in first["events"]]
    assert {row["new"] for row in second["events"]} == {False}


def faces_of(report):
    return {row["email"].split("@")[0]: row["face"] for row in report["accounts"]}


def test_demo_people_have_drawn_faces_that_the_engine_knows_again():
    report = seed()

    assert faces_of(report) == dict.fromkeys(NAMES, False) | {"ana": True, "ben": True}
    ana = User.objects.get(email="ana@demo.test")
    event = next(row["id"] for row in report["events"] if row["demo"] == "face_open")
    for drawn, passes in ((STRANGER, False), (DEMO_FACES[ana.email], True)):
        registration = Registration.objects.filter(user=ana).first() or create_registration(
            user_id=ana.pk, event_id=event
        )
        key = str(faces.store_probe(user_id=ana.pk, content=selfie(drawn, 3)).pk)
        run_check(attempt_id=verify_face(registration=registration, image_key=key).pk)
        registration.refresh_from_db()
        assert (registration.status == "verified") is passes


def test_without_the_engine_the_demo_comes_without_faces(monkeypatch):
    def not_installed():
        raise EngineMisconfigured

    monkeypatch.setattr("faceverify.services.references.engine", not_installed)

    assert faces_of(seed()) == dict.fromkeys(NAMES, False)


def test_face_of_somebody_who_took_consent_back_stays_away():
    seed()
    ben = User.objects.get(email="ben@demo.test")
    faces.withdraw_consent(user_id=ben.pk)

    assert faces_of(seed())["ben"] is False
    assert faces.current_reference(user_id=ben.pk) is None


def test_drawn_faces_are_offered_in_development_only(client, settings):
    settings.DEBUG = True
    sizes = [len(client.get(f"/dev/faces/{kind}.jpg").content) for kind in ("profile", "selfie", "stranger")]
    settings.DEBUG = False

    assert min(sizes) > 10_000
    assert client.get("/dev/faces/selfie.jpg").status_code == 404


@pytest.mark.parametrize("days", [8, 90])
def test_run_long_after_makes_the_same_sense(days):
    seed()
    passed = timedelta(days=days)
    Event.objects.update(
        starts_at=F("starts_at") - passed, ends_at=F("ends_at") - passed, sale_starts_at=F("sale_starts_at") - passed
    )
    services.complete_due_events()

    report = seed()

    assert states(report) == STATES
    assert {name: found for name, found in breaches().items() if found} == {}


def test_more_people_come_with_tokens(api):
    people = seed(users=3)["users"]

    assert len({person["email"] for person in people}) == 3
    for person in people:
        assert api.with_token(person["access"]).get("/api/v1/bookings").status == 200
