"""What operators have: system checks, commands, and an admin without faces."""

import subprocess
import sys
from io import StringIO

import pytest
from django.contrib import admin
from django.core.management import CommandError, call_command
from PIL import ImageFile

from faceverify import drawings, system_checks
from faceverify.models import FaceReference
from tests.faceverify.people import ANA, BEN, claimed, enrolled, photo


def ids(found):
    return [message.id for message in found]


def test_all_is_well_here():
    for check in (
        system_checks.check_engine,
        system_checks.check_keys,
        system_checks.check_pillow,
    ):
        assert check(None) == []


def test_missing_dlib_is_said_in_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "dlib", None)
    monkeypatch.setattr(system_checks.importlib.util, "find_spec", lambda name: None)

    (found,) = system_checks.check_engine(None)

    assert found.msg == "FACE_ENGINE=local needs dlib, and it is not installed on this machine."
    assert found.is_serious()


def test_missing_models_are_said(monkeypatch):
    monkeypatch.setattr(system_checks, "models_folder", lambda: None)

    assert ids(system_checks.check_engine(None)) == ["faces.E003"]


@pytest.mark.parametrize(
    ("changes", "check", "expected"),
    [
        ({"FACE_ENGINE": "other"}, "check_engine", ["faces.E001"]),
        ({"FACE_ENGINE": "rekognition", "AWS_REGION": ""}, "check_engine", ["faces.E004"]),
        (
            {
                "FACE_ENGINE": "rekognition",
                "AWS_REGION": "eu-central-1",
                "FACE_THRESHOLDS": {"local": 80, "rekognition": 80},
            },
            "check_engine",
            ["faces.W001"],
        ),
        ({"FACE_TEMPLATE_KEYS": []}, "check_keys", ["faces.E005"]),
        ({"FACE_TEMPLATE_KEYS": ["short"]}, "check_keys", ["faces.E006"]),
    ],
)
def test_wrong_settings_are_named(settings, changes, check, expected):
    for name, value in changes.items():
        setattr(settings, name, value)

    assert ids(getattr(system_checks, check)(None)) == expected


def test_switched_off_refusal_of_broken_pictures_is_an_error(monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)

    assert ids(system_checks.check_pillow(None)) == ["faces.E009"]


def test_engine_is_loaded_only_when_a_face_is_looked_at():
    script = (
        "import sys, django; django.setup(); import faceverify.services;"
        "print('dlib' in sys.modules, 'face_recognition_models' in sys.modules, 'face_recognition' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        cwd=system_checks.settings.BASE_DIR,
        env=system_checks_environment(),
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.split() == ["False", "False", "False"]


def system_checks_environment():
    import os

    return os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings"}


def test_doctor_says_that_it_works():
    said = StringIO()

    call_command("face_doctor", stdout=said)

    assert "Engine local (dlib-resnet-1), threshold 80" in said.getvalue()
    assert said.getvalue().endswith("It works.\n")


def test_doctor_says_what_is_wrong(settings, monkeypatch):
    monkeypatch.setattr(system_checks, "models_folder", lambda: None)

    with pytest.raises(CommandError, match="needs the model files"):
        call_command("face_doctor", stdout=StringIO())


def test_calibration_counts_on_the_operators_own_pairs(tmp_path):
    for name, content in {"a0": photo(ANA), "a1": photo(ANA, 1), "b0": photo(BEN), "no": drawings.nobody()}.items():
        (tmp_path / f"{name}.jpg").write_bytes(content)
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("# pairs\na0.jpg,a1.jpg,same\na0.jpg,b0.jpg,different\na1.jpg,b0.jpg,0\na0.jpg,no.jpg,same\n")
    said, wrong = StringIO(), StringIO()

    call_command("face_calibrate", pairs, stdout=said, stderr=wrong)

    lines = said.getvalue().splitlines()
    assert lines[0] == "1 pairs of one person, 2 of two, 1 unusable"
    assert [line.split() for line in lines if line.split()[0] == "80"] == [["80", "0.00", "0.000", "0"]]
    assert "face_none" in wrong.getvalue()


@pytest.mark.parametrize("text", ["one.jpg,other.jpg\n", "one.jpg,other.jpg,maybe\n", "a.jpg,b.jpg,same\n", ""])
def test_calibration_explains_what_it_can_not_read(tmp_path, text):
    pairs = tmp_path / "pairs.csv"
    pairs.write_text(text)

    with pytest.raises(CommandError):
        call_command("face_calibrate", pairs, stdout=StringIO())


@pytest.mark.django_db
def test_admin_shows_records_and_no_face(ana, client_for, user_factory):
    reference = enrolled(ana)
    image = claimed(ana, photo(ANA, 1))
    boss = client_for(user_factory(is_staff=True, is_superuser=True))

    pages = [
        f"/admin/faceverify/{path}"
        for path in (
            "biometricconsent/",
            "facereference/",
            f"facereference/{reference.pk}/change/",
            "faceimage/",
            f"faceimage/{image.pk}/change/",
            "livenesscheck/",
            "faceview/",
            "deletionlog/",
        )
    ]
    for page in pages:
        answer = boss.get(page)
        assert answer.status_code == 200, page
        text = answer.content.decode()
        assert image.storage_name not in text
        assert "gAAAA" not in text
        assert "<img" not in text.replace('<img src="/static', "")
    shown = set(admin.site.get_model_admin(FaceReference).fields)
    assert shown & {"vector_encrypted", "crop_encrypted", "key_id"} == set()
