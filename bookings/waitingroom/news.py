"""
What people in line are told, each once for one line: it is nearly their turn, it is their turn, nothing is left.

Nobody who looks at the page is mailed that their turn is near: the page says so. Who closed it is, in time to come back.
"""

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now
from redis.exceptions import RedisError

from accounts.models import Notification
from accounts.notifications import Kind, notify_many, register
from bookings.waitingroom import store, wishes
from bookings.waitingroom.models import Place, WaitingRoom
from common import jobs
from events.models import Event

log = structlog.get_logger(__name__)

GROUP = "line"
FEWEST = 3  # people at the front who are told although the line stands still
CHUNK = 1000

NEARLY = register(
    Kind(
        name="line_nearly",
        title="Nearly your turn: {event}",
        body="You are almost at the front of the line. Open its page now: when it is your turn you have {claim} to come, and"
        " then {slot} to choose tickets. If you miss it your place is kept once.",
        sms=True,
        group=GROUP,
        template="notice",
    )
)
YOUR_TURN = register(
    Kind(
        name="line_your_turn",
        title="It’s your turn: {event}",
        body="Come and choose your tickets now. You have {claim} to come, and then {slot} to choose.",
        sms=True,
        group=GROUP,
        template="notice",
    )
)
SOLD_OUT = register(
    Kind(
        name="line_sold_out",
        title="Sold out: {event}",
        body="Tickets sold out before your turn. Some may come back, and the waitlist keeps the order of the line: say once"
        " that you want to be on it, and you stand where you stood.",
        group=GROUP,
        template="notice",
    )
)

ACTIONS = {NEARLY.name: "See your place", YOUR_TURN.name: "Choose tickets", SOLD_OUT.name: "Keep my place"}


def page_of(event_id: UUID) -> str:
    """Return the path of a line's page."""
    return f"/events/{event_id}/line"


def tell_nearly(*, room: WaitingRoom) -> int:
    """
    Tell those who are near the front, or were passed over, and are not looking; return how many had not been told before.

    :raises store.Stale: if Redis lost the line
    :raises redis.RedisError: if Redis does not answer
    """
    raw = store.call("away", room.event_id, settings.QUEUE_NEARLY_SECONDS, FEWEST)
    told = Notification.objects.filter(user_id=OuterRef("user_id"), kind=NEARLY.name, cause=str(room.event_id))
    passed_over = Place.objects.filter(~Exists(told), event_id=room.event_id, state=Place.State.PARKED)
    people = {UUID(bytes=user) for user in raw[2]} | set(passed_over.values_list("user_id", flat=True)[:CHUNK])
    return tell(NEARLY, room.event, people)


def tell_turn(*, room: WaitingRoom) -> int:
    """Tell those whose turn it is: on the site, and by mail who asked for that; return how many had not been told before."""
    called = Place.objects.filter(
        event_id=room.event_id,
        state__in=[Place.State.CALLED, Place.State.ACTIVE],
        called_at__gte=Now() - timedelta(hours=1),
    )
    people = set(called.filter(booking=None).values_list("user_id", flat=True))
    asked = wishes.who_wants_mail(event_id=room.event_id, user_ids=people)
    return tell(YOUR_TURN, room.event, people & asked)


def tell_sold_out(*, event_id: UUID, limit: int) -> int:
    """Tell those who stood in a line that sold out and did not ask for the waitlist; return how many."""
    people = wishes.to_tell(event_id=event_id, limit=limit)
    if people:
        tell(SOLD_OUT, Event.objects.get(pk=event_id), people)
    return len(people)


def tell(kind: Kind, event: Event, people: Collection[UUID]) -> int:
    """Tell people one kind of news about a line, once per person and line."""
    if not people:
        return 0
    return notify_many(
        user_ids=people,
        kind=kind.name,
        cause=str(event.pk),
        url=page_of(event.pk),
        event=event.name,
        claim=in_words(settings.QUEUE_CLAIM_SECONDS),
        slot=in_words(settings.QUEUE_SLOT_SECONDS),
        action=ACTIONS[kind.name],
    )


def in_words(seconds: int) -> str:
    """Say a setting in minutes where it is whole minutes."""
    if seconds % 60:
        return f"{seconds} seconds"
    return f"{seconds // 60} minute{'' if seconds == 60 else 's'}"


@jobs.periodic("waitingroom.tell", every="QUEUE_PROMOTE_SECONDS")
def tell_all() -> int:
    """Tell whom there is something to tell in every line that moves, and return how many people that were."""
    count = 0
    for room in WaitingRoom.objects.filter(state=WaitingRoom.State.OPEN).select_related("event"):
        try:
            count += tell_nearly(room=room)
        except (store.Stale, RedisError) as error:
            log.warning("line.not_asked", line=str(room.event_id), error=type(error).__name__)
        count += tell_turn(room=room)
    return count
