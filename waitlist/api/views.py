"""The waitlist's doors of the API."""

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.permissions import IsStaff
from common.api import Answer, Pages, parse_id
from events.queries import get_event
from waitlist import queries, services
from waitlist.api.serializers import (
    EventWaitlistOut,
    LeftOut,
    OwnPlaceOut,
    WaitlistQueryIn,
    render_place,
    render_row,
)
from waitlist.models import WaitlistEntry


class EventWaitlistView(APIView):
    permission_classes = [IsStaff]

    @extend_schema(
        operation_id="getEventWaitlist",
        tags=["waitlist"],
        parameters=[
            OpenApiParameter("status", str, enum=list(WaitlistEntry.Status.values)),
            OpenApiParameter("page", int),
            OpenApiParameter("pageSize", int, description="20, at most 100."),
        ],
        responses=EventWaitlistOut,
        summary="An event's waitlist",
    )
    def get(self, request: Request, event_id: str) -> Answer:
        wish = WaitlistQueryIn(data=request.query_params)
        wish.is_valid(raise_exception=True)
        event = get_event(event_id=parse_id(event_id, "event"), viewer_id=request.user.pk)
        entries = queries.list_entries(event_id=event.pk, status=wish.validated_data.get("status", ""))
        pages = Pages()
        page = pages.paginate_queryset(entries, request, view=self) or []
        answer = pages.get_paginated_response({"waitlist": [render_row(entry) for entry in page]})
        answer.results = len(page)
        return answer


class UserPlaceView(APIView):
    @extend_schema(
        operation_id="getWaitlistPlace",
        tags=["waitlist"],
        responses=OwnPlaceOut,
        summary="Where somebody waits for an event",
    )
    def get(self, request: Request, user_id: str, event_id: str) -> Answer:
        entry = queries.get_live_entry_for(
            viewer=request.user, user_id=parse_id(user_id, "user"), event_id=parse_id(event_id, "event")
        )
        return Answer(render_place(entry))


class LeaveView(APIView):
    throttle_scope = "booking"

    @extend_schema(
        operation_id="leaveWaitlist",
        tags=["waitlist"],
        request=None,
        responses={200: LeftOut},
        summary="Leave an event's waitlist",
    )
    def delete(self, request: Request, event_id: str) -> Answer:
        services.leave(user_id=request.user.pk, event_id=parse_id(event_id, "event"))
        return Answer({"success": True, "message": "You left the waitlist."})
