"""The doors of the figures: an event's for its organiser, everything for staff."""

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.permissions import IsStaff, may
from analytics import queries
from analytics.api.serializers import DashboardOut, EventStatsOut
from common.api import Answer, Pages, parse_id
from events.api.serializers import EventOut, render_event
from events.models import Event
from events.queries import get_event_to_change, with_categories

PAGES = [OpenApiParameter("page", int), OpenApiParameter("pageSize", int, description="20, at most 100.")]
STATUS = OpenApiParameter("status", str, enum=list(Event.Status.values))


class EventStatsView(APIView):
    @extend_schema(
        operation_id="getEventStats", tags=["events"], responses=EventStatsOut, summary="How a sale goes, in figures"
    )
    def get(self, request: Request, event_id: str) -> Answer:
        event = get_event_to_change(event_id=parse_id(event_id, "event"), viewer=request.user)
        return Answer(queries.event_statistics(event=event))


class DashboardView(APIView):
    permission_classes = [IsStaff]
    staff_permission = "analytics.view_salesday"

    @extend_schema(
        operation_id="getDashboard",
        tags=["operations"],
        responses=DashboardOut,
        summary="How the house does, in figures",
    )
    def get(self, request: Request) -> Answer:
        return Answer(queries.dashboard())


class AllEventsView(APIView):
    permission_classes = [IsStaff]
    staff_permission = "events.view_event"
    own_events = True

    @extend_schema(
        operation_id="listAllEvents",
        tags=["operations"],
        parameters=[STATUS, *PAGES],
        responses=EventOut(many=True),
        summary="Every event, drafts included, newest first",
    )
    def get(self, request: Request) -> Answer:
        events = with_categories(Event.objects.filter(deleted_at__isnull=True)).order_by("-created_at", "id")
        if not may(request.user, self.staff_permission):
            events = events.filter(created_by_id=request.user.pk)
        if (status := request.query_params.get("status")) in Event.Status.values:
            events = events.filter(status=status)
        pages = Pages()
        page = pages.paginate_queryset(events, request, view=self) or []
        return pages.get_paginated_response([render_event(event) for event in page])
