"""`manage.py queue rebuild|status|pause|resume|admit|open|close EVENT`: an operator's hands on one line."""

import json
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from redis.exceptions import RedisError

from accounts.models import User
from bookings.waitingroom import services, store
from bookings.waitingroom.models import Place, WaitingRoom
from common.errors import FairseatError

ACTS = ("status", "rebuild", "open", "pause", "resume", "admit", "rate", "message", "close", "tick")


class Command(BaseCommand):
    help = "Look at one event's line, or take it in hand."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("act", choices=ACTS)
        parser.add_argument("event", type=UUID, help="the event's id")
        parser.add_argument("--reason", default="", help="pause: what people in line are told; admit: why")
        parser.add_argument("--user", default="", help="admit: the person's address")
        parser.add_argument("--per-minute", type=int, help="rate: people let in per minute; without it no limit")
        parser.add_argument("--text", default="", help="message: what everyone in line is shown; without it nothing")
        parser.add_argument("--json", action="store_true", help="status as JSON")

    def handle(self, *args: Any, act: str, event: UUID, **options: Any) -> None:
        try:
            getattr(self, f"do_{act}")(event, options)
        except FairseatError as error:
            raise CommandError(error.text) from error
        except RedisError as error:
            raise CommandError(f"The line's Redis does not answer: {error}") from error

    def do_status(self, event: UUID, options: dict[str, Any]) -> None:
        """Print how the line is in both stores."""
        facts = facts_of(event)
        if options["json"]:
            self.stdout.write(json.dumps(facts))
            return
        for name, value in facts.items():
            self.stdout.write(f"{name:>16}: {value}")

    def do_rebuild(self, event: UUID, options: dict[str, Any]) -> None:
        services.ensure_room(event)
        self.stdout.write(f"{services.rebuild(event)} people are at their places again.")

    def do_open(self, event: UUID, options: dict[str, Any]) -> None:
        services.open_line(event, reason=options["reason"])
        self.stdout.write("The line is open.")

    def do_pause(self, event: UUID, options: dict[str, Any]) -> None:
        services.pause(event, reason=options["reason"])
        self.stdout.write("Nobody is let in until `resume`.")

    def do_resume(self, event: UUID, options: dict[str, Any]) -> None:
        services.resume(event, reason=options["reason"])
        self.stdout.write("People are let in again.")

    def do_admit(self, event: UUID, options: dict[str, Any]) -> None:
        person = User.objects.filter(email=options["user"].strip().lower()).first()
        if person is None:
            raise CommandError("There is nobody with that address: name one with --user.")
        services.admit(event, user_id=person.pk, actor_id=None, reason=options["reason"])
        self.stdout.write("It is their turn.")

    def do_rate(self, event: UUID, options: dict[str, Any]) -> None:
        services.set_rate(event, per_minute=options["per_minute"], reason=options["reason"])
        self.stdout.write(f"At most {options['per_minute'] or 'as many as fit'} are let in per minute.")

    def do_message(self, event: UUID, options: dict[str, Any]) -> None:
        services.set_message(event, message=options["text"])
        self.stdout.write("Everyone in line sees it with their next look.")

    def do_close(self, event: UUID, options: dict[str, Any]) -> None:
        services.close(event, reason=options["reason"])
        self.stdout.write("The line is closed.")

    def do_tick(self, event: UUID, options: dict[str, Any]) -> None:
        self.stdout.write(f"{services.tick(event)} were let in.")


def facts_of(event_id: UUID) -> dict[str, Any]:
    """
    Return how a line is: its room, Redis, and how far PostgreSQL is behind.

    :raises NoLine: if the event has none
    """
    room = services.ensure_room(event_id)
    facts: dict[str, Any] = {"state": str(room.state), "epoch": room.epoch}
    try:
        now = store.snapshot(event_id)
    except store.Stale:
        facts["redis"] = "empty: the next tick fills it, or `queue rebuild` does"
    else:
        facts |= {
            "redis": "in order" if now.epoch == room.epoch else f"of epoch {now.epoch}: `queue rebuild` fills it",
            "waiting": now.waiting + now.drawing,
            "called": now.called,
            "active": now.active,
            "holding": now.holding,
            "away": now.parked,
            "max_active": now.most,
            "seats_left": now.seats,
            "admitted_per_minute": None if now.speed is None else round(now.speed * 60, 1),
            "not_written_down": now.journal_length,
        }
    live = Place.objects.filter(event_id=event_id, state__in=Place.LIVE)
    facts["in_postgresql"] = live.count()
    facts["list_size"] = WaitingRoom.objects.values_list("list_size", flat=True).get(pk=event_id)
    return facts
