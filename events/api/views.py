"""The catalogue's doors of the API: translate, call one service or query, render."""

from collections.abc import Callable
from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.permissions import IsOrganiser, may
from common.api import Answer, idempotent, parse_id, read
from events import queries, services
from events.api.rendered import event_answer, list_answer
from events.api.serializers import (
    AvailableTicketsOut,
    EventChangesIn,
    EventIn,
    EventOut,
    EventStatusOut,
    changed_event,
    new_event,
    read_filters,
    render_event,
)
from events.models import Event
from events.queries import ORDERINGS
from events.refusals import EventNotFound

IDEMPOTENCY = OpenApiParameter(
    "Idempotency-Key", str, OpenApiParameter.HEADER, description="The same key again gives the same answer, once."
)
IF_NONE_MATCH = OpenApiParameter(
    "If-None-Match",
    str,
    OpenApiParameter.HEADER,
    description="The ETag you have: 304 without a body if it still holds.",
)
DAY = "A day (2027-05-01) or a time (2027-05-01T19:30:00Z)."
PRICE = {"type": "string", "pattern": r"^\d{1,9}(\.\d{1,3})?$"}
FILTERS = [
    OpenApiParameter("search", str, description="Words that name, place or description contain."),
    OpenApiParameter("status", str, description="One or more of draft, published, completed, cancelled, with commas."),
    OpenApiParameter("from", str, description=f"Starts at or after. {DAY}"),
    OpenApiParameter("to", str, description=f"Starts before, or on this day. {DAY}"),
    OpenApiParameter("location", str, description="What the place contains."),
    OpenApiParameter("minPrice", PRICE, description="Some category costs at least this."),
    OpenApiParameter("maxPrice", PRICE, description="Some category costs at most this."),
    OpenApiParameter("available", bool, description="Whether tickets can be taken now."),
    OpenApiParameter("ordering", str, enum=[name for name in ORDERINGS if name]),
    OpenApiParameter("page", {"type": "integer", "minimum": 1, "maximum": 1_000_000}),
    OpenApiParameter("pageSize", {"type": "integer", "minimum": 1}, description="20, at most 100."),
]


class EventsView(APIView):
    """GET lists what one may see, POST creates."""

    def get_permissions(self) -> list[Any]:
        return [AllowAny()] if self.request.method in {"GET", "HEAD", "OPTIONS"} else [IsOrganiser()]

    @extend_schema(
        operation_id="listEvents",
        tags=["events"],
        summary="Events",
        parameters=[*FILTERS, IF_NONE_MATCH],
        responses={200: EventOut(many=True), 304: None},
        auth=[{}, {"bearer": []}],
    )
    def get(self, request: Request) -> HttpResponse:
        found = queries.find_events(read_filters(request.query_params.dict()), viewer_id=request.user.pk)
        return list_answer(request._request, found)

    @extend_schema(
        operation_id="createEvent",
        tags=["events"],
        summary="Create an event",
        parameters=[IDEMPOTENCY],
        request=EventIn,
        responses={201: EventOut},
    )
    def post(self, request: Request) -> Answer:
        wish = read(EventIn, request)
        return idempotent(request, lambda: self.create(request, wish))

    def create(self, request: Request, wish: dict[str, Any]) -> Answer:
        event = services.create_event(created_by_id=request.user.pk, **new_event(wish))
        shown = queries.get_event(event_id=event.pk, viewer_id=request.user.pk)
        return Answer(render_event(shown, hidden=True), status=201)


class EventView(APIView):
    """One event: show, change, delete."""

    def get_permissions(self) -> list[Any]:
        return [AllowAny()] if self.request.method in {"GET", "HEAD", "OPTIONS"} else [IsAuthenticated()]

    @extend_schema(
        operation_id="getEvent",
        tags=["events"],
        summary="One event",
        parameters=[IF_NONE_MATCH],
        responses={200: EventOut, 304: None},
        auth=[{}, {"bearer": []}],
    )
    def get(self, request: Request, event_id: str) -> HttpResponse | Answer:
        key = parse_id(event_id, "event")
        if request.user.is_authenticated and (request.user.is_organiser or request.user.is_staff):
            shown = queries.get_event(event_id=key, viewer_id=request.user.pk)
            if shown.created_by_id == request.user.pk or may(request.user, "events.view_event"):
                return Answer(render_event(shown, hidden=True))
        answer = event_answer(request._request, key, queries.find_event(event_id=key, viewer_id=request.user.pk))
        if answer is None:
            raise EventNotFound
        return answer

    @extend_schema(
        operation_id="replaceEvent",
        tags=["events"],
        summary="Change an event",
        description="As PATCH: what is sent changes, the rest stays.",
        request=EventChangesIn,
        responses=EventOut,
    )
    def put(self, request: Request, event_id: str) -> Answer:
        return self.patch(request, event_id)

    @extend_schema(
        operation_id="updateEvent",
        tags=["events"],
        summary="Change an event",
        description="`totalTickets` and `ticketPrice` are for an event with one category. A new price is for new bookings.",
        request=EventChangesIn,
        responses=EventOut,
    )
    def patch(self, request: Request, event_id: str) -> Answer:
        event = self.event_to_change(request, event_id)
        changes = changed_event(read(EventChangesIn, request), event)
        self.act(request, event, "change_event", lambda: services.update_event(event_id=event.pk, **changes))
        return Answer(render_event(queries.get_event(event_id=event.pk, viewer_id=request.user.pk), hidden=True))

    @extend_schema(
        operation_id="deleteEvent",
        tags=["events"],
        summary="Delete an event that nobody has tickets for",
        responses={204: None},
    )
    def delete(self, request: Request, event_id: str) -> Answer:
        event = self.event_to_change(request, event_id)
        self.act(request, event, "delete_event", lambda: services.delete_event(event_id=event.pk))
        return Answer(status=204)

    def act(self, request: Request, event: Event, action: str, do: Callable[[], Any]) -> None:
        """Do it; what staff do to somebody else's event is written down."""
        if event.created_by_id == request.user.pk:
            do()
        else:
            services.as_staff(actor_id=request.user.pk, action=action, event_id=event.pk, do=do)

    def event_to_change(self, request: Request, event_id: str) -> Event:
        return queries.get_event_to_change(event_id=parse_id(event_id, "event"), viewer=request.user)


class EventStatusView(APIView):
    permission_classes = [AllowAny]

    @extend_schema(
        operation_id="getEventStatus",
        tags=["events"],
        summary="How an event sells",
        responses=EventStatusOut,
        auth=[{}, {"bearer": []}],
    )
    def get(self, request: Request, event_id: str) -> Answer:
        event = queries.get_event(event_id=parse_id(event_id, "event"), viewer_id=request.user.pk)
        return Answer(
            {
                "id": event.pk,
                "event_name": event.name,
                "status": event.status,
                "total_tickets": event.total_tickets,
                "available_tickets": event.available_tickets,
            }
        )


class AvailableTicketsView(APIView):
    permission_classes = [AllowAny]

    @extend_schema(
        operation_id="getAvailableTickets",
        tags=["events"],
        summary="How many tickets anybody may take now",
        responses=AvailableTicketsOut,
        auth=[{}, {"bearer": []}],
    )
    def get(self, request: Request, event_id: str) -> Answer:
        event = queries.get_event(event_id=parse_id(event_id, "event"), viewer_id=request.user.pk)
        return Answer({"event_id": event.pk, "available_tickets": event.available_tickets})
