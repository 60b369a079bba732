"""Consent, enrolment, probes, retention: what is allowed, what is kept, and that what must go is gone."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from uuid import uuid4

import numpy as np
import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts.services import erase_user
from common import outbox
from common.errors import NotFound, Unavailable
from common.invariants import breaches
from common.models import OutboxMessage
from faceverify import drawings, queries, storage, vault
from faceverify.models import BiometricConsent, DeletionLog, FaceImage, FaceReference, FaceView
from faceverify.policy import current_policy
from faceverify.refusals import (
    ConsentOutdated,
    ConsentRequired,
    EngineMisconfigured,
    EngineUnavailable,
    FaceChanged,
    FaceNone,
    ImageNotFound,
    NoDirectUploads,
    PhotosCount,
    PhotosDiffer,
    ProfilePhotoMissing,
    ProfilePhotoOutdated,
    SamePhoto,
    TooManyAnalyses,
    ViewRefused,
)
from faceverify.services import (
    analyse_probe,
    claim_probe,
    compare,
    consent_of,
    crop_for_review,
    current_reference,
    default_threshold,
    discard_image,
    enrol,
    erase_faces,
    forget_reference,
    give_consent,
    image_for_review,
    keep_reference,
    presign_probe,
    purge,
    store_probe,
    withdraw_consent,
)
from faceverify.services.references import template_of
from tests.faceverify.people import ANA, BEN, ENGINE, agree, claimed, enrolled, opened, photo, seen

pytestmark = pytest.mark.django_db


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def past(**span):
    return timezone.now() - timedelta(**span)


# -- Consent ----------------------------------------------------------------------------------------------------------


def test_consent_names_the_very_text(ana):
    consent = give_consent(user_id=ana.pk, policy_version=current_policy().version, method="checkbox")

    assert consent.text_sha256 == current_policy().sha256
    assert consent_of(user_id=ana.pk) == consent
    assert give_consent(user_id=ana.pk, policy_version=current_policy().version, method="checkbox") == consent


def test_consent_to_another_text_is_none(ana, settings):
    before = current_policy().version
    agree(ana)
    settings.FACE_RETENTION_DAYS = 30

    with pytest.raises(ConsentOutdated):
        give_consent(user_id=ana.pk, policy_version=before, method="checkbox")
    agree(ana)

    versions = BiometricConsent.objects.filter(user=ana, withdrawn_at=None).values_list("policy_version", flat=True)
    assert list(versions) == [current_policy().version]
    assert BiometricConsent.objects.filter(user=ana).count() == 2


def test_text_says_what_the_settings_do(settings):
    local = current_policy()
    settings.FACE_KEEP_CROP = False
    without_crop = current_policy()
    settings.FACE_ENGINE, settings.AWS_REGION = "rekognition", "eu-central-1"
    at_aws = current_policy()

    assert "No photo is sent to another company" in local.text
    assert "no picture" in without_crop.text
    assert "region eu-central-1" in at_aws.text
    assert len({local.version, without_crop.version, at_aws.version}) == 3


def test_nothing_is_looked_at_without_consent(ana, store):
    for act in (
        lambda: enrol(user_id=ana.pk, photos=[photo(ANA)]),
        lambda: store_probe(user_id=ana.pk, content=photo(ANA)),
        lambda: presign_probe(user_id=ana.pk),
    ):
        with pytest.raises(ConsentRequired):
            act()

    assert files(store) == []
    assert FaceImage.objects.count() == FaceReference.objects.count() == 0


def test_one_live_consent_per_person(ana):
    agree(ana)

    with pytest.raises(IntegrityError, match="person_has_one_live_consent"), transaction.atomic():
        BiometricConsent.objects.create(user=ana, policy_version="x", text_sha256="x", method="test")


def test_withdrawing_deletes_everything_at_once(ana, store):
    reference = enrolled(ana)
    keep_reference(reference_id=reference.pk, until=timezone.now() + timedelta(days=30))
    image = claimed(ana, photo(ANA, 1))

    withdraw_consent(user_id=ana.pk)
    outbox.deliver_due()

    reference.refresh_from_db()
    image.refresh_from_db()
    assert (bytes(reference.vector_encrypted), bytes(reference.crop_encrypted)) == (b"", b"")
    assert (image.storage_name, bytes(image.fingerprint)) == ("", b"")
    assert files(store) == []
    assert consent_of(user_id=ana.pk) is None
    with pytest.raises(ProfilePhotoMissing):
        compare(reference=reference, image=image)
    assert set(DeletionLog.objects.values_list("what", "why")) == {
        ("image", "consent_withdrawn"),
        ("reference", "consent_withdrawn"),
    }


# -- Enrolment --------------------------------------------------------------------------------------------------------


def test_enrolment_keeps_a_sealed_vector_and_crop_and_no_photo(ana, store):
    reference = enrolled(ana, ANA, 0, 1, 2)

    template = template_of(reference)
    assert reference.photos == len(template.vectors) == 3
    assert np.allclose(template.mean, ENGINE.enrol([seen(ANA, variant) for variant in range(3)]).mean, atol=1e-6)
    assert template.crop.startswith(b"\xff\xd8")
    assert b"\xff\xd8" not in bytes(reference.crop_encrypted)
    assert files(store) == []


def test_crop_is_kept_only_where_the_setting_says_so(ana, settings):
    settings.FACE_KEEP_CROP = False

    assert bytes(enrolled(ana).crop_encrypted) == b""


@pytest.mark.parametrize("count", [0, 4])
def test_one_to_three_photos_are_needed(ana, count):
    agree(ana)

    with pytest.raises(PhotosCount):
        enrol(user_id=ana.pk, photos=[photo(ANA)] * count)


def test_photos_of_two_people_are_refused(ana):
    agree(ana)

    with pytest.raises(PhotosDiffer):
        enrol(user_id=ana.pk, photos=[photo(ANA), photo(BEN)])
    assert current_reference(user_id=ana.pk) is None


def test_bad_photo_is_refused_at_enrolment(ana):
    agree(ana)

    with pytest.raises(FaceNone):
        enrol(user_id=ana.pk, photos=[photo(ANA), drawings.nobody()])


def test_new_enrolment_makes_a_new_row_and_forgets_the_old(ana):
    old = enrolled(ana)
    new = enrolled(ana, ANA, 1)

    old.refresh_from_db()
    assert current_reference(user_id=ana.pk) == new
    assert old.replaced_at is not None
    assert old.forgotten_at is not None


def test_frozen_face_outlives_its_replacement(ana):
    old = enrolled(ana)
    keep_reference(reference_id=old.pk, until=timezone.now() + timedelta(days=10))
    enrolled(ana, ANA, 1)

    old.refresh_from_db()
    assert old.forgotten_at is None
    assert compare(reference=old, image=claimed(ana, photo(ANA, 2))).passes()


def test_another_face_needs_staff(ana):
    old = enrolled(ana)

    with pytest.raises(FaceChanged):
        enrol(user_id=ana.pk, photos=[photo(BEN)])
    assert current_reference(user_id=ana.pk) == old

    new = enrol(user_id=ana.pk, photos=[photo(BEN)], by_staff=True)
    assert current_reference(user_id=ana.pk) == new


def test_faces_of_another_engine_can_not_be_compared(ana):
    reference = enrolled(ana)
    FaceReference.objects.update(model_version="older")
    reference.refresh_from_db()

    with pytest.raises(ProfilePhotoOutdated):
        compare(reference=reference, image=claimed(ana, photo(ANA, 1)))
    with pytest.raises(FaceChanged):
        enrol(user_id=ana.pk, photos=[photo(ANA, 1)])


def test_consent_withdrawn_while_the_engine_works_stores_nothing(ana, monkeypatch):
    agree(ana)
    original = type(ENGINE).enrol

    def slow(self, images):
        template = original(self, images)
        withdraw_consent(user_id=ana.pk)
        return template

    monkeypatch.setattr(type(ENGINE), "enrol", slow)

    with pytest.raises(ConsentRequired):
        enrol(user_id=ana.pk, photos=[photo(ANA)])
    assert FaceReference.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_two_enrolments_at_once_leave_one_current_face(ana):
    agree(ana)
    together = Barrier(2)

    def act(variant):
        together.wait()
        try:
            return enrol(user_id=ana.pk, photos=[photo(ANA, variant)])
        except (FaceChanged, IntegrityError) as refused:
            return refused
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as threads:
        done = list(threads.map(act, (0, 1)))

    assert FaceReference.objects.filter(user=ana, replaced_at=None, forgotten_at=None).count() == 1
    assert any(isinstance(one, FaceReference) for one in done)


# -- Sealing ----------------------------------------------------------------------------------------------------------


def test_distances_survive_the_turn_and_people_are_not_linkable(ana, ben):
    one, other = ENGINE.enrol([seen(ANA)]).mean, ENGINE.enrol([seen(BEN)]).mean
    key = "a" * 43 + "="

    def turned(vector, user):
        return vault.turn(vector, user_id=user.pk, key=key)

    before = np.linalg.norm(one - other)
    assert np.linalg.norm(turned(one, ana) - turned(other, ana)) == pytest.approx(before, abs=1e-12)
    assert np.linalg.norm(turned(one, ana) - turned(one, ben)) > 1.2
    assert np.allclose(vault.turn(turned(one, ana), user_id=ana.pk, key=key, back=True), one)


def test_rotation_is_orthogonal_and_always_the_same():
    matrix = vault.rotation(b"seed")
    vault.rotation.cache_clear()

    assert np.allclose(matrix @ matrix.T, np.eye(128), atol=1e-12)
    assert np.array_equal(matrix, vault.rotation(b"seed"))


def test_sealed_face_opens_for_its_owner_only(ana, ben):
    sealed = vault.seal(ENGINE.enrol([seen(ANA)]), user_id=ana.pk, keep_crop=True)

    with pytest.raises(EngineMisconfigured):
        vault.unseal(sealed, user_id=ben.pk)
    with pytest.raises(EngineMisconfigured):
        vault.unseal_bytes(sealed.crop, user_id=ben.pk)


def test_new_key_seals_anew_and_the_old_one_can_go(ana, settings):
    old, new = settings.FACE_TEMPLATE_KEYS[0], "bmV3LWtleS1uZXcta2V5LW5ldy1rZXktbmV3LWtleS0="
    reference = enrolled(ana)
    before = template_of(reference)
    settings.FACE_TEMPLATE_KEYS = [new, old]

    assert purge().resealed == 1
    settings.FACE_TEMPLATE_KEYS = [new]

    reference.refresh_from_db()
    after = template_of(reference)
    assert np.allclose(before.mean, after.mean, atol=1e-6)
    assert after.crop == before.crop
    assert purge().resealed == 0


def test_lost_key_is_an_outage_not_a_pass(ana, settings):
    reference = enrolled(ana)
    settings.FACE_TEMPLATE_KEYS = ["bmV3LWtleS1uZXcta2V5LW5ldy1rZXktbmV3LWtleS0="]

    with pytest.raises(EngineMisconfigured):
        template_of(reference)


# -- Probes -----------------------------------------------------------------------------------------------------------


def test_check_of_the_same_person_passes(ana, store):
    reference = enrolled(ana)

    comparison = compare(reference=reference, image=claimed(ana, photo(ANA, 1)))

    assert comparison.similarity >= 97
    assert (comparison.threshold, comparison.engine) == (80.0, "local")
    assert comparison.passes()
    assert not comparison.passes(99.99)


def test_check_of_somebody_else_fails(ana):
    comparison = compare(reference=enrolled(ana), image=claimed(ana, photo(BEN)))

    assert comparison.similarity <= 45
    assert not comparison.passes()
    assert not comparison.passes(1)  # a threshold from elsewhere never makes it looser


def test_threshold_belongs_to_the_engine(settings):
    settings.FACE_THRESHOLDS = {"local": 70, "rekognition": 99}

    assert default_threshold() == 70.0
    settings.FACE_ENGINE = "rekognition"
    assert default_threshold() == 99.0


def test_stored_probe_is_unreadable_and_private(ana, store):
    agree(ana)
    image = store_probe(user_id=ana.pk, content=photo(ANA))

    (path,) = files(store)
    assert b"\xff\xd8" not in path.read_bytes()
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0
    with pytest.raises(ValueError, match="no web address"):
        storage.store().url(image.storage_name)


def test_key_is_for_its_owner_once_and_for_a_while(ana, ben):
    agree(ana)
    agree(ben)
    key = str(store_probe(user_id=ana.pk, content=photo(ANA)).pk)

    for wrong in (key, str(uuid4()), "faces/probe/1.jpg", ""):
        with pytest.raises(ImageNotFound):
            claim_probe(user_id=ben.pk, image_key=wrong)
    assert claim_probe(user_id=ana.pk, image_key=key).consumed_at is not None
    for act in (claim_probe, analyse_probe):
        with pytest.raises(ImageNotFound):
            act(user_id=ana.pk, image_key=key)

    late = store_probe(user_id=ana.pk, content=photo(ANA, 1))
    FaceImage.objects.filter(pk=late.pk).update(expires_at=past(seconds=1))
    with pytest.raises(ImageNotFound):
        claim_probe(user_id=ana.pk, image_key=str(late.pk))


@pytest.mark.django_db(transaction=True)
def test_of_ten_who_claim_one_gets_it(ana):
    agree(ana)
    key = str(store_probe(user_id=ana.pk, content=photo(ANA)).pk)
    together = Barrier(10)

    def act(_):
        together.wait()
        try:
            return claim_probe(user_id=ana.pk, image_key=key)
        except ImageNotFound as refused:
            return refused
        finally:
            connection.close()

    with ThreadPoolExecutor(10) as threads:
        done = list(threads.map(act, range(10)))

    assert sum(isinstance(one, FaceImage) for one in done) == 1


def test_looking_at_a_picture_does_not_use_it_up(ana):
    agree(ana)
    key = str(store_probe(user_id=ana.pk, content=photo(ANA)).pk)

    assert analyse_probe(user_id=ana.pk, image_key=key).confidence > 90
    assert analyse_probe(user_id=ana.pk, image_key=key).reasons == ()
    claim_probe(user_id=ana.pk, image_key=key)


def test_looks_are_limited_per_person(ana, ben, settings):
    settings.FACE_LOOKS_PER_MINUTE = 1
    agree(ana)
    agree(ben)
    key = str(store_probe(user_id=ana.pk, content=photo(ANA)).pk)
    analyse_probe(user_id=ana.pk, image_key=key)

    with pytest.raises(TooManyAnalyses) as refused:
        analyse_probe(user_id=ana.pk, image_key=key)

    assert refused.value.retry_after >= 1
    other = str(store_probe(user_id=ben.pk, content=photo(BEN)).pk)
    analyse_probe(user_id=ben.pk, image_key=other)


def test_looks_are_refused_when_they_can_not_be_counted(ana, settings):
    from common import ratelimit

    agree(ana)
    key = str(store_probe(user_id=ana.pk, content=photo(ANA)).pk)
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    ratelimit.connection.cache_clear()
    try:
        with pytest.raises(Unavailable):
            analyse_probe(user_id=ana.pk, image_key=key)
    finally:
        ratelimit.connection.cache_clear()


def test_profile_photo_is_no_selfie(ana):
    reference = enrolled(ana)

    with pytest.raises(SamePhoto):
        compare(reference=reference, image=claimed(ana, photo(ANA)))


def test_an_earlier_selfie_is_no_new_one(ana):
    reference = enrolled(ana, 12)
    compare(reference=reference, image=claimed(ana, photo(12, 1)))

    with pytest.raises(SamePhoto):
        store_probe(user_id=ana.pk, content=photo(12, 1))
    with pytest.raises(SamePhoto):
        compare(reference=reference, image=claimed(ana, drawings.as_jpeg(opened(photo(12, 1)), quality=80)))
    assert compare(reference=reference, image=claimed(ana, photo(12, 2))).passes()


def test_picture_that_an_outage_kept_from_being_compared_may_come_again(ana, monkeypatch):
    reference = enrolled(ana)
    image = claimed(ana, photo(ANA, 1))

    def away(self, template, picture):
        raise EngineUnavailable(retry_after=15)

    with monkeypatch.context() as outage:
        outage.setattr(type(ENGINE), "compare", away)
        with pytest.raises(EngineUnavailable):
            compare(reference=reference, image=image)
    discard_image(image_id=image.pk)

    assert compare(reference=reference, image=claimed(ana, photo(ANA, 1))).passes()


def test_two_uploads_of_one_picture_are_used_once(ana):
    agree(ana)
    keys = [str(store_probe(user_id=ana.pk, content=photo(ANA, 1)).pk) for _ in range(2)]
    claim_probe(user_id=ana.pk, image_key=keys[0])

    with pytest.raises(SamePhoto):
        claim_probe(user_id=ana.pk, image_key=keys[1])


def test_two_people_may_send_the_same_picture(ana, ben):
    pictures = []
    for user in (ana, ben):
        agree(user)
        pictures.append(claimed(user, photo(ANA, 1)))

    assert [picture.owner for picture in pictures] == [ana, ben]


def test_face_of_one_is_never_compared_with_the_picture_of_another(ana, ben):
    reference = enrolled(ana)
    agree(ben)

    with pytest.raises(ImageNotFound):
        compare(reference=reference, image=claimed(ben, photo(ANA, 1)))


def test_direct_uploads_need_s3(ana):
    agree(ana)

    with pytest.raises(NoDirectUploads):
        presign_probe(user_id=ana.pk)


def test_failed_row_leaves_no_file(ana, store, monkeypatch):
    agree(ana)

    def withdrawn(user_id):
        raise ConsentRequired

    monkeypatch.setattr("faceverify.services.probes.lock_consent", withdrawn)

    with pytest.raises(ConsentRequired):
        store_probe(user_id=ana.pk, content=photo(ANA))
    assert files(store) == []


# -- Forgetting -------------------------------------------------------------------------------------------------------


def test_discarded_picture_is_gone_from_the_store(ana, store):
    agree(ana)
    image = claimed(ana, photo(ANA, 1))

    discard_image(image_id=image.pk)
    discard_image(image_id=image.pk)
    outbox.deliver_due()

    assert files(store) == []
    assert DeletionLog.objects.get().why == "decided"


def test_purge_deletes_what_has_reached_its_time(ana, ben, store):
    due = enrolled(ana)
    FaceReference.objects.filter(pk=due.pk).update(delete_after=past(seconds=1))
    enrolled(ben, BEN)
    old, waiting = claimed(ben, photo(BEN, 1)), claimed(ben, photo(BEN, 2))
    FaceImage.objects.filter(pk=old.pk).update(delete_after=past(seconds=1))

    planned = purge(dry_run=True)
    assert FaceReference.objects.filter(forgotten_at=None).count() == 2
    done = purge()
    outbox.deliver_due()

    assert planned == done
    assert (done.references, done.images) == (1, 1)
    assert [path.name for path in files(store)] == [waiting.storage_name.rpartition("/")[2]]
    assert current_reference(user_id=ana.pk) is None
    assert current_reference(user_id=ben.pk) is not None
    assert purge().total == 0


def test_purge_deletes_old_files_that_nothing_refers_to(store, db):
    import os

    name = storage.put(storage.PROBES, uuid4(), b"left behind")
    fresh = storage.put(storage.PROBES, uuid4(), b"being written")
    os.utime(store / name, (0, 0))

    assert purge().stray_files == 1
    assert [path.relative_to(store).as_posix() for path in files(store)] == [fresh]


def test_purge_command_says_what_it_did(ana, capsys):
    reference = enrolled(ana)
    FaceReference.objects.filter(pk=reference.pk).update(delete_after=past(days=2))
    assert breaches()["faces.none_overdue"] == [f"reference {reference.pk} should have been deleted"]

    call_command("purge_biometrics", "--dry-run")
    assert "Would delete: 1 enrolled faces, 0 pictures" in capsys.readouterr().out
    call_command("purge_biometrics")

    assert "Deleted: 1 enrolled faces, 0 pictures" in capsys.readouterr().out
    assert breaches()["faces.none_overdue"] == []


def test_a_face_is_kept_for_its_last_event_and_never_longer_than_three_years(ana, settings):
    reference = enrolled(ana)
    soon, late = timezone.now() + timedelta(days=60), timezone.now() + timedelta(days=90)

    keep_reference(reference_id=reference.pk, until=late)
    keep_reference(reference_id=reference.pk, until=soon)
    reference.refresh_from_db()
    assert reference.kept_until == late
    assert reference.delete_after == late + timedelta(days=settings.FACE_RETENTION_DAYS)

    keep_reference(reference_id=reference.pk, until=timezone.now() + timedelta(days=5000))
    reference.refresh_from_db()
    assert reference.delete_after == reference.created_at + timedelta(days=1095)
    with pytest.raises(NotFound):
        keep_reference(reference_id=uuid4(), until=soon)


def test_forgetting_a_face_leaves_the_bare_fact(ana):
    reference = enrolled(ana)

    assert forget_reference(user_id=ana.pk, why="asked") == 1
    assert forget_reference(user_id=ana.pk, why="asked") == 0

    reference.refresh_from_db()
    assert (reference.photos, bytes(reference.vector_encrypted)) == (1, b"")


def test_rows_that_say_deleted_hold_nothing(ana):
    reference, image = enrolled(ana), claimed(ana, photo(ANA, 1))

    with pytest.raises(IntegrityError, match="forgotten_face_holds_nothing"), transaction.atomic():
        FaceReference.objects.filter(pk=reference.pk).update(forgotten_at=timezone.now())
    with pytest.raises(IntegrityError, match="deleted_face_image_holds_nothing"), transaction.atomic():
        FaceImage.objects.filter(pk=image.pk).update(deleted_at=timezone.now())


def test_erased_account_leaves_no_face_anywhere(ana, ben, store):
    reference = enrolled(ana, ANA, 0, 1)
    compare(reference=reference, image=claimed(ana, photo(ANA, 2)))
    store_probe(user_id=ana.pk, content=drawings.as_jpeg(drawings.draw(ANA, light=0.9)))
    enrolled(ben, BEN)
    template = template_of(reference)
    shown = [bytes(reference.vector_encrypted), bytes(reference.crop_encrypted), template.crop, *template.fingerprints]
    shown += [path.read_bytes() for path in files(store)]

    erase_user(user_id=ana.pk)
    outbox.deliver_due()

    assert files(store) == []
    everything = whole_database()
    assert [face for face in shown if face.hex().encode() in everything] == []
    assert bytes(current_reference(user_id=ben.pk).vector_encrypted).hex().encode() in everything
    assert consent_of(user_id=ana.pk) is None
    assert breaches()["faces.only_with_consent"] == []


def whole_database():
    """Every row of every table, as text; bytes are hexadecimal in it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'")
        tables = [row[0] for row in cursor.fetchall()]
        parts = []
        for table in tables:
            cursor.execute(f"SELECT coalesce(string_agg(t::text, ' '), '') FROM {table} t")
            parts.append(cursor.fetchone()[0].encode())
    return b" ".join(parts)


def test_erasure_is_tried_until_the_file_is_gone(ana, store, monkeypatch):
    agree(ana)
    claimed(ana, photo(ANA, 1))
    erase_faces(user_id=ana.pk, cancel=False)
    real = storage.erase

    def broken(name):
        raise OSError("the disk is away")

    monkeypatch.setattr(storage, "erase", broken)
    outbox.deliver_due()
    assert len(files(store)) == 1
    assert OutboxMessage.objects.filter(topic="faceverify.erase_file", done_at=None).count() == 1

    monkeypatch.setattr(storage, "erase", real)
    OutboxMessage.objects.update(due_at=timezone.now())
    outbox.deliver_due()
    assert files(store) == []


# -- Staff ------------------------------------------------------------------------------------------------------------


def test_every_look_of_staff_is_written_down(ana, reviewer):
    reference, image = enrolled(ana), claimed(ana, photo(ANA, 1))

    picture = image_for_review(image_id=image.pk, staff=reviewer, reason="third miss")
    crop = crop_for_review(reference_id=reference.pk, staff=reviewer, reason="third miss")

    assert ENGINE.alike(ENGINE.enrol([seen(ANA)]), ENGINE.enrol([seen(ANA, 1)])) > 97
    assert picture.startswith(b"\xff\xd8")
    assert crop.startswith(b"\xff\xd8")
    views = FaceView.objects.order_by("id").values_list("staff", "subject", "kind", "object_id", "reason")
    assert list(views) == [
        (reviewer.pk, ana.pk, "image", image.pk, "third miss"),
        (reviewer.pk, ana.pk, "reference", reference.pk, "third miss"),
    ]


def test_faces_are_not_shown_to_everybody(ana, reviewer, user_factory):
    image = claimed_after_consent(ana)
    other_staff = user_factory(is_staff=True)

    for who, why in ((ana, "mine"), (other_staff, "curious"), (reviewer, "  ")):
        with pytest.raises(ViewRefused):
            image_for_review(image_id=image.pk, staff=who, reason=why)
    assert FaceView.objects.count() == 0


def claimed_after_consent(user):
    agree(user)
    return claimed(user, photo(ANA, 1))


def test_deleted_faces_can_not_be_shown(ana, reviewer, settings):
    settings.FACE_KEEP_CROP = False
    reference, image = enrolled(ana), claimed(ana, photo(ANA, 1))
    discard_image(image_id=image.pk)

    with pytest.raises(ImageNotFound):
        image_for_review(image_id=image.pk, staff=reviewer, reason="late")
    with pytest.raises(ImageNotFound, match="Ask for an ID"):
        crop_for_review(reference_id=reference.pk, staff=reviewer, reason="late")


# -- Facts ------------------------------------------------------------------------------------------------------------


def test_transparency_tells_the_facts(settings):
    facts = queries.transparency()

    assert (facts.engine, facts.threshold, facts.attempts, facts.processor) == ("local", 80.0, 3, None)
    assert facts.figures.strangers_accepted_at_most == 0.037
    assert facts.policy.version == current_policy().version
    settings.FACE_ENGINE, settings.AWS_REGION = "rekognition", "eu-central-1"
    assert queries.transparency().processor == "Amazon Web Services, region eu-central-1"
    assert queries.transparency().figures is None


def test_records_of_a_person_hold_no_face(ana, reviewer):
    reference, image = enrolled(ana), claimed(ana, photo(ANA, 1))
    crop_for_review(reference_id=reference.pk, staff=reviewer, reason="check")
    discard_image(image_id=image.pk)

    records = queries.records_of(ana.pk)

    assert {name: len(rows) for name, rows in records.items()} == {
        "consents": 1,
        "references": 1,
        "images": 1,
        "liveness_checks": 0,
        "looks_by_staff": 1,
        "deletions": 1,
    }
    assert "encrypted" not in str(records)
    assert str(reviewer.pk) not in str(records)


def test_logs_say_that_something_happened_and_nothing_of_the_face(ana):
    import structlog

    with structlog.testing.capture_logs() as entries:
        reference = enrolled(ana)
        compare(reference=reference, image=claimed(ana, photo(ANA, 1)))
        withdraw_consent(user_id=ana.pk)

    assert {entry["event"] for entry in entries} == {"faces.enrolled", "faces.consent_withdrawn"}
    assert {name for entry in entries for name in entry} <= {"event", "log_level", "user", "reference", "photos"}
