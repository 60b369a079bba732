"""The local engine: what it sees, what it refuses, how alike it finds people. Figures are those measured; none is a time."""

from itertools import product

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from faceverify import drawings
from faceverify.engines import base, engine, local
from faceverify.refusals import (
    EngineMisconfigured,
    EngineUnavailable,
    FaceBlurry,
    FaceBright,
    FaceDark,
    FaceMany,
    FaceNone,
    FaceTurned,
    QualityRefusal,
)
from tests.faceverify.people import ANA, BEN, ENGINE, opened, seen, taken_in


def test_local_is_the_engine_by_default():
    assert engine().name == "local"
    assert engine() is engine()


@pytest.mark.parametrize(
    ("distance", "similarity"),
    [(0.20, 99.6), (0.35, 97.0), (0.40, 94.1), (0.45, 88.9), (0.50, 80.0), (0.55, 66.7), (0.60, 50.0), (0.90, 1.5)],
)
def test_similarity_of_a_distance(distance, similarity):
    assert round(local.similarity(distance), 1) == similarity


@pytest.mark.parametrize("person", [0, 2, 5, 9, 31])
def test_a_person_is_the_same_in_every_photo(person):
    template = ENGINE.enrol([seen(person, 0)])

    for variant in (1, 2):
        match = ENGINE.compare(template, seen(person, variant))
        assert match.similarity >= 97
        assert not match.same_photo


@pytest.mark.parametrize(("one", "other"), drawings.DIFFERENT)
def test_different_people_are_told_apart(one, other):
    for before, after in product(range(3), range(3)):
        match = ENGINE.compare(ENGINE.enrol([seen(one, before)]), seen(other, after))
        assert match.similarity <= 45


def test_listed_pair_measures_what_is_documented():
    assert ENGINE.compare(ENGINE.enrol([seen(5)]), seen(9)).similarity == pytest.approx(25.5, abs=3)


def test_template_of_several_photos_is_their_mean():
    template = ENGINE.enrol([seen(ANA, variant) for variant in range(3)])

    assert len(template.vectors) == len(template.fingerprints) == 3
    assert np.allclose(template.mean, sum(template.vectors) / 3)
    assert template.agreement >= 99
    assert ENGINE.enrol([seen(ANA), seen(BEN)]).agreement < 45


def test_enrolled_crop_is_small_and_shows_one_face():
    crop = ENGINE.enrol([seen(BEN)]).crop

    assert max(opened(crop).size) <= 400
    assert ENGINE.analyse(taken_in(crop)).reasons == ()


def test_analysis_has_figures_and_invents_none():
    analysis = ENGINE.analyse(seen(BEN))

    assert analysis.faces == 1
    assert analysis.confidence > 99
    assert 50 < analysis.brightness < 70
    assert analysis.sharpness > 80
    assert (analysis.eyes_open, analysis.mouth_open, analysis.occluded) == (None, None, None)
    assert analysis.reasons == ()


BAD = {
    "nobody": (drawings.nobody(), FaceNone),
    "two people": (drawings.two_people(2, BEN), FaceMany),
    "night": (drawings.as_jpeg(drawings.draw(BEN, light=0.06)), FaceNone),
    "dark": (drawings.as_jpeg(drawings.draw(BEN, light=0.12)), FaceDark),
    "too bright": (drawings.as_jpeg(drawings.draw(BEN, light=2.5)), FaceBright),
    "blurred": (drawings.blurred(BEN, 9), FaceBlurry),
}


@pytest.mark.parametrize(("content", "refusal"), BAD.values(), ids=BAD.keys())
def test_bad_pictures_are_refused_at_enrolment_and_at_the_check(content, refusal):
    template = ENGINE.enrol([seen(BEN, 1)])

    with pytest.raises(refusal) as enrolling:
        ENGINE.enrol([taken_in(content)])
    with pytest.raises(refusal) as checking:
        ENGINE.compare(template, taken_in(content))

    assert enrolling.value.code == checking.value.code == ENGINE.analyse(taken_in(content)).reasons[0]


def test_blur_on_both_sides_makes_nobody_equal():
    for one, other in [*drawings.DIFFERENT, (0, 5), (3, 31), (9, 15), (14, 26)]:
        with pytest.raises(QualityRefusal):
            ENGINE.compare(ENGINE.enrol([taken_in(drawings.blurred(one, 12))]), taken_in(drawings.blurred(other, 12)))


def test_sharpness_falls_with_every_blur():
    figures = [ENGINE.analyse(taken_in(drawings.blurred(BEN, radius))).sharpness for radius in (0.1, 2, 3, 5, 7, 9)]

    assert figures == sorted(figures, reverse=True)
    assert figures[0] > 80
    assert figures[-1] < 25


def test_small_face_in_the_background_is_no_second_person():
    whole = Image.new("RGB", (960, 600), (150, 150, 150))
    whole.paste(drawings.draw(ANA), (0, 0))
    whole.paste(drawings.draw(BEN).resize((168, 210)), (700, 200))

    analysis = ENGINE.analyse(taken_in(drawings.as_jpeg(whole)))

    assert (analysis.faces, analysis.reasons) == (1, ())


def edited(image, edit):
    return {
        "the same file": lambda: image,
        "saved again": lambda: opened(drawings.as_jpeg(image, quality=60)),
        "half the size": lambda: image.resize((240, 300)),
        "cropped": lambda: image.crop((15, 15, 465, 585)),
        "turned a little": lambda: image.rotate(5, fillcolor=(150, 150, 150)),
        "brightened": lambda: ImageEnhance.Brightness(image).enhance(1.15),
    }[edit]()


@pytest.mark.parametrize(
    "edit",
    ["the same file", "saved again", "half the size", "cropped", "turned a little", "brightened"],
)
def test_the_profile_photo_is_known_again(edit):
    template = ENGINE.enrol([seen(12)])

    match = ENGINE.compare(template, taken_in(drawings.as_jpeg(edited(drawings.draw(12), edit))))

    assert match.same_photo


def test_head_turned_far_is_refused():
    turned = base.Analysis(
        faces=1, confidence=99, brightness=50, sharpness=80, contrast=20, pose=base.Pose(roll=0, turn=0.26)
    )

    assert local.GATE.reasons(turned) == (FaceTurned.code,)
    assert local.GATE.reasons(turned, turned_is_fine=True) == ()


def test_gate_limits_are_closed_intervals():
    fine = {"faces": 1, "confidence": 90, "brightness": 10, "sharpness": 25, "contrast": 2}
    for field, worse, code in (
        ("confidence", 89.9, "face_unclear"),
        ("brightness", 9.9, "face_dark"),
        ("brightness", 88.1, "face_bright"),
        ("sharpness", 24.9, "face_blurry"),
        ("contrast", 1.9, "face_flat"),
    ):
        assert local.GATE.reasons(base.Analysis(**fine)) == ()
        assert local.GATE.reasons(base.Analysis(**fine | {field: worse})) == (code,)


@pytest.mark.parametrize("answer", [float("nan"), -0.1, 100.1, float("inf"), None, "99", True])
def test_similarity_that_makes_no_sense_is_an_outage(answer):
    with pytest.raises(EngineUnavailable):
        base.checked_similarity(answer)


def test_missing_model_files_are_no_pass(monkeypatch):
    monkeypatch.setattr(local, "models_folder", lambda: None)

    with pytest.raises(EngineMisconfigured):
        local.Models().landmarks  # noqa: B018


def test_local_engine_has_no_liveness():
    with pytest.raises(EngineMisconfigured):
        ENGINE.start_liveness("token")
    with pytest.raises(EngineMisconfigured):
        ENGINE.liveness_result("id", threshold=80)
