"""Faces in S3, against a server on loopback: private, encrypted, uploaded directly, and gone with every version."""

import os
import urllib.request

import boto3
import pytest
from django.test.client import encode_multipart
from django.utils import timezone
from moto.server import ThreadedMotoServer

from common import outbox
from faceverify import drawings, storage
from faceverify.refusals import ImageInvalid, ImageNotFound, ImageTooLarge, UploadPending
from faceverify.services import (
    analyse_probe,
    claim_probe,
    compare,
    discard_image,
    presign_probe,
    purge,
    store_probe,
    withdraw_consent,
)
from tests.faceverify.people import ANA, agree, enrolled, photo

pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
BUCKET = "faces-of-tests"


@pytest.fixture(scope="module")
def server():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield f"http://127.0.0.1:{server.get_host_and_port()[1]}"
    server.stop()


@pytest.fixture
def bucket(server, settings, monkeypatch):
    """An empty bucket that keeps versions."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    bucket = boto3.resource("s3", endpoint_url=server, region_name="us-east-1").Bucket(BUCKET)
    bucket.create()
    bucket.Versioning().enable()
    settings.AWS_STORAGE_BUCKET_NAME = BUCKET
    settings.STORAGES = settings.STORAGES | {
        "faces": {
            "BACKEND": "storages.backends.s3.S3Storage",
            "OPTIONS": {
                "bucket_name": BUCKET,
                "region_name": "us-east-1",
                "endpoint_url": server,
                "location": "faces",
                "default_acl": None,
                "file_overwrite": False,
                "object_parameters": {"ServerSideEncryption": "AES256", "CacheControl": "no-store"},
            },
        }
    }
    yield bucket
    bucket.object_versions.delete()
    bucket.delete()


def upload(address, content):
    """Do what a client does with what it was given."""
    boundary = "fairseat"
    fields = address["fields"] | {"file": drawings.BytesIO(content)}
    body = encode_multipart(boundary, fields)
    kind = f"multipart/form-data; boundary={boundary}"
    request = urllib.request.Request(address["url"], body, {"Content-Type": kind})
    with urllib.request.urlopen(request) as answer:
        assert answer.status in {200, 201, 204}


def test_check_with_s3_from_upload_to_deletion(bucket, ana):
    reference = enrolled(ana)
    key = str(store_probe(user_id=ana.pk, content=photo(ANA, 1)).pk)

    (stored,) = bucket.objects.all()
    assert stored.key == f"faces/probes/{key}"
    assert b"\xff\xd8" not in stored.get()["Body"].read()
    assert stored.get()["ServerSideEncryption"] == "AES256"
    image = claim_probe(user_id=ana.pk, image_key=key)
    assert compare(reference=reference, image=image).passes()

    discard_image(image_id=image.pk)
    outbox.deliver_due()
    assert list(bucket.object_versions.all()) == []


def test_direct_upload_goes_through_the_same_intake(bucket, ana):
    reference = enrolled(ana)
    image, address = presign_probe(user_id=ana.pk)
    with pytest.raises(UploadPending):
        analyse_probe(user_id=ana.pk, image_key=str(image.pk))

    upload(address, photo(ANA, 1))
    assert [item.key for item in bucket.objects.all()] == [f"faces/incoming/{image.pk}"]
    analyse_probe(user_id=ana.pk, image_key=str(image.pk))
    outbox.deliver_due()

    assert {version.object_key for version in bucket.object_versions.all()} == {f"faces/probes/{image.pk}"}
    claimed = claim_probe(user_id=ana.pk, image_key=str(image.pk))
    assert compare(reference=reference, image=claimed).passes()


@pytest.mark.parametrize("content", [b"GIF89a" * 100, b"x" * 30_000], ids=["no picture", "too large"])
def test_unusable_direct_upload_is_deleted(bucket, ana, settings, content):
    settings.FACE_MAX_BYTES = 20_000
    agree(ana)
    image, address = presign_probe(user_id=ana.pk)
    settings.FACE_MAX_BYTES = 40_000
    upload(address, content)
    settings.FACE_MAX_BYTES = 20_000

    with pytest.raises((ImageInvalid, ImageTooLarge)):
        analyse_probe(user_id=ana.pk, image_key=str(image.pk))
    outbox.deliver_due()

    assert list(bucket.object_versions.all()) == []
    with pytest.raises(ImageNotFound):
        claim_probe(user_id=ana.pk, image_key=str(image.pk))


def test_presigned_upload_names_one_key_a_size_and_an_end(bucket, ana, settings):
    import base64
    import json

    agree(ana)
    image, address = presign_probe(user_id=ana.pk)

    policy = json.loads(base64.b64decode(address["fields"]["policy"]))
    assert address["fields"]["key"] == f"faces/incoming/{image.pk}"
    assert ["content-length-range", 1, settings.FACE_MAX_BYTES] in policy["conditions"]
    assert {"key": f"faces/incoming/{image.pk}"} in policy["conditions"]


def test_client_uploads_directly_with_what_the_api_gives(bucket, ana, api):
    agree(ana)

    status, body = api.as_user(ana).post("/api/v1/face-images/presign")
    upload(body["data"], photo(ANA, 1))

    assert status == 201
    assert set(body["data"]) == {"faceImageKey", "expiresAt", "url", "fields"}
    assert claim_probe(user_id=ana.pk, image_key=body["data"]["faceImageKey"]).owner == ana


def test_withdrawing_empties_the_bucket_of_every_version(bucket, ana):
    enrolled(ana)
    image = store_probe(user_id=ana.pk, content=photo(ANA, 1))
    bucket.put_object(Key=f"faces/{image.storage_name}", Body=b"a second version")
    assert len(list(bucket.object_versions.all())) == 2

    withdraw_consent(user_id=ana.pk)
    outbox.deliver_due()

    assert list(bucket.object_versions.all()) == []


def test_purge_sees_files_in_s3(bucket, ana, monkeypatch):
    from datetime import timedelta

    from faceverify.services import deletion

    storage.put(storage.PROBES, "left-behind", b"x")
    monkeypatch.setattr(deletion, "STRAY_AFTER", timedelta(seconds=-60))

    assert purge().stray_files == 1
    assert list(bucket.object_versions.all()) == []


def test_file_that_goes_while_the_purge_looks_is_no_failure(bucket):
    before = timezone.now()

    assert storage.age_mark("probes/gone-meanwhile") >= before
