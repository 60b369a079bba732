"""Reads of bookings and tickets; each one also answers "may this person see it?"."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Prefetch, Q, QuerySet, Sum
from django.db.models.functions import Now

from bookings.codes import Guessers, guessing, normalise_code
from bookings.models import Booking, BookingSeat, SaleCode, Ticket, TicketChange, TicketHandover
from bookings.references import normalise_reference
from bookings.refusals import CodeNotYet, CodeOver, CodeUnknown, CodeUsedUp
from bookings.states import LIVE, Status
from common.errors import FairseatError, Invalid, NotFound
from common.money import step_of
from events.models import TicketCategory


class ChooseCategory(Invalid):
    code = "category_required"
    message = "This event sells several kinds of tickets. Say which ones you want with `categoryId`."


def bookings_with_all() -> QuerySet[Booking]:
    """Return bookings with everything that pages and answers show, in a fixed number of statements."""
    return Booking.objects.select_related("event", "category", "code").prefetch_related(
        Prefetch(
            "tickets",
            Ticket.objects.select_related("seat").prefetch_related(waiting_handovers()).order_by("number"),
        ),
        Prefetch(
            "booking_seats", BookingSeat.objects.filter(live=True).select_related("seat").order_by("seat__number")
        ),
    )


def get_booking_for(*, user_id: UUID, booking_id: UUID) -> Booking:
    """
    Load a person's own booking.

    :raises NotFound: if there is none, or it is somebody else's
    """
    return own(Q(pk=booking_id), user_id)


def get_booking_by_reference_for(*, user_id: UUID, reference: str) -> Booking:
    """
    Load a person's own booking by the reference they read out or typed.

    :raises NotFound: if there is none, or it is somebody else's
    """
    return own(Q(reference=normalise_reference(reference)), user_id)


def get_current_hold(*, user_id: UUID, event_id: UUID | None = None) -> Booking | None:
    """Return the person's newest live hold (for one event, if named), or None."""
    holds = bookings_with_all().filter(user_id=user_id, status=Status.PENDING, expires_at__gt=Now())
    if event_id is not None:
        holds = holds.filter(event_id=event_id)
    return holds.order_by("-created_at").first()


def list_bookings_for(*, user_id: UUID) -> QuerySet[Booking]:
    """Return a person's bookings, newest first."""
    return bookings_with_all().filter(user_id=user_id).order_by("-created_at", "id")


def list_confirmed_for(*, user_id: UUID) -> QuerySet[Booking]:
    """Return a person's confirmed bookings, newest first."""
    return list_bookings_for(user_id=user_id).filter(status=Status.CONFIRMED)


def get_live_booking_for(*, user_id: UUID, event_id: UUID) -> Booking | None:
    """Return the person's live booking for an event (offer, hold or sale), or None."""
    live = Q(status=Status.CONFIRMED) | Q(status__in=LIVE, expires_at__gt=Now())
    return bookings_with_all().filter(live, user_id=user_id, event_id=event_id).order_by("-created_at").first()


def only_category_of(*, event_id: UUID) -> UUID:
    """
    Return the one ticket category of an event that has no other.

    :raises Invalid: if the buyer must choose
    :raises NotFound: if there is no such event
    """
    categories = list(TicketCategory.objects.filter(event_id=event_id).values_list("pk", flat=True)[:2])
    if not categories:
        raise NotFound("There is no such event.")
    if len(categories) > 1:
        raise ChooseCategory
    return categories[0]


def waiting_handovers() -> Prefetch:
    """Return what loads along with tickets who is invited to take them."""
    waiting = TicketHandover.objects.filter(status__in=TicketHandover.WAITING).select_related("invitee")
    return Prefetch("handovers", waiting, to_attr="waiting_handovers")


def get_ticket_for(*, user_id: UUID, code: str) -> Ticket:
    """
    Load a ticket that a person holds by its code: what is nobody's yet has none to show.

    :raises NotFound: if there is none, or it is somebody else's
    """
    ticket = tickets_with_all().filter(code=code, holder_id=user_id).exclude(status=Ticket.Status.UNASSIGNED).first()
    if ticket is None:
        raise NotFound
    return ticket


def get_ticket_to_give(*, user_id: UUID, ticket_id: UUID) -> Ticket:
    """
    Load a ticket by its id for its holder, or for its buyer.

    :raises NotFound: if there is none, or it is somebody else's
    """
    ticket = tickets_with_all().filter(mine_to_give(user_id) | Q(booking__user_id=user_id), pk=ticket_id).first()
    if ticket is None:
        raise NotFound("There is no such ticket, or it is not yours.")
    return ticket


def list_tickets_for(*, user_id: UUID) -> QuerySet[Ticket]:
    """Return the tickets a person holds, and those they bought that wait for a holder, soonest event first."""
    found = tickets_with_all().filter(mine_to_give(user_id)).exclude(status=Ticket.Status.VOID)
    return found.order_by("booking__event__starts_at", "booking_id", "number")


def mine_to_give(user_id: UUID) -> Q:
    """Tickets that somebody holds, or bought and may still give their first holder."""
    return Q(holder_id=user_id) | Q(status=Ticket.Status.UNASSIGNED, booking__user_id=user_id)


def get_held_ticket(*, user_id: UUID, event_id: UUID) -> Ticket | None:
    """Return a ticket that somebody else bought and this person holds, or None."""
    held = tickets_with_all().filter(holder_id=user_id, event_id=event_id, status__in=Ticket.OPENS)
    return held.exclude(booking__user_id=user_id).order_by("number").first()


def history_of(ticket: Ticket) -> QuerySet[TicketChange]:
    """Return how a ticket came to its holder, oldest first."""
    return TicketChange.objects.filter(ticket=ticket).select_related("from_holder", "to_holder").order_by("id")


def tickets_with_all() -> QuerySet[Ticket]:
    """Return tickets with their booking, event, category, seat and who is invited to take them."""
    found = Ticket.objects.select_related("booking__event", "booking__category", "booking__user", "seat", "holder")
    return found.prefetch_related(waiting_handovers())


def own(which: Q, user_id: UUID) -> Booking:
    """Load one booking of this person or raise NotFound."""
    booking = bookings_with_all().filter(which, user_id=user_id).first()
    if booking is None:
        raise NotFound("There is no such booking, or it is not yours.")
    return booking


def cancelled_events_with_bookings() -> list[UUID]:
    """Return the cancelled events that still have live bookings."""
    live = Booking.objects.filter(event__status="cancelled", status__in=LIVE)
    return list(live.order_by("event_id").values_list("event_id", flat=True).distinct())


@dataclass(frozen=True)
class Word:
    """A code that somebody typed for an event: what it does there, or what is wrong with it."""

    typed: str
    code: SaleCode | None = None
    problem: FairseatError | None = None

    @property
    def works(self) -> bool:
        return self.code is not None and self.problem is None

    def is_for(self, category_id: UUID) -> bool:
        """Whether it does anything for this category."""
        return self.works and self.code is not None and self.code.is_for(category_id)

    def opens(self, category_id: UUID) -> bool:
        """Whether it opens this category before its time, or though it is hidden."""
        return self.code is not None and self.is_for(category_id) and self.code.presale

    def price(self, category: TicketCategory) -> int:
        """Return what one ticket of a category costs with it."""
        if self.code is None or not self.is_for(category.pk):
            return category.price_minor
        return category.price_minor - self.code.off(category.price_minor, step_of(category.event.currency))

    def limit(self, category: TicketCategory) -> int | None:
        """Return how many tickets of a category one person may have with it; None for as many as the event allows."""
        own = self.code.per_person if self.code is not None and self.is_for(category.pk) else None
        return min((most for most in (category.max_per_person, own) if most), default=None)

    @property
    def mark(self) -> tuple[object, ...]:
        """What of it a page shows, for the page's ETag."""
        code = self.code
        done = code and (code.percent, code.off_minor, code.presale, tuple(code.category_ids), code.per_person)
        return (self.typed, done, self.problem and self.problem.text)

    @property
    def opens_at(self) -> datetime | None:
        """From when it can be used, while it can not be yet."""
        return self.code.valid_from if self.code is not None and isinstance(self.problem, CodeNotYet) else None

    @property
    def was_good_until(self) -> datetime | None:
        """Until when it could be used, if that is what is wrong with it."""
        over = self.code is not None and self.code.active and isinstance(self.problem, CodeOver)
        return self.code.valid_until if self.code is not None and over else None


def look_up_code(*, event_id: UUID, typed: str, who: Guessers, now: datetime) -> Word:
    """
    Return what a code does for an event, before anything is taken; the hold looks again and decides.

    `who` is counted for codes that do not exist.

    :raises TooManyCodes: if there were too many of them
    """
    word = normalise_code(typed)
    try:
        with guessing(who):
            known = SaleCode.objects.select_related("counter").filter(event_id=event_id, code=word).first()
            if known is None:
                raise CodeUnknown
    except CodeUnknown as error:
        return Word(typed, problem=error)
    problem: FairseatError | None = None
    if not known.active or (known.valid_until is not None and known.valid_until <= now):
        problem = CodeOver()
    elif known.valid_from is not None and known.valid_from > now:
        problem = CodeNotYet(opens_at=known.valid_from.isoformat().replace("+00:00", "Z"))
    elif known.counter.max_uses is not None and known.counter.uses >= known.counter.max_uses:
        problem = CodeUsedUp()
    return Word(typed, known, problem)


def may_have_code(event_id: UUID) -> bool:
    """Whether an event has a code that somebody could use, now or later."""
    over = Q(valid_until__isnull=False, valid_until__lte=Now())
    return SaleCode.objects.filter(~over, event_id=event_id, active=True).exists()


def given_away(event_id: UUID) -> tuple[int, int]:
    """Return how many tickets of an event are gifts that stand, and what they would have cost."""
    gifts = Booking.objects.filter(event_id=event_id, comp=True, status=Status.CONFIRMED)
    found = gifts.aggregate(tickets=Sum("quantity", default=0), worth=Sum("discount_minor", default=0))
    return found["tickets"], found["worth"]


def list_codes(event_id: UUID) -> QuerySet[SaleCode]:
    """Return an event's codes with their counters, newest first."""
    return SaleCode.objects.filter(event_id=event_id).select_related("counter").order_by("-created_at", "code")


def get_code_of(*, event_id: UUID, code_id: UUID) -> SaleCode:
    """
    Load one code of an event that the caller was allowed to see.

    :raises NotFound: if the event has no such code
    """
    code = list_codes(event_id).filter(pk=code_id).first()
    if code is None:
        raise NotFound("There is no such code.")
    return code
