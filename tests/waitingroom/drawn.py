"""Lines whose lobby was drawn, made through the services."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from accounts.models import User
from bookings.waitingroom import services
from events.models import Event
from tests.factories import EventFactory, TicketCategoryFactory


def event_with_lobby(capacity: int = 1000, **fields: Any) -> Event:
    """Return an event on sale in ten minutes whose lobby is open."""
    fields = {"sale_starts_at": timezone.now() + timedelta(minutes=10), "queue_enabled": True} | fields
    event = EventFactory(**fields)
    TicketCategoryFactory(event=event, name="Standing", capacity=capacity)
    services.tick_all()
    return event


def people(count: int, name: str = "person") -> list[User]:
    """Make people who can not log in."""
    return User.objects.bulk_create(User(email=f"{name}{n}@line.test", password="!") for n in range(count))


def join_all(event: Event, crowd: list[User]) -> None:
    for person in crowd:
        services.join(user_id=person.pk, event_id=event.pk)


def drawn_line(count: int = 12, late: int = 0, **fields: Any) -> tuple[Event, list[User]]:
    """Return an event whose lobby of `count` people was drawn, with `late` people behind them, and all of these people."""
    event = event_with_lobby(**fields)
    crowd = people(count)
    join_all(event, crowd)
    services.open_line(event.pk)
    behind = people(late, "late")
    join_all(event, behind)
    services.tick(event.pk)
    return event, [*crowd, *behind]
