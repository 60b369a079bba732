"""The tickets of the one who asks: listed, one by one, and as QR code, PDF and calendar entry."""

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.views import APIView

from bookings import documents, queries, services
from bookings.api.serializers import EventBriefOut, TicketOut, render_event, render_ticket
from bookings.api.views import IDEMPOTENCY
from bookings.models import Ticket, TicketChange
from bookings.references import spoken
from bookings.services.handovers import give_until
from common.api import Answer, Input, Pages, idempotent, parse_id, read


class TicketWithEventOut(TicketOut):
    event = EventBriefOut()


class HolderIn(Input):
    email = serializers.EmailField(max_length=254, help_text="Who is invited to take the ticket.")


class TicketChangeOut(serializers.Serializer):
    at = serializers.DateTimeField()
    from_status = serializers.ChoiceField(choices=Ticket.Status.choices)
    to_status = serializers.ChoiceField(choices=Ticket.Status.choices)
    from_holder = serializers.CharField(help_text="Their name; empty: nobody.")
    to_holder = serializers.CharField(help_text="Their name; empty: nobody.")


class TicketHolderOut(serializers.Serializer):
    ticket = TicketWithEventOut()
    give_until = serializers.DateTimeField(help_text="Until when a holder may be named.")
    history = TicketChangeOut(many=True)


def render(ticket: Ticket, viewer_id: UUID) -> dict[str, Any]:
    """Return a ticket with the event it is for."""
    return {**render_ticket(ticket, ticket.booking, viewer_id=viewer_id), "event": render_event(ticket.booking.event)}


def own_ticket(request: Request, code: str) -> Ticket:
    """Load the caller's ticket; 404 for everybody else's."""
    return queries.get_ticket_for(user_id=request.user.pk, code=code.upper())


def private_file(body: bytes | str, content_type: str, name: str = "") -> HttpResponse:
    """Return a document that no cache keeps, because whoever has it gets in."""
    response = HttpResponse(body, content_type=content_type, headers={"Cache-Control": "private, no-store"})
    if name:
        response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def binary(content_type: str) -> dict[tuple[int, str], OpenApiResponse]:
    """Return the schema of a document's answer."""
    return {(200, content_type): OpenApiResponse(OpenApiTypes.BINARY, description="The document.")}


class TicketsView(APIView):
    @extend_schema(
        operation_id="listTickets", tags=["tickets"], responses=TicketWithEventOut(many=True), summary="My tickets"
    )
    def get(self, request: Request) -> Answer:
        pages = Pages()
        tickets = queries.list_tickets_for(user_id=request.user.pk)
        page = pages.paginate_queryset(tickets, request, view=self) or []
        return pages.get_paginated_response([render(ticket, request.user.pk) for ticket in page])


class TicketView(APIView):
    @extend_schema(operation_id="getTicket", tags=["tickets"], responses=TicketWithEventOut, summary="One ticket")
    def get(self, request: Request, code: str) -> Answer:
        return Answer(render(own_ticket(request, code), request.user.pk))


class TicketQrView(APIView):
    @extend_schema(
        operation_id="getTicketQr", tags=["tickets"], responses=binary("image/svg+xml"), summary="A ticket's QR code"
    )
    def get(self, request: Request, code: str) -> HttpResponse:
        return private_file(documents.qr_svg(own_ticket(request, code)), "image/svg+xml")


class TicketPdfView(APIView):
    @extend_schema(
        operation_id="getTicketPdf", tags=["tickets"], responses=binary("application/pdf"), summary="A ticket as PDF"
    )
    def get(self, request: Request, code: str) -> HttpResponse:
        ticket = own_ticket(request, code)
        name = f"ticket-{spoken(ticket.booking.reference)}-{ticket.number}.pdf"
        return private_file(documents.ticket_pdf(ticket), "application/pdf", name)


class TicketCalendarView(APIView):
    @extend_schema(
        operation_id="getTicketCalendar",
        tags=["tickets"],
        responses=binary("text/calendar"),
        summary="A ticket's calendar entry",
    )
    def get(self, request: Request, code: str) -> HttpResponse:
        ticket = own_ticket(request, code)
        name = f"event-{spoken(ticket.booking.reference)}.ics"
        return private_file(documents.ticket_ics(ticket), "text/calendar; charset=utf-8", name)


class TicketHolderView(APIView):
    """Whose a ticket is: POST names the next holder, DELETE takes that back, GET says where it stands and its history."""

    throttle_scope = "booking"

    @extend_schema(
        operation_id="getTicketHolder",
        tags=["tickets"],
        responses=TicketHolderOut,
        summary="A ticket's holder, invitation and history",
    )
    def get(self, request: Request, ticket_id: str) -> Answer:
        return Answer(self.body(request, parse_id(ticket_id, "ticket")))

    @extend_schema(
        operation_id="nameTicketHolder",
        tags=["tickets"],
        request=HolderIn,
        responses={201: TicketHolderOut},
        parameters=[IDEMPOTENCY],
        summary="Name the next holder of a ticket",
    )
    def post(self, request: Request, ticket_id: str) -> Answer:
        wish = read(HolderIn, request)
        return idempotent(request, lambda: self.name(request, parse_id(ticket_id, "ticket"), wish["email"]))

    @extend_schema(
        operation_id="recallTicketHolder",
        tags=["tickets"],
        responses={200: TicketHolderOut},
        summary="Take back the naming of a holder",
    )
    def delete(self, request: Request, ticket_id: str) -> Answer:
        wanted = parse_id(ticket_id, "ticket")
        services.recall_handover(ticket_id=wanted, user_id=request.user.pk)
        return Answer(self.body(request, wanted), message="The invitation is taken back.")

    def name(self, request: Request, ticket_id: UUID, email: str) -> Answer:
        services.name_holder(ticket_id=ticket_id, user_id=request.user.pk, email=email)
        return Answer(self.body(request, ticket_id), message="They are invited by mail.", status=201)

    def body(self, request: Request, ticket_id: UUID) -> dict[str, Any]:
        ticket = queries.get_ticket_to_give(user_id=request.user.pk, ticket_id=ticket_id)
        return {
            "ticket": render(ticket, request.user.pk),
            "give_until": give_until(ticket),
            "history": [render_change(change) for change in queries.history_of(ticket)],
        }


def render_change(change: TicketChange) -> dict[str, Any]:
    """Return one step of a ticket's history; of people their names."""
    return {
        "at": change.at,
        "from_status": change.from_status,
        "to_status": change.to_status,
        "from_holder": change.from_holder.display_name if change.from_holder else "",
        "to_holder": change.to_holder.display_name if change.to_holder else "",
    }
