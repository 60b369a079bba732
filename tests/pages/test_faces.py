"""The profile photo, consent and the page about face checks: every state, as a browser without scripts sees it."""

import re
from collections.abc import Callable

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from accounts.models import User
from faceverify import drawings, services
from faceverify.engines.local import LocalEngine
from faceverify.models import BiometricConsent, FaceReference
from faceverify.policy import current_policy
from faceverify.refusals import EngineUnavailable
from tests.pages.camera import agree, enrolled, upload

pytestmark = pytest.mark.django_db
ME, STRANGER = 2, 26


@pytest.fixture
def mine(client_for: Callable, ana: User) -> Client:
    """The browser of somebody who is logged in."""
    return client_for(ana)


def test_the_page_says_everything_before_the_camera_and_ticks_nothing(mine: Client) -> None:
    html = mine.get("/profile/photo").content.decode()

    for words in ("Why", "Where it is", "How long", "Who sees it", "If you would rather not"):
        assert f"<b>{words}</b>" in html
    assert html.index("Before the camera opens") < html.index('type="file"')
    for paragraph in current_policy().text.split("\n\n"):
        assert paragraph in html.replace("&#x27;", "'")
    assert current_policy().version in html
    assert '<input type="checkbox" name="consent" required id="id_consent">' in html


def test_nothing_is_stored_without_consent(mine: Client, ana: User) -> None:
    answer = mine.post(
        "/profile/photo", {"photo_1": upload(drawings.photo(ME)), "text_version": current_policy().version}
    )

    html = answer.content.decode()
    assert answer.status_code == 400
    assert "<title>Error: " in html
    assert 'href="#id_consent"' in html
    assert (BiometricConsent.objects.count(), FaceReference.objects.count()) == (0, 0)


def test_a_photo_with_consent_is_enrolled(mine: Client, ana: User) -> None:
    photos = {f"photo_{number + 1}": upload(drawings.photo(ME, number)) for number in range(3)}

    answer = mine.post("/profile/photo", agree() | photos, follow=True)

    html = answer.content.decode()
    reference = services.current_reference(user_id=ana.pk)
    consent = services.consent_of(user_id=ana.pk)
    assert "Your profile photo is set." in html
    assert "3 photos" in html
    assert (reference.photos, consent.policy_version, consent.method) == (3, current_policy().version, "checkbox")
    assert consent.policy_version in html
    assert 'name="consent"' not in html  # it is in force: the next photo does not ask again


def test_after_the_photo_people_go_on_to_where_they_came_from(mine: Client) -> None:
    answer = mine.post("/profile/photo", agree() | {"photo_1": upload(drawings.photo(ME)), "next": "/tickets"})
    elsewhere = mine.post("/profile/photo", {"photo_1": upload(drawings.photo(ME, 1)), "next": "https://evil.test/"})

    assert (answer.status_code, answer["Location"]) == (302, "/tickets")
    assert (elsewhere.status_code, elsewhere["Location"]) == (302, "/profile/photo")


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (drawings.nobody(), "We couldn’t see a face."),
        (drawings.two_people(ME, STRANGER), "We saw more than one face."),
        (drawings.blurred(ME), "It’s blurry."),
        (b"GIF89a not a picture", "We couldn’t read that picture."),
    ],
    ids=["nobody", "two", "blurred", "broken"],
)
def test_a_picture_that_will_not_do_says_what_helps(mine: Client, ana: User, picture: bytes, words: str) -> None:
    answer = mine.post("/profile/photo", agree() | {"photo_1": upload(picture)})

    assert answer.status_code == 400
    assert words in answer.content.decode()
    assert "use up a try" not in answer.content.decode()
    assert services.current_reference(user_id=ana.pk) is None


def test_a_picture_that_is_too_large_is_refused_by_its_size(mine: Client, settings: object) -> None:
    settings.FACE_MAX_BYTES = 10_000

    answer = mine.post("/profile/photo", agree() | {"photo_1": upload(b"\xff" * 10_001)})

    assert answer.status_code == 400
    assert "That picture is too large." in answer.content.decode()


def test_a_form_without_a_picture_says_so(mine: Client) -> None:
    answer = mine.post("/profile/photo", agree())

    assert answer.status_code == 400
    assert 'href="#id_photo_1"' in answer.content.decode()


def test_photos_of_two_people_are_not_one_profile(mine: Client) -> None:
    photos = {"photo_1": upload(drawings.photo(ME)), "photo_2": upload(drawings.photo(STRANGER))}

    answer = mine.post("/profile/photo", agree() | photos)

    assert "do not look like one person" in answer.content.decode()


def test_a_new_photo_must_show_the_same_person(mine: Client, ana: User) -> None:
    before = enrolled(ana, ME)

    answer = mine.post("/profile/photo", {"photo_1": upload(drawings.photo(STRANGER))})

    assert answer.status_code == 400
    assert "Ask a person to help you" in answer.content.decode()
    assert services.current_reference(user_id=ana.pk) == before


def test_a_text_that_changed_meanwhile_is_shown_again(mine: Client) -> None:
    form = {"photo_1": upload(drawings.photo(ME)), "consent": "on", "text_version": "2025-01-0000"}

    html = mine.post("/profile/photo", form, follow=True).content.decode()

    assert "The text about your face data has changed. Please read it again." in html
    assert f'value="{current_policy().version}"' in html
    assert not re.search(r"<input[^>]*checked", html)
    assert FaceReference.objects.count() == 0


def test_the_engine_being_away_is_our_fault_and_stores_nothing(
    mine: Client, ana: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(self: object, images: object) -> None:
        raise EngineUnavailable

    monkeypatch.setattr(LocalEngine, "enrol", away)

    answer = mine.post("/profile/photo", agree() | {"photo_1": upload(drawings.photo(ME))})

    assert "The face check is not answering at the moment." in answer.content.decode()
    assert services.current_reference(user_id=ana.pk) is None


def test_the_photo_can_be_deleted(mine: Client, ana: User) -> None:
    enrolled(ana, ME)

    html = mine.post("/profile/photo/delete", follow=True).content.decode()

    assert "Your profile photo is deleted." in html
    assert "Add a profile photo" in html
    assert services.current_reference(user_id=ana.pk) is None


def test_consent_is_withdrawn_in_one_click(mine: Client, ana: User) -> None:
    enrolled(ana, ME)
    assert "Withdraw my consent" in mine.get("/profile/photo").content.decode()

    html = mine.post("/profile/photo/withdraw", follow=True).content.decode()

    assert "You withdrew your consent." in html
    assert 'name="consent"' in html
    assert services.consent_of(user_id=ana.pk) is None
    assert not FaceReference.objects.filter(user=ana, forgotten_at=None).exists()


@pytest.mark.parametrize("address", ["/profile/photo", "/registrations"])
def test_face_pages_are_for_members(client: Client, address: str) -> None:
    answer = client.get(address)

    assert (answer.status_code, answer["Location"].partition("?")[0]) == (302, "/login")


@pytest.mark.parametrize("address", ["/profile/photo/delete", "/profile/photo/withdraw"])
def test_looking_deletes_nothing(mine: Client, address: str) -> None:
    assert mine.get(address).status_code == 405


def test_the_cameras_script_gets_words_instead_of_a_page(mine: Client) -> None:
    json = {"Accept": "application/json"}

    refused = mine.post("/profile/photo", agree() | {"photo_1": upload(drawings.nobody())}, headers=json)
    taken = mine.post("/profile/photo", agree() | {"photo_1": upload(drawings.photo(ME))}, headers=json)

    assert refused.status_code == 400
    assert refused.json()["problems"][0]["text"].startswith("We couldn’t see a face.")
    assert taken.json() == {"next": "/profile/photo"}


def test_the_page_about_face_checks_has_the_measured_figures_and_the_text(client: Client, settings: object) -> None:
    html = client.get("/faces").content.decode()

    for words in ("80 of 100", "3.79 %", "0.31 %", "0.12 %", "below 0.037 %", "449 pairs", current_policy().version):
        assert words in html
    assert "Only us. No photo is sent to another company." in html
    assert 'href="/faces"' in client.get("/").content.decode()
    assert 'href="/faces"' in client.get("/privacy").content.decode()


def test_the_page_about_face_checks_names_the_processor(client: Client, settings: object) -> None:
    settings.FACE_ENGINE, settings.AWS_REGION = "rekognition", "eu-central-1"

    html = client.get("/faces").content.decode()

    assert "Amazon Web Services, region eu-central-1" in html
    assert "95 of 100" in html
    assert "3.79 %" not in html
    assert "one small picture of your face" in html


def test_nothing_of_a_face_is_on_a_page(mine: Client, ana: User) -> None:
    enrolled(ana, ME)

    for address in ("/profile", "/profile/photo", "/registrations", "/faces"):
        html = mine.get(address).content.decode()
        assert "data:image" not in html
        assert "/media/" not in html
        assert str(services.current_reference(user_id=ana.pk).pk) not in html


def test_uploads_keep_nothing_of_the_files_name(mine: Client, ana: User) -> None:
    file = SimpleUploadedFile("../../etc/passwd.svg", drawings.photo(ME), content_type="image/svg+xml")

    assert mine.post("/profile/photo", agree() | {"photo_1": file}).status_code == 302
    assert services.current_reference(user_id=ana.pk).photos == 1


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        ("local", "turn your head as well, which stops a printed picture but not a prepared video"),
        ("rekognition", "app"),
    ],
)
def test_the_page_about_face_checks_claims_no_more_than_is_asked(
    client: Client, settings: object, engine: str, words: str
) -> None:
    settings.FACE_ENGINE = engine

    html = client.get("/faces").content.decode()

    assert "cannot tell a person from a good picture of one" in html
    assert words in html


def test_too_many_photos_in_a_minute_are_slowed_down(mine: Client, settings: object) -> None:
    settings.THROTTLES = settings.THROTTLES | {"face": ((1, 60), (100, 60), True)}
    mine.post("/profile/photo", agree())

    answer = mine.post("/profile/photo", agree())

    assert answer.status_code == 429
    assert int(answer["Retry-After"]) > 0
