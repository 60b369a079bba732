"""The tickets of the one who asks: listed, one by one, and as QR code, PDF and calendar entry."""

from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from bookings import documents, queries
from bookings.api.serializers import EventBriefOut, TicketOut, render_event, render_ticket
from bookings.models import Ticket
from bookings.references import spoken
from common.api import Answer, Pages


class TicketWithEventOut(TicketOut):
    event = EventBriefOut()


def render(ticket: Ticket) -> dict[str, Any]:
    """Return a ticket with the event it is for."""
    return {**render_ticket(ticket, ticket.booking), "event": render_event(ticket.booking.event)}


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
        return pages.get_paginated_response([render(ticket) for ticket in page])


class TicketView(APIView):
    @extend_schema(operation_id="getTicket", tags=["tickets"], responses=TicketWithEventOut, summary="One ticket")
    def get(self, request: Request, code: str) -> Answer:
        return Answer(render(own_ticket(request, code)))


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
        booking = own_ticket(request, code).booking
        name = f"event-{spoken(booking.reference)}.ics"
        return private_file(documents.event_ics(booking), "text/calendar; charset=utf-8", name)
