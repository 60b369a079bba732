"""What happens to a person's places in line when their account is erased (a step of settings.ERASURE_STEPS)."""

from functools import partial
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models.functions import Now

from bookings.waitingroom import services
from bookings.waitingroom.models import Place
from bookings.waitingroom.refusals import NotInLine
from bookings.waitingroom.wishes import Wish
from common.errors import Unavailable

log = structlog.get_logger(__name__)


def leave_lines(*, user_id: UUID, **_: object) -> None:
    """Give up every place that a person has. Their entries in published lists name nobody and stay."""
    with transaction.atomic():
        places = Place.objects.filter(user_id=user_id, state__in=Place.LIVE)
        events = list(places.values_list("event_id", flat=True))
        Wish.objects.filter(user_id=user_id).delete()
        places.update(state=Place.State.LEFT, outcome="left", ended_at=Now())
        for event_id in events:
            transaction.on_commit(partial(leave_line, user_id, event_id), robust=True)


def leave_line(user_id: UUID, event_id: UUID) -> None:
    """Take them out of Redis too; should it be away, their row says that they left when it is filled again."""
    try:
        services.leave(user_id=user_id, event_id=event_id, with_hold=True)
    except (NotInLine, Unavailable) as error:
        log.info("line.erased_person", line=str(event_id), why=error.code)
