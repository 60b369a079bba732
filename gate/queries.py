"""Reads of the gate; each one also answers "may this person stand there?"."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Now

from accounts.roles import EVERY_EVENT
from bookings.models import Ticket
from bookings.references import normalise_reference
from bookings.states import Status
from events.models import Event
from faceverify.models import FaceReference
from gate.codes import hash_code
from gate.models import Entrance, FaceCheck, Scan
from gate.names import folded, folded_column
from gate.reasons import CHECKS, Reason
from gate.refusals import CheckNotFound, GateNotFound, ScanNotFound, SearchTooShort, SupervisorNeeded
from registrations.models import Registration

SCAN, SUPERVISE = "gate.scan", "gate.supervise"
FOUND_AT_MOST = 20
SHOWN_SCANS = 12
FEWEST_LETTERS = 3
FIRST_IDEOGRAPH = "\u2e80"  # from here on a name may be two letters long
LONG_OVER = timedelta(days=1)


def may(viewer: Any, event: Event, permission: str) -> bool:
    """Whether somebody has a permission at an event's gate: its organiser, or a role that works on every event."""
    if not viewer.is_authenticated:
        return False
    if event.created_by_id == viewer.pk:
        return bool(viewer.is_active)
    return bool(viewer.has_perm(EVERY_EVENT)) and permitted(viewer, permission)


def permitted(viewer: Any, permission: str) -> bool:
    """Whether a role gives somebody a permission at gates; who supervises also scans."""
    return bool(viewer.has_perm(permission) or (permission == SCAN and viewer.has_perm(SUPERVISE)))


def get_gate(*, event_id: UUID, viewer: Any, permission: str = SCAN) -> Event:
    """
    Load the event whose gate somebody stands at.

    :raises GateNotFound: if there is none, it was never published, or this person may not scan there
    :raises SupervisorNeeded: if they may scan, but not what they want
    """
    published = Event.objects.exclude(status=Event.Status.DRAFT).filter(deleted_at=None)
    event = published.select_related("entrance").filter(pk=event_id).first()
    if event is None or not may(viewer, event, SCAN):
        raise GateNotFound
    if permission != SCAN and not may(viewer, event, permission):
        raise SupervisorNeeded
    return event


def list_gates(*, viewer: Any, limit: int = 50) -> list[Event]:
    """Return the events at whose gates somebody may stand: what is on or to come, soonest first."""
    events = Event.objects.filter(status=Event.Status.PUBLISHED, deleted_at=None, ends_at__gt=Now() - LONG_OVER)
    if not (viewer.has_perm(EVERY_EVENT) and permitted(viewer, SCAN)):
        events = events.filter(created_by_id=viewer.pk)
    return list(events.order_by("starts_at", "pk")[:limit])


def entrance_of(event: Event) -> Entrance | None:
    """Return an event's own rules, None where the plain ones hold."""
    try:
        return event.entrance
    except Entrance.DoesNotExist:
        return None


def opens_at(event: Event) -> datetime:
    """Return when an event's gate opens."""
    entrance = entrance_of(event)
    if entrance is not None and entrance.opens_at is not None:
        return entrance.opens_at
    return event.starts_at - timedelta(seconds=settings.GATE_OPENS_SECONDS)


def checks_faces(event: Event) -> bool:
    """Whether faces are compared at an event's door."""
    entrance = entrance_of(event)
    return entrance is not None and entrance.checks_faces


def check_wanted(ticket: Ticket) -> str:
    """Return what the door asks for besides the ticket: a face, an ID, or nothing."""
    if not ticket.personal or not checks_faces(ticket.event):
        return ""
    return Reason.FACE_NEEDED if comparable_face(ticket) is not None else Reason.ID_NEEDED


def is_refused(ticket: Ticket) -> bool:
    """Whether a supervisor's last word on this ticket's holder was no."""
    if not ticket.personal:
        return False
    decided = reviews(Scan.objects.filter(ticket=ticket, code_hash=hash_code(ticket.event_id, ticket.code)))
    return decided.values_list("reason", flat=True).first() == Reason.REFUSED


def refused_tickets(event: Event) -> set[UUID]:
    """Return the tickets of an event on which a supervisor's last word was no, in one statement."""
    decided = reviews(Scan.objects.filter(event=event)).select_related("ticket")
    newest: dict[UUID, Scan] = {}
    for scan in decided:
        if scan.ticket is not None and scan.code_hash == hash_code(event.pk, scan.ticket.code):
            newest.setdefault(scan.ticket.pk, scan)
    return {ticket_id for ticket_id, scan in newest.items() if scan.reason == Reason.REFUSED}


def reviews(scans: QuerySet[Scan]) -> QuerySet[Scan]:
    """Return what supervisors decided at the door, newest first."""
    return scans.filter(method=Scan.Method.REVIEW).order_by("-at", "-pk")


def comparable_face(ticket: Ticket) -> FaceReference | None:
    """Return the face a ticket's holder was verified with, while there is one and there are tries left."""
    if ticket.holder_id is None:
        return None
    passed = Registration.objects.filter(
        event_id=ticket.event_id,
        user_id=ticket.holder_id,
        passed_by=Registration.PassedBy.FACE,
        reference__forgotten_at=None,
        reference__engine=settings.FACE_ENGINE,
    )
    registration = passed.exclude(reference=None).select_related("reference").first()
    if registration is None or face_tries(ticket.pk) >= settings.GATE_FACE_TRIES:
        return None
    return registration.reference


def face_tries(ticket_id: UUID) -> int:
    """Return how many comparisons of a ticket's holder are counted."""
    return FaceCheck.objects.filter(ticket_id=ticket_id, status__in=FaceCheck.COUNTED).count()


def search_tickets(*, event: Event, text: str) -> QuerySet[Ticket]:
    """
    Return the tickets of an event by the holder's name, or a booking's reference: at most 20, without any code.

    :raises SearchTooShort: if there is too little to search for
    """
    wanted = " ".join(text.split())[:100]
    if len(wanted) < (2 if wanted >= FIRST_IDEOGRAPH else FEWEST_LETTERS):
        raise SearchTooShort
    named = Q()
    for word in folded(wanted).split()[:5]:
        named &= Q(plain_name__contains=word)
    found = Ticket.objects.alias(plain_name=folded_column("holder_name")).filter(
        named | Q(booking__reference=normalise_reference(wanted)), event=event, booking__status=Status.CONFIRMED
    )
    return (
        found.select_related("booking__category", "seat")
        .defer("code")
        .order_by("holder_name", "booking_id", "number")[:FOUND_AT_MOST]
    )


@dataclass(frozen=True)
class Counters:
    """How full the house is: `inside` of `expected`, per category and gate, and what a supervisor has to look at."""

    expected: int
    inside: int
    outside: int
    unassigned: int
    refused: int
    cases: int
    reviews: int
    categories: list[dict[str, Any]] = field(default_factory=list)
    gates: list[dict[str, Any]] = field(default_factory=list)


def counters(*, event: Event) -> Counters:
    """Return an event's counters in four statements."""
    tickets = Ticket.objects.filter(event=event).exclude(status=Ticket.Status.VOID)
    categories = (
        tickets.values(category=F("booking__category__name"), place=F("booking__category__position"))
        .annotate(
            expected=Count("pk"),
            inside=Count("pk", filter=Q(status=Ticket.Status.USED)),
            unassigned=Count("pk", filter=Q(status=Ticket.Status.UNASSIGNED)),
        )
        .order_by("place", "category")
    )
    counted = list(categories)
    expected, inside = (sum(one[name] for one in counted) for name in ("expected", "inside"))
    scans = Scan.objects.filter(event=event)
    gates = (
        scans.values(gate=F("device__gate"))
        .annotate(
            inside=Count("pk", filter=Q(result=Scan.Result.ACCEPTED, undone_at=None)),
            refused=Count("pk", filter=Q(result=Scan.Result.REJECTED)),
        )
        .order_by("gate")
    )
    shown: list[dict[str, Any]] = [dict(one) for one in gates]
    return Counters(
        expected=expected,
        inside=inside,
        outside=expected - inside,
        unassigned=sum(one["unassigned"] for one in counted),
        refused=sum(one["refused"] for one in shown),
        cases=open_cases(event=event).count(),
        reviews=open_reviews(event=event).count(),
        categories=[{name: one[name] for name in ("category", "inside", "expected")} for one in counted],
        gates=shown,
    )


def open_cases(*, event: Event) -> QuerySet[Scan]:
    """Return a supervisor's cases: who was let in without network on a ticket that lets nobody in, oldest first."""
    cases = scans_with_all().filter(event=event, result=Scan.Result.REJECTED, let_in=True, resolved_at=None)
    return cases.order_by("at", "pk")


def open_reviews(*, event: Event) -> QuerySet[Scan]:
    """
    Return the failed face checks that nobody has decided yet, by the last scan of each ticket, oldest first.

    `missed` says that a face was another one; otherwise none could be compared.
    """
    newest = Scan.objects.filter(ticket=OuterRef("ticket")).order_by("-at", "-pk")
    checks = FaceCheck.objects.filter(ticket=OuterRef("ticket"))
    missed, returned = (
        Exists(checks.filter(status=status)) for status in (FaceCheck.Status.MISMATCH, FaceCheck.Status.RETURNED)
    )
    waiting = (
        scans_with_all()
        .annotate(missed=missed)
        .filter(
            missed | returned,
            event=event,
            reason__in=CHECKS,
            ticket__status=Ticket.Status.ACTIVE,
            pk=Subquery(newest.values("pk")[:1]),
        )
    )
    return waiting.order_by("at", "pk")


def latest_scans(*, event: Event, limit: int = SHOWN_SCANS) -> QuerySet[Scan]:
    """Return an event's latest scans."""
    return scans_with_all().filter(event=event).order_by("-at", "-pk")[:limit]


def entry_of(ticket_id: UUID) -> Scan | None:
    """Return the scan by which a ticket is inside."""
    standing = Scan.objects.filter(ticket_id=ticket_id, result=Scan.Result.ACCEPTED, undone_at=None)
    return standing.select_related("device").first()


def decided_check(check_id: UUID) -> FaceCheck | None:
    """Return a comparison if it is decided."""
    return FaceCheck.objects.filter(pk=check_id).exclude(status=FaceCheck.Status.RESERVED).first()


def get_check(*, event_id: UUID, check_id: UUID) -> FaceCheck:
    """
    Load one comparison of an event.

    :raises CheckNotFound: if there is none
    """
    check = FaceCheck.objects.select_related("scan").filter(pk=check_id, event_id=event_id).first()
    if check is None:
        raise CheckNotFound
    return check


def get_scan(*, event_id: UUID, scan_id: UUID) -> Scan:
    """
    Load one scan of an event, with what an answer shows.

    :raises ScanNotFound: if there is none
    """
    scan = scans_with_all().filter(pk=scan_id, event_id=event_id).first()
    if scan is None:
        raise ScanNotFound
    return scan


def scans_with_all() -> QuerySet[Scan]:
    """Return scans with what an answer shows, in one statement."""
    return Scan.objects.select_related(
        "ticket__booking__category", "ticket__seat", "ticket__event__entrance", "event__entrance", "device"
    )


def refuse_strangers(viewer: Any) -> None:
    """
    Let pass whoever may stand at some gate, even if there is none at this time.

    :raises GateNotFound: for anybody else
    """
    if not (permitted(viewer, SCAN) or viewer.is_organiser):
        raise GateNotFound
