"""What faces do in the background: they go."""

from typing import Any

from common import jobs, outbox
from faceverify import storage
from faceverify.services import deletion


@outbox.handler(deletion.ERASE_FILE)
def erase_file(dedupe_key: str, payload: dict[str, Any]) -> None:
    """Delete a file from the store; the outbox tries until it is gone."""
    storage.erase(payload["name"])


@jobs.periodic("faceverify.purge", every="PURGE_SECONDS")
def purge_biometrics() -> int:
    """Delete what has reached its time."""
    return deletion.purge().total
