"""
Which lines a browser stands in: a signed cookie, so that asking for a place costs no session, no person and no event to load.

It names a person, but lets nobody do anything: it answers where that person stands, and marks them as present.
"""

from dataclasses import dataclass, replace
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse

NAME = "line"
SALT = "waitingroom.line"
SECONDS = 86_400
KEPT = 3
LONGEST_NAME = 60


@dataclass(frozen=True)
class Stub:
    """One line: its event, and the place that this browser saw first."""

    event_id: UUID
    name: str
    most: int
    first: int | None = None


@dataclass(frozen=True)
class Stubs:
    """Whose lines these are, newest last."""

    user_id: UUID
    stubs: tuple[Stub, ...] = ()

    def of(self, event_id: UUID) -> Stub | None:
        """Return the stub of one event."""
        return next((stub for stub in self.stubs if stub.event_id == event_id), None)

    def with_stub(self, stub: Stub) -> "Stubs":
        """Return these with one more, or with the one of that event exchanged; the oldest goes when there are too many."""
        others = [other for other in self.stubs if other.event_id != stub.event_id]
        return replace(self, stubs=(*others, stub)[-KEPT:])

    def without(self, event_id: UUID) -> "Stubs":
        return replace(self, stubs=tuple(stub for stub in self.stubs if stub.event_id != event_id))


def read(request: HttpRequest) -> Stubs | None:
    """Return the lines that a browser says it stands in, if we said so ourselves within a day."""
    raw = request.COOKIES.get(NAME)
    if not raw:
        return None
    try:
        user, stubs = signing.loads(raw, salt=SALT, max_age=SECONDS)
        return Stubs(UUID(hex=user), tuple(Stub(UUID(hex=pk), name, most, first) for pk, name, most, first in stubs))
    except (signing.BadSignature, ValueError, TypeError):
        return None


def write(response: HttpResponse, stubs: Stubs) -> None:
    """Keep these lines in the browser, or forget them all when there are none."""
    if not stubs.stubs:
        response.delete_cookie(NAME, samesite="Lax")
        return
    plain = [[stub.event_id.hex, stub.name[:LONGEST_NAME], stub.most, stub.first] for stub in stubs.stubs]
    response.set_cookie(
        NAME,
        signing.dumps([stubs.user_id.hex, plain], salt=SALT, compress=True),
        max_age=SECONDS,
        httponly=True,
        secure=settings.SESSION_COOKIE_SECURE,
        samesite="Lax",
    )
