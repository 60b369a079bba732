"""What one gets to see of what we hold about oneself."""

import json

import pytest
from django.core.management import CommandError, call_command

from accounts.models import Passkey
from accounts.services import erase_user
from bookings.models import Booking
from faceverify.models import FaceReference
from registrations.export import ENCODER, export_person
from registrations.models import Registration
from tests.factories import UserFactory
from tests.registrations.scenes import OTHER, check, enrolled, face_category, registered

pytestmark = pytest.mark.django_db


@pytest.fixture
def person():
    category = face_category()
    registration = registered(enrolled(UserFactory(name="Ana")), category.event)
    check(registration, drawn=OTHER)
    check(registration, variant=2)
    return registration.user


def test_export_has_everything_but_faces(person):
    held = export_person(user_id=person.pk)

    assert held["profile"]["email"] == person.email
    assert [booking["status"] for booking in held["bookings"]] == ["confirmed"]
    assert held["bookings"][0]["tickets"][0]["holder_name"] == "Ana"
    registration = held["registrations"][0]
    assert [attempt["status"] for attempt in registration["attempts"]] == ["mismatch", "passed"]
    assert len(held["faces"]["consents"]) == len(held["faces"]["enrolments"]) == 1
    assert held["waitlist"][0]["reason"] == "face_verification_failed"
    text = json.dumps(held, cls=ENCODER)
    assert "encrypted" not in text
    assert "storage" not in text
    assert bytes(FaceReference.objects.get().vector_encrypted).hex()[:20] not in text


def test_export_names_the_second_factors_and_no_key(person):
    Passkey.objects.create(user=person, name="Laptop", credential_id="its-own-name", public_key=b"k", sign_count=4)

    held = export_person(user_id=person.pk)["second_factors"]

    assert (held["app_since"], held["recovery_codes_left"]) == (None, 0)
    assert [passkey["name"] for passkey in held["passkeys"]] == ["Laptop"]
    assert "its-own-name" not in json.dumps(held, cls=ENCODER)


def test_command_writes_json_to_screen_or_file(person, capsys, tmp_path):
    call_command("export_user", person.email.upper())
    assert json.loads(capsys.readouterr().out)["profile"]["id"] == str(person.pk)

    call_command("export_user", str(person.pk), "--output", str(tmp_path / "ana.json"))
    assert json.loads((tmp_path / "ana.json").read_text())["profile"]["email"] == person.email


def test_nobody_and_the_erased_have_nothing(person):
    with pytest.raises(CommandError, match="no such person"):
        call_command("export_user", "nobody@example.test")
    erase_user(user_id=person.pk, cancel=True)
    with pytest.raises(CommandError, match="no such person"):
        call_command("export_user", str(person.pk))


def test_erased_person_leaves_no_face_and_no_words_on_their_registration(person):
    erase_user(user_id=person.pk, cancel=True)

    registration = Registration.objects.get(user_id=person.pk)
    assert (registration.reference.forgotten_at is not None, registration.admin_override_reason) == (True, "")
    assert not FaceReference.objects.filter(user_id=person.pk).exclude(vector_encrypted=b"").exists()
    assert Booking.objects.get(user_id=person.pk).status == "cancelled"
