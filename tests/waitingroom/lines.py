"""Lines for tests: an event with a line, people in it, and the clock of Redis moved for one of them."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.utils import timezone

from bookings.waitingroom import services, store
from bookings.waitingroom.models import Place
from tests.factories import EventFactory, TicketCategoryFactory, UserFactory


def line(*, capacity: int = 100, lobby: bool = False, **event: Any) -> Any:
    """Return a category of an event with a line: open, or (with `lobby`) with a lobby that is open and a sale to come."""
    if lobby:
        event.setdefault("sale_starts_at", timezone.now() + timedelta(minutes=10))
    event = EventFactory(queue_enabled=True, **event)
    category = TicketCategoryFactory(event=event, capacity=capacity)
    services.tick_all()
    return category


def people(count: int) -> list[Any]:
    return [UserFactory() for _ in range(count)]


def join(event: Any, *persons: Any) -> list[services.Standing]:
    return [services.join(user_id=person.pk, event_id=event.pk) for person in persons]


def standing(event: Any, person: Any) -> services.Standing:
    return services.status(user_id=person.pk, event_id=event.pk)


def statuses(event: Any, persons: Iterable[Any]) -> list[str]:
    return [standing(event, person).status for person in persons]


def positions(event: Any, persons: Iterable[Any]) -> list[int | None]:
    return [standing(event, person).position for person in persons]


def members(event: Any, part: str) -> set[bytes]:
    return set(store.client().zrange(store.key(event.pk, part), 0, -1))


def busy(event: Any) -> int:
    return len(members(event, "act")) + len(members(event, "call"))


def past(event: Any, part: str, person: Any) -> None:
    """Have somebody's slot (`act`) or call (`call`) be over since a moment."""
    store.client().zadd(store.key(event.pk, part), {person.pk.bytes: store.milliseconds_now() - 1}, xx=True)


def nobody_present(event: Any) -> None:
    """Have everybody in line be away, and the lenient time after an opening or a restoring be over."""
    store.client().delete(*(store.key(event.pk, part) for part in ("hb0", "hb1", "hb2")))
    store.client().hset(store.key(event.pk, "cfg"), "hbfrom", 0)


def lose(event: Any) -> None:
    """Have Redis lose everything of the line."""
    store.client().delete(*store.keys(event.pk))


def place(event: Any, person: Any) -> Place:
    return Place.objects.get(event=event, user=person)
