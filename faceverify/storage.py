"""
Where probes lie: S3 when AWS_STORAGE_BUCKET_NAME is set, else files below DATA_DIR. Nothing here has a web address.

What we write ourselves is encrypted (`faceverify.vault`). Pictures that a client uploads to S3 directly are not, until we fetch
them: they lie below `incoming/`, where the bucket should have a life of one day.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from botocore.exceptions import ClientError
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, Storage, storages
from django.utils import timezone

PROBES = "probes"
INCOMING = "incoming"


class PrivateFiles(FileSystemStorage):
    """Files that only this site reads: no web address, for nobody else on the machine."""

    def __init__(self, **options: Any) -> None:
        super().__init__(file_permissions_mode=0o600, directory_permissions_mode=0o700, **options)

    def url(self, name: str | None) -> str:
        raise ValueError("Faces have no web address.")


def store() -> Storage:
    """Return the store of faces."""
    return storages["faces"]


def is_s3() -> bool:
    """Whether faces lie in S3, so that clients can upload to it directly."""
    return bool(settings.AWS_STORAGE_BUCKET_NAME)


def put(folder: str, key: UUID, content: bytes) -> str:
    """Store something under an opaque name and return the name."""
    return store().save(f"{folder}/{key}", ContentFile(content))


def get(name: str) -> bytes | None:
    """Return what is stored under a name, None if it is gone."""
    try:
        with store().open(name) as file:
            return file.read()
    except FileNotFoundError:
        return None


def size(name: str) -> int | None:
    """Return how many bytes are stored under a name, None if there is nothing."""
    return store().size(name) if store().exists(name) else None


def erase(name: str) -> None:
    """Delete what is stored under a name, with every version of it; nothing there is fine."""
    if is_s3():
        bucket: Any = store().bucket  # type: ignore[attr-defined]
        bucket.object_versions.filter(Prefix=full_name(name)).delete()
    else:
        store().delete(name)


def names(folder: str) -> Iterator[str]:
    """Yield the name of everything in a folder."""
    try:
        yield from (f"{folder}/{name}" for name in store().listdir(folder)[1])
    except FileNotFoundError:
        return


def age_mark(name: str) -> datetime:
    """Return when something was stored; now, if it is gone."""
    try:
        return store().get_modified_time(name)
    except FileNotFoundError:
        return timezone.now()
    except ClientError as error:  # S3 says it in its own way
        if error.response["Error"]["Code"] not in {"404", "NoSuchKey"}:
            raise
        return timezone.now()


def presign(name: str, *, seconds: int) -> dict[str, Any]:
    """Return the address and form fields with which a client uploads one picture to S3, for some seconds."""
    storage: Any = store()
    return storage.bucket.meta.client.generate_presigned_post(
        storage.bucket_name,
        full_name(name),
        Conditions=[["content-length-range", 1, settings.FACE_MAX_BYTES]],
        ExpiresIn=seconds,
    )


def full_name(name: str) -> str:
    """Return a name as the bucket knows it."""
    location = store().location.strip("/")  # type: ignore[attr-defined]
    return f"{location}/{name}" if location else name
