"""Waiting for a worker a little, so that most answers about a face come at once."""

import threading
import time
from uuid import UUID

from django.conf import settings

from gate.models import FaceCheck
from gate.queries import decided_check

POLL_SECONDS = 0.05
# Threads that wait serve nobody else: at most a quarter of a process may.
waiting_room = threading.BoundedSemaphore(max(1, settings.WEB_THREADS // 4))


def await_check(check_id: UUID) -> FaceCheck | None:
    """Look until a comparison is decided, but not for longer than FACE_WAIT_SECONDS, and not with every thread there is."""
    until = time.monotonic() + settings.FACE_WAIT_SECONDS
    if not waiting_room.acquire(blocking=False):
        return decided_check(check_id)
    try:
        while True:
            check = decided_check(check_id)
            if check is not None or time.monotonic() >= until:
                return check
            time.sleep(POLL_SECONDS)
    finally:
        waiting_room.release()
