"""The booking doors of the API: translate, call one service, render."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from django.utils.module_loading import import_string
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from bookings import queries, services
from bookings.api.serializers import BookingIn, BookingOut, CancelIn, HeldOut, render_booking
from bookings.codes import guessers
from bookings.models import Booking
from bookings.waitingroom import tokens
from common.api import Answer, Pages, idempotent, parse_id, read
from common.errors import NotFound

IDEMPOTENCY = OpenApiParameter(
    "Idempotency-Key", str, OpenApiParameter.HEADER, description="The same key again gives the same answer, once."
)


PART = "These are held for you. The rest is on the waitlist."
NOTHING = "None are left. You are on the waitlist for all of them."


def show_entry(entry_id: UUID) -> dict[str, Any]:
    """Return a place on the waitlist as the waitlist writes it; it stands above and is called through settings."""
    render: Callable[[UUID], dict[str, Any]] = import_string(settings.WAITLIST_SHOW)
    return render(entry_id)


QUEUE_TOKEN = OpenApiParameter(
    "X-Queue-Token",
    str,
    OpenApiParameter.HEADER,
    description="An active person's `receipt` from the line: with it they can buy while the line is being restored.",
)


def paged(request: Request, bookings: QuerySet[Booking], view: APIView) -> Answer:
    """Return one page of bookings."""
    pages = Pages()
    page = pages.paginate_queryset(bookings, request, view=view) or []
    return pages.get_paginated_response([render_booking(booking) for booking in page])


class BookingsView(APIView):
    """POST takes a hold, GET lists one's bookings."""

    partial_unless_refused = False  # for clients whose contract books what is left without being asked

    @extend_schema(
        operation_id="createBooking",
        tags=["bookings"],
        request=BookingIn,
        responses={201: HeldOut, 202: HeldOut},
        parameters=[IDEMPOTENCY, QUEUE_TOKEN],
        summary="Hold tickets; with `allowPartial` what is left of them, and the rest on the waitlist (202: all of it)",
    )
    def post(self, request: Request) -> Answer:
        wish = read(BookingIn, request)
        with tokens.presented(request.headers.get("X-Queue-Token", "")):
            return idempotent(request, lambda: self.hold(request, wish))

    def hold(self, request: Request, asked: dict[str, Any]) -> Answer:
        wish = asked | {"address": guessers(request).address}
        if "shown_price_minor" in wish:
            wish["price_minor"] = wish.pop("shown_price_minor")
        if "category_id" not in wish:
            wish |= {"category_id": queries.only_category_of(event_id=wish["event_id"])}
        named = request.data if isinstance(request.data, dict) else {}
        partial = wish.pop("allow_partial") or (self.partial_unless_refused and "allow_partial" not in named)
        if not partial:
            booking = services.hold_seats(user_id=request.user.pk, **wish)
            return Answer({"booking": render_booking(booking, new=booking.is_hold), "waitlist": None}, status=201)
        held = services.hold_or_wait(user_id=request.user.pk, **wish)
        booking = render_booking(held.booking, new=held.booking.is_hold) if held.booking else None
        entry = show_entry(held.entry_id) if held.entry_id else None
        message = "" if entry is None else PART if booking else NOTHING
        return Answer({"booking": booking, "waitlist": entry}, message=message, status=201 if booking else 202)

    @extend_schema(
        operation_id="listBookings", tags=["bookings"], responses=BookingOut(many=True), summary="My bookings"
    )
    def get(self, request: Request) -> Answer:
        return paged(request, queries.list_bookings_for(user_id=request.user.pk), self)


class ConfirmedBookingsView(APIView):
    @extend_schema(
        operation_id="listConfirmedBookings",
        tags=["bookings"],
        responses=BookingOut(many=True),
        summary="My confirmed bookings",
    )
    def get(self, request: Request) -> Answer:
        return paged(request, queries.list_confirmed_for(user_id=request.user.pk), self)


class BookingView(APIView):
    @extend_schema(operation_id="getBooking", tags=["bookings"], responses=BookingOut, summary="One booking")
    def get(self, request: Request, booking_id: str) -> Answer:
        booking = queries.get_booking_for(user_id=request.user.pk, booking_id=parse_id(booking_id, "booking"))
        return Answer(render_booking(booking))


class ConfirmedBookingView(APIView):
    @extend_schema(
        operation_id="getConfirmedBooking", tags=["bookings"], responses=BookingOut, summary="One confirmed booking"
    )
    def get(self, request: Request, booking_id: str) -> Answer:
        booking = queries.get_booking_for(user_id=request.user.pk, booking_id=parse_id(booking_id, "booking"))
        if booking.status != Booking.Status.CONFIRMED:
            raise NotFound("This booking is not confirmed.")
        return Answer(render_booking(booking))


class ReferenceView(APIView):
    @extend_schema(
        operation_id="getBookingByReference", tags=["bookings"], responses=BookingOut, summary="A booking by reference"
    )
    def get(self, request: Request, reference: str) -> Answer:
        return Answer(
            render_booking(queries.get_booking_by_reference_for(user_id=request.user.pk, reference=reference))
        )


class PendingView(APIView):
    """The current hold: show it, give it up."""

    @extend_schema(operation_id="getHold", tags=["bookings"], responses=BookingOut, summary="My current hold")
    def get(self, request: Request) -> Answer:
        return Answer(render_booking(self.hold(request)))

    @extend_schema(
        operation_id="giveUpHold",
        tags=["bookings"],
        request=None,
        responses={200: BookingOut},
        summary="Give up my hold",
    )
    def delete(self, request: Request) -> Answer:
        ended = services.give_up_hold(booking_id=self.hold(request).pk)
        booking = queries.get_booking_for(user_id=request.user.pk, booking_id=ended.pk)
        return Answer(render_booking(booking), message="Your tickets were released.")

    def hold(self, request: Request) -> Booking:
        hold = queries.get_current_hold(user_id=request.user.pk)
        if hold is None:
            raise NotFound("You hold no tickets right now.")
        return hold


class ExtendView(APIView):
    @extend_schema(
        operation_id="extendHold",
        tags=["bookings"],
        request=None,
        responses={200: BookingOut, 410: None},
        summary="I need more time",
    )
    def post(self, request: Request, booking_id: str) -> Answer:
        booking = queries.get_booking_for(user_id=request.user.pk, booking_id=parse_id(booking_id, "booking"))
        services.extend_hold(booking_id=booking.pk, user_id=request.user.pk)
        return Answer(render_booking(queries.get_booking_for(user_id=request.user.pk, booking_id=booking.pk)))


class CancelView(APIView):
    @extend_schema(
        operation_id="cancelBooking",
        tags=["bookings"],
        request=None,
        responses=BookingOut,
        parameters=[IDEMPOTENCY],
        summary="Cancel a booking",
    )
    def put(self, request: Request, booking_id: str) -> Answer:
        booking = queries.get_booking_for(user_id=request.user.pk, booking_id=parse_id(booking_id, "booking"))
        return idempotent(request, lambda: cancel(request, booking))


class CancelByBodyView(APIView):
    """Cancelling with the booking named in the body; see `config.aliases`."""

    def post(self, request: Request) -> Answer:
        named = read(CancelIn, request)
        if "booking_id" in named:
            booking = queries.get_booking_for(user_id=request.user.pk, booking_id=named["booking_id"])
        else:
            booking = queries.get_booking_by_reference_for(user_id=request.user.pk, reference=named["reference"])
        return idempotent(request, lambda: cancel(request, booking))


def cancel(request: Request, booking: Booking) -> Answer:
    """Cancel one's own booking and answer with it."""
    services.cancel_booking(booking_id=booking.pk, by="buyer")
    ended = queries.get_booking_for(user_id=request.user.pk, booking_id=booking.pk)
    return Answer(render_booking(ended), message="Your booking is cancelled. What you paid goes back to you.")
