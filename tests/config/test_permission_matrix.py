"""
Every role at every door: each row of `doors.txt` says who comes through one method of one address.

The doors are taken from the URLconf, so a new one without a row fails. Everything belongs to somebody: the event to C, an
organiser whom staff have let into the admin, the booking and all that hangs on it to h. A mark among those who come through
means an answer that is no refusal; for all others it is 401, 403, 404, 405, or the way to a log-in.

Who is who: - a stranger, a another attendee, h the attendee whose things they are, o another organiser, e another organiser
with access to the admin, C the event's organiser with access to the admin, s support, g gate, b box office, m manager, O owner.
"""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.apps import apps
from django.db import transaction
from django.db.models import OneToOneField, UUIDField
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from accounts.models import Notification
from accounts.services import open_session
from bookings.services import Terms, confirm_booking, create_code
from bookings.waitingroom.services import ensure_room
from config import schedule
from events.models import Event
from payments.models import Attention, Payment, Refund, StripeEvent
from payments.services import begin_comparison
from registrations.services import start_batch
from tests.factories import OrganiserFactory, StaffFactory, TicketCategoryFactory, UserFactory
from tests.registrations.scenes import registered
from tests.waitlist.worlds import hold, join
from webhooks.services import create_endpoint

TABLE = Path(__file__).with_name("doors.txt")
PEOPLE = "-ahoeCsgbmO"
PARTS = 8  # that the test is divided into: all of it takes minutes
METHODS = ("get", "post", "put", "patch", "delete")
NOT_DOORS = {"", "api/v1/schema", "api/v1/schema.yaml"}  # the page for what is not there; the schema by its three ways
PLAIN = ("/add/", "/delete/", "/history/", "/change/", "app_list")

pytestmark = pytest.mark.django_db


def doors(resolver: URLResolver, before: str = "") -> Iterator[tuple[str, URLPattern]]:
    """Yield every address of the URLconf, with the API by its first base alone (the second leads to the same views)."""
    for pattern in resolver.url_patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from doors(pattern, route)
        elif route.startswith("admin/") and route.endswith("/<path:object_id>/"):
            continue  # leads to the same address with /change/
        elif not (route.startswith("api/") and not route.startswith("api/v1/")) and route not in NOT_DOORS:
            yield route, pattern


def wishes() -> list[tuple[str, str]]:
    """Return each method of each door: of API views those they have, of pages reading and sending, of plain lists reading."""
    found = []
    for route, pattern in doors(get_resolver()):
        view = getattr(pattern.callback, "view_class", None) or getattr(pattern.callback, "cls", None)
        if route.startswith("api/"):
            methods = [name for name in METHODS if view is None or hasattr(view, name)]
        else:
            plain = route.startswith("admin/") and (
                any(word in route for word in PLAIN) or (pattern.name or "").endswith(("changelist", "_list"))
            )
            methods = ["get"] if plain else ["get", "post"]
        found += [(name.upper(), route) for name in methods]
    return sorted(set(found), key=lambda wish: (wish[1], METHODS.index(wish[0].lower())))


class World:
    """People of every role, and one thing of every kind that is somebody's."""

    def __init__(self) -> None:
        self.creator = OrganiserFactory(is_staff=True, role="organiser")
        self.holder = UserFactory()
        category = TicketCategoryFactory(capacity=1, event__created_by=self.creator)
        event = category.event
        self.people = {
            "-": None,
            "a": UserFactory(),
            "h": self.holder,
            "o": OrganiserFactory(),
            "e": OrganiserFactory(is_staff=True, role="organiser"),
            "C": self.creator,
            "s": StaffFactory(role="support"),
            "g": StaffFactory(role="gate"),
            "b": StaffFactory(role="box_office"),
            "m": StaffFactory(role="manager"),
            "O": StaffFactory(role="owner"),
        }
        booking = confirm_booking(booking_id=hold(category, self.holder).pk)
        ticket = booking.tickets.get()
        entry = join(category, self.holder)
        registration = registered(self.holder, event)
        endpoint = create_endpoint(organiser_id=self.creator.pk, url="https://93.184.216.34/news").endpoint
        batch = start_batch(
            actor=self.people["m"], action="request_retry", registration_ids=[registration.pk], reason="Matrix"
        )
        code = create_code(event_id=event.pk, actor_id=self.creator.pk, terms=Terms(percent=10), code="SUMMER")
        payment = Payment.objects.create(
            booking=booking,
            intent_id="pi_matrix",
            amount_minor=booking.amount_minor,
            currency=booking.currency,
            status="succeeded",
            received_minor=booking.amount_minor,
            use=Payment.Use.BOOKING,
            settled_at=booking.confirmed_at,
        )
        Refund.objects.create(
            payment=payment, key="matrix", amount_minor=1, currency=booking.currency, reason=Refund.Reason.STAFF
        )
        Attention.objects.create(kind=Attention.Kind.DISPUTED, intent_id="pi_matrix", payment=payment)
        StripeEvent.objects.create(stripe_id="evt_matrix", type="refund.created")
        comparison = begin_comparison(
            since=booking.created_at, until=booking.created_at + timedelta(days=1), staff_id=self.people["m"].pk
        )
        every_minute = IntervalSchedule.objects.create(every=60, period="seconds")
        PeriodicTask.objects.create(name="payments.reconcile", task=schedule.TASK, interval=every_minute)
        told = Notification.objects.create(user=self.holder, kind="joined", cause=str(entry.pk))
        Event.objects.filter(pk=event.pk).update(queue_enabled=True)
        ensure_room(event.pk)
        self.values: dict[str, Any] = {
            "event_id": event.pk,
            "booking_id": booking.pk,
            "reference": booking.reference,
            "code": ticket.code,
            "ticket_id": ticket.pk,
            "user_id": self.holder.pk,
            "waitlist_id": entry.pk,
            "entry_id": entry.pk,
            "registration_id": registration.pk,
            "notification_id": told.pk,
            "webhook_id": endpoint.pk,
            "batch_id": batch.pk,
            "comparison_id": comparison.pk,
            "code_id": code.pk,
            "version": 1,
            "kind": "selfie",
            "token": "not-a-token",
            "app_label": "bookings",
            "url": "no-such-page",
        }

    def address(self, route: str) -> str:
        """Return the address of a door with the ids of this world; of what it does not have, an id of nothing."""
        path = route.replace("^", "").replace("$", "")
        if "(?P<app_label>" in path:
            path = "admin/bookings/"
        path = path.replace("(?P<url>.*)", "no-such-page")
        parts = []
        for part in path.split("/"):
            if "<" in part:
                name = part[part.index("<") + 1 : part.index(">")].rpartition(":")[2]
                value = self.of_admin(route) if name == "object_id" else self.values.get(name, uuid4())
                part = part[: part.index("<")] + str(value) + part[part.index(">") + 1 :]
            parts.append(part)
        return "/" + "/".join(parts)

    def of_admin(self, route: str) -> Any:
        """Return the id of a row that an admin page is about."""
        _, app, model, *_ = route.split("/")
        if app == "r":
            return self.values["event_id"]  # the way from a row to its page, whatever the row
        rows = apps.get_model(app, model).objects.order_by("pk")
        if model == "user":
            rows = rows.filter(pk=self.holder.pk)
        row = rows.first()
        return row.pk if row else UUID(int=0) if isinstance(rows.model._meta.pk, UUIDField | OneToOneField) else 0


def comes_through(client: Client, method: str, path: str, headers: dict[str, str]) -> bool:
    """Whether an answer is no refusal; what the request changed is undone."""
    cookies = client.cookies.copy()
    with transaction.atomic():
        reply = (
            client.generic(method, path, b"{}", content_type="application/json", headers=headers)
            if (path.startswith("/api/"))
            else getattr(client, method.lower())(path)
        )
        if hasattr(reply, "streaming_content"):
            b"".join(reply.streaming_content)  # to the end: the client then closes no connection of the test
        transaction.set_rollback(True)
    client.cookies = cookies  # who logged out is in again
    to = reply.headers.get("Location", "").partition("?")[0]
    sent_off = to in {"/login", "/admin/login/"} or (path != "/admin" and to == "/admin/")
    assert reply.status_code != 500, (method, path)
    return reply.status_code not in {401, 403, 404, 405} and not sent_off


def rows() -> dict[tuple[str, str], str]:
    """Return the table: method and route, and who comes through."""
    found = {}
    for line in TABLE.read_text().splitlines():
        if line and not line.startswith("#"):
            method, route, who = (line + "\t").split("\t")[:3]
            found[method, route] = who
    return found


def test_every_door_has_a_row_and_no_row_is_of_a_door_that_is_gone():
    assert sorted(rows()) == sorted(wishes())


@pytest.mark.parametrize("part", range(PARTS))
def test_every_role_at_every_door(settings, part):
    settings.DEBUG_PROPAGATE_EXCEPTIONS = False
    world = World()
    clients = {}
    for mark, person in world.people.items():
        client = Client(raise_request_exception=True)
        if person is not None:
            client.force_login(person)
        bearer = {"Authorization": f"Bearer {open_session(user=person).access}"} if person else {}
        clients[mark] = (client, bearer)
    found = {}
    for method, route in wishes()[part::PARTS]:
        path = world.address(route)
        found[method, route] = "".join(
            mark
            for mark, (client, bearer) in clients.items()
            if comes_through(client, method, path, bearer if path.startswith("/api/") else {})
        )

    wanted = rows()
    wrong = [
        f"{method}\t{route}\t{who}" for (method, route), who in found.items() if wanted.get((method, route)) != who
    ]
    assert not wrong, "\n".join(wrong)
