"""
Demo accounts and events, made through the same services as everything else, so that the seats add up.

Running it again changes nothing while the demo events are still what they are meant to show. Where time has passed them by it
makes new ones (or moves a sale that has opened meanwhile), so the shop makes sense next month too.
"""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group
from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts.authentication import issue_access_token
from accounts.models import User
from accounts.roles import ROLES
from bookings.models import Booking, Ticket
from bookings.services import confirm_booking, hold_seats
from common.models import OutboxMessage
from events.models import Event, TicketCategory
from events.services import NewCategory, complete_event, create_event, update_event
from faceverify import services as faces
from faceverify.drawings import DEMO_FACES, photo
from faceverify.models import BiometricConsent
from faceverify.policy import current_policy
from faceverify.refusals import EngineTrouble
from waitlist.services import join_as_buyer

PASSWORD = "demo-Fairseat-1"  # noqa: S105 - printed on purpose
ACCOUNTS = [
    ("staff@demo.test", "Sam Okafor", {"is_staff": True, "is_superuser": True}, "staff"),
    ("organiser@demo.test", "Olga Brandt", {"is_organiser": True}, "organiser"),
    ("ana@demo.test", "Ana Silva", {}, "attendee"),
    ("ben@demo.test", "Ben Adeyemi", {}, "attendee"),
    ("manager@demo.test", "Mara Lind", {"is_staff": True}, "manager"),
    ("boxoffice@demo.test", "Bo Keller", {"is_staff": True}, "box_office"),
    ("gate@demo.test", "Gil Moreau", {"is_staff": True}, "gate"),
    ("support@demo.test", "Suki Tan", {"is_staff": True}, "support"),
]
FIRST_NAMES = (
    "Aiko",
    "Bram",
    "Chiara",
    "Dmitri",
    "Elif",
    "Femi",
    "Greta",
    "Hugo",
    "Ines",
    "Jonas",
    "Kalina",
    "Luca",
    "Mina",
)
LAST_NAMES = ("Abel", "Bauer", "Costa", "Diallo", "Eriksen", "Fontaine", "Gruber", "Haas", "Ito", "Jansen")
CHOOSE_TOGETHER = (2, 4, 2, 3, 1, 2, 5, 2, 1, 4)  # how many tickets the invented people buy, over and over


@dataclass(frozen=True)
class Demo:
    """One demo event: what it is, when, and how many tickets of each category are gone."""

    key: str
    name: str
    location: str
    zone: str
    days: int
    begins: time
    hours: float
    description: str
    categories: list[NewCategory]
    taken: tuple[int, ...] = ()
    waiting: tuple[tuple[int, bool], ...] = ()  # who waits for it: how many tickets, and whether all together
    sale_opens_in_days: int | None = None
    details: dict[str, Any] = field(default_factory=dict)

    def times(self, now: datetime) -> dict[str, datetime]:
        """Return when it starts and ends (and its sale opens), as seen from `now`."""
        zone = ZoneInfo(self.zone)
        today = now.astimezone(zone).date()
        starts_at = datetime.combine(today + timedelta(days=self.days), self.begins, zone).astimezone(UTC)
        found = {"starts_at": starts_at, "ends_at": starts_at + timedelta(hours=self.hours)}
        if self.sale_opens_in_days is not None:
            opens_on = today + timedelta(days=self.sale_opens_in_days)
            found["sale_starts_at"] = datetime.combine(opens_on, time(10), zone).astimezone(UTC)
        return found


EVENTS = [
    Demo(
        "on_sale",
        "Lanterns on the River",
        "Elbe Meadows, Dresden",
        "Europe/Berlin",
        24,
        time(20),
        3.5,
        "Four bands on a floating stage, two thousand paper lanterns, and the last ferry home waits for everybody.\n\n"
        "Doors open at 18:30. Bring a blanket: the meadow is grass, the evening is cool, and the best places are by the water. "
        "The terrace has chairs, a roof and its own bar.",
        [
            NewCategory("Meadow", 3900, capacity=400, description="Standing and sitting on the grass."),
            NewCategory("Terrace", 6900, capacity=120, description="A chair under the roof, beside the stage."),
        ],
        (61, 34),
    ),
    Demo(
        "selling_out",
        "Six Cooks, One Table",
        "The Old Grain Hall, Copenhagen",
        "Europe/Copenhagen",
        11,
        time(18, 30),
        4,
        "Six cooks from six kitchens share one long table and cook one course each, telling you where it comes from.\n\n"
        "The menu is set and meatless; tell us about allergies when you arrive. Drinks are included, so is the walk through "
        "the smokehouse.",
        [NewCategory("Seat at the table", 8500, capacity=60)],
        (56,),
    ),
    Demo(
        "sold_out",
        "Mira Holt: Small Rooms",
        "Studio 3, Funkhaus, Berlin",
        "Europe/Berlin",
        17,
        time(21),
        1.5,
        "One piano, forty-eight chairs and no amplification. Mira Holt plays her new record from beginning to end, the way it "
        "was written: for a room you can whisper in.\n\nPlease come on time. Doors close with the first note.",
        [NewCategory("General admission", 4200, capacity=48)],
        (48,),
        waiting=((1, False), (2, True), (1, False), (3, False), (2, False)),
    ),
    Demo(
        "upcoming",
        "Harbour Lights Festival",
        "Pier 7, Lisbon",
        "Europe/Lisbon",
        74,
        time(16),
        8,
        "Two stages, eleven acts and the sunset in between. Harbour Lights is back on the pier for one long Saturday.\n\n"
        "Early tickets are for everybody: there is no presale and no fan club. When the sale opens, it opens for all.",
        [
            NewCategory("Day ticket", 5900, capacity=1500),
            NewCategory("Upper deck", 11900, capacity=200, description="View of both stages, with seats and shade."),
        ],
        sale_opens_in_days=6,
    ),
    Demo(
        "free",
        "Repair What You Own",
        "Public Library, Utrecht",
        "Europe/Amsterdam",
        9,
        time(11),
        5,
        "Bring the lamp that flickers, the coat with the broken zip, the radio your grandfather left you. Twelve volunteers "
        "with tools and patience help you mend it.\n\nFree, because things should be repaired. Take a ticket so that we know "
        "how many chairs to put out.",
        [NewCategory("Visitor", 0, capacity=80)],
        (23,),
        details={"max_tickets_per_booking": 4},
    ),
    Demo(
        "numbered",
        "The Winter's Tale",
        "Theatre by the Canal, Ghent",
        "Europe/Brussels",
        38,
        time(19, 30),
        2.75,
        "Sixteen years pass in one line, a statue breathes, and the most famous bear in drama leaves by the left. "
        "A new production with live strings.\n\nSung and spoken in English, with surtitles. One interval.",
        [
            NewCategory("Stalls", 6400, rows=10, seats_per_row=14),
            NewCategory("Balcony", 3800, rows=4, seats_per_row=12),
        ],
        (57, 12),
    ),
    Demo(
        "face_check",
        "Ada Verne: Ten Years, One Night",
        "Roundhouse Nord, Hamburg",
        "Europe/Berlin",
        52,
        time(20, 30),
        3,
        "One anniversary, one concert, no second date. Ada Verne plays the songs of ten years with the band she began with.\n\n"
        "Tickets are personal. You show your face once before you buy and once at the door, or ask a person to check your ID "
        "instead: both ways are equal.",
        [NewCategory("Standing", 7200, capacity=600), NewCategory("Gallery", 9800, capacity=150)],
        sale_opens_in_days=9,
        details={
            "requires_face_verification": True,
            "face_necessity": "Last year most tickets for this artist were resold at ten times their price within an hour. "
            "A face check keeps them with the people who bought them. If you would rather not, ask a person to check your "
            "ID instead.",
        },
    ),
    Demo(
        "face_open",
        "Noor Amari: By Candlelight",
        "Kaisaniemi Greenhouse, Helsinki",
        "Europe/Helsinki",
        31,
        time(19),
        2,
        "A voice, a cello and four hundred candles under glass. Noor sings among the palms, once in the early evening and "
        "not again.\n\nTickets are personal: you show your face once before you take yours, or a person checks your ID. Up to "
        "three a booking, and everybody who comes with you is invited by mail and checked, too.",
        [
            NewCategory("Among the palms", 3400, capacity=180),
            NewCategory("By the pond", 4600, capacity=40, description="Nearer, with a table and a pot of tea."),
        ],
        details={
            "requires_face_verification": True,
            "max_tickets_per_booking": 3,
            "face_necessity": "The greenhouse holds few people and tickets were resold for a multiple of their price. With "
            "a face check a ticket stays with the person who comes. If you would rather not, ask a person to check your ID.",
        },
    ),
    Demo(
        "past",
        "Autumn Letters: A Reading",
        "Bookshop Zur Linde, Vienna",
        "Europe/Vienna",
        -6,
        time(19),
        2,
        "Five writers read letters they never sent. With soup, candles and a box at the door for a letter of your own.",
        [NewCategory("Chair", 1200, capacity=45)],
        (39,),
    ),
]


class Command(BaseCommand):
    help = "Make the demo accounts and nine demo events in different states; running it again changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print what there is as JSON.")
        parser.add_argument(
            "--users",
            type=int,
            default=0,
            metavar="N",
            help="Make N more attendees and print an access token for each.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        made: list[str] = []
        with transaction.atomic():
            accounts = [demo_account(*account) for account in ACCOUNTS]
            organiser = accounts[1]
            events = {}
            for demo in EVENTS:
                event, is_new = demo_event(demo, organiser, now)
                events[demo.key] = event
                if is_new:
                    made.append(event.name)
            crowd = list(invented_people(options["users"], "user")) if options["users"] else []
        enrolled = [person.email for person in accounts if has_demo_face(person)]
        if options["json"]:
            self.stdout.write(json.dumps(report(accounts, events, crowd, made, now, enrolled), indent=2))
            return
        self.stdout.write(f"Demo events made: {', '.join(made)}." if made else "The demo events are there already.")
        for email, name, _, role in ACCOUNTS:
            self.stdout.write(f"  {role:<10} {email:<22} {PASSWORD}   ({name})")
        if not enrolled:
            self.stdout.write("  No faces are enrolled: the engine that checks them is not installed, or is not ours.")
        for person in crowd:
            self.stdout.write(f"  {person.email} {issue_access_token(user=person, now=now)}")


def report(
    accounts: list[User],
    events: dict[str, Event],
    crowd: list[User],
    made: list[str],
    now: datetime,
    enrolled: list[str],
) -> dict[str, Any]:
    """Return what `--json` prints."""
    return {
        "accounts": [
            {
                "id": str(person.pk),
                "email": person.email,
                "password": PASSWORD,
                "role": role,
                "face": person.email in enrolled,
            }
            for person, (_, _, _, role) in zip(accounts, ACCOUNTS, strict=True)
        ],
        "events": [
            {"id": str(event.pk), "demo": key, "name": event.name, "status": event.status, "new": event.name in made}
            for key, event in events.items()
        ],
        "users": [
            {"id": str(person.pk), "email": person.email, "access": issue_access_token(user=person, now=now)}
            for person in crowd
        ],
    }


def demo_account(email: str, name: str, rights: dict[str, bool], role: str) -> User:
    """Return the account with this address, made if it is not there; one that somebody changed stays as it is."""
    known = User.objects.filter(email=email).first()
    if known is not None:
        return known
    made = User.objects.create_user(email, PASSWORD, name=name, **rights)
    if role in ROLES and made.is_staff:
        made.groups.add(Group.objects.get(name=role))
    return made


def has_demo_face(person: User) -> bool:
    """
    Whether somebody of the demo has their drawn face enrolled, by the engine that checks it; it is enrolled if it can be.

    Who took their consent back stays without, and so do all where the engine is not installed or is not ours.
    """
    drawn = DEMO_FACES.get(person.email)
    if drawn is None or settings.FACE_ENGINE != "local":
        return False
    if faces.current_reference(user_id=person.pk) is not None:
        return True
    if faces.consent_of(user_id=person.pk) is None:
        if BiometricConsent.objects.filter(user=person).exists():
            return False
        faces.give_consent(user_id=person.pk, policy_version=current_policy().version, method="api")
    try:
        faces.enrol(user_id=person.pk, photos=[photo(drawn)])
    except EngineTrouble:
        return False
    return True


def demo_event(demo: Demo, organiser: User, now: datetime) -> tuple[Event, bool]:
    """Return the demo event as it is meant to be seen at `now`, and whether it had to be made."""
    past = demo.days < 0
    wanted = Event.Status.COMPLETED if past else Event.Status.PUBLISHED
    known = Event.objects.filter(created_by=organiser, name=demo.name, status=wanted, deleted_at=None)
    event = (known if past else known.filter(starts_at__gt=now)).order_by("-starts_at").first()
    if event is None:
        return new_demo_event(demo, organiser, now), True
    if demo.sale_opens_in_days is not None and event.sale_starts_at and event.sale_starts_at <= now:
        event = update_event(event_id=event.pk, **demo.times(now))
    return event, False


def new_demo_event(demo: Demo, organiser: User, now: datetime) -> Event:
    """Make the event, sell what is to be sold, and if it is a past one let the time pass."""
    times = demo.times(now)
    past = demo.days < 0
    ahead = timedelta(days=30) if past else timedelta(0)
    event = create_event(
        created_by_id=organiser.pk,
        name=demo.name,
        location=demo.location,
        timezone=demo.zone,
        description=demo.description,
        categories=demo.categories,
        **{name: at + ahead for name, at in times.items()},
        **demo.details,
    )
    people = iter(invented_people(60, "guest"))
    for category, taken in zip(event.categories.all(), demo.taken, strict=False):
        sell(event, category, taken, people)
    for quantity, together in demo.waiting:
        wait(event, quantity, together, next(people))
    if past:
        # Seats are only sold before an event, so it was sold as a coming one and is now moved to where it belongs.
        Event.objects.filter(pk=event.pk).update(**times)
        event = complete_event(event_id=event.pk)
    spread_over_time(Booking.objects.filter(event=event), before=min(now, times["starts_at"]))
    return event


def sell(event: Event, category: TicketCategory, count: int, people: Any) -> None:
    """Sell `count` tickets to invented people at the box office, a few each, by the same hold and confirmation as any sale."""
    turn = 0
    while count:
        quantity = min(CHOOSE_TOGETHER[turn % len(CHOOSE_TOGETHER)], count, event.max_tickets_per_booking)
        booking = hold_seats(
            user_id=next(people).pk, category_id=category.pk, event_id=event.pk, quantity=quantity, source="staff"
        )
        if booking.status == Booking.Status.PENDING:
            confirm_booking(booking_id=booking.pk)
        count -= quantity
        turn += 1


def wait(event: Event, quantity: int, together: bool, person: User) -> None:
    """Put an invented person on the waitlist as they would themselves, and mail nobody about it."""
    join_as_buyer(user_id=person.pk, event_id=event.pk, quantity=quantity, all_together=together)
    mails = OutboxMessage.objects.filter(dedupe_key__startswith=f"notification_mail:{person.pk}:", done_at=None)
    mails.update(done_at=timezone.now())


def spread_over_time(bookings: QuerySet[Booking], *, before: datetime) -> None:
    """Let these sales have happened over the fortnight before, so that a trend can be seen, and mail nobody about them."""
    keys = []
    for turn, booking_id in enumerate(bookings.order_by("created_at", "pk").values_list("pk", flat=True)):
        at = before - timedelta(hours=3 + turn * 29 % 330)
        Booking.objects.filter(pk=booking_id).update(created_at=at, confirmed_at=at + timedelta(minutes=2))
        Ticket.objects.filter(booking=booking_id).update(issued_at=at + timedelta(minutes=2))
        keys.append(f"tickets_mail:{booking_id}")
    OutboxMessage.objects.filter(dedupe_key__in=keys).update(done_at=timezone.now())


def invented_people(count: int, kind: str) -> QuerySet[User]:
    """Return `count` attendees that nobody can log in as (a token may be made for them), made where they are missing."""
    emails = [f"{kind}{number:04}@demo.test" for number in range(1, count + 1)]
    unusable = make_password(None)
    User.objects.bulk_create(
        (
            User(
                email=email,
                name=f"{FIRST_NAMES[turn % len(FIRST_NAMES)]} {LAST_NAMES[turn * 7 % len(LAST_NAMES)]}",
                password=unusable,
            )
            for turn, email in enumerate(emails)
        ),
        ignore_conflicts=True,
    )
    return User.objects.filter(email__in=emails).order_by("email")
