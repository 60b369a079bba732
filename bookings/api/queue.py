"""
The line's doors of the API.

None is behind the request limits that count in Redis, but for joining: a crowd that asks where it stands, as often as it was
told to, is what a line is for. Asking costs one call of Redis and no statement, asking too early the same.
"""

from hashlib import blake2b
from typing import Any
from uuid import UUID

import orjson
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from bookings.waitingroom import services
from bookings.waitingroom.refusals import NotInLine
from common.api import Answer, Input, parse_id, read
from common.errors import Invalid

TOKEN = OpenApiParameter(
    "X-Queue-Token",
    str,
    OpenApiParameter.HEADER,
    description="The `receipt` of an earlier answer: a place that was lost before it was written down comes back with it.",
)
EVENT = OpenApiParameter("eventId", UUID, OpenApiParameter.QUERY, required=True)
STATUSES = ("lobby", "waiting", "paused", "active", "done", "passed", "sold_out", "closed", "restoring")


class JoinIn(Input):
    protected = ("user_id", "position", "order_key", "status")

    event_id = serializers.UUIDField()


class StandingOut(serializers.Serializer):
    event_id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=STATUSES)
    position = serializers.IntegerField(allow_null=True, help_text="1 is next. Nobody has one in the lobby.")
    total = serializers.IntegerField(allow_null=True)
    estimate_seconds = serializers.ListField(
        child=serializers.IntegerField(),
        allow_null=True,
        help_text="From, to: measured. Null while too few were let in to say.",
    )
    expires_at = serializers.DateTimeField(allow_null=True, help_text="When an active person's slot ends.")
    booking_id = serializers.UUIDField(allow_null=True, help_text="The hold that the slot is used by.")
    next_poll_ms = serializers.IntegerField(help_text="When to ask again; also in the header `Next-Poll-Ms`.")
    receipt = serializers.CharField(
        help_text="A signed token of the place, or of the admission: send it as `X-Queue-Token`."
    )
    message = serializers.CharField()
    seats_left = serializers.IntegerField(allow_null=True)
    opens_at = serializers.DateTimeField(allow_null=True)


class ServingOut(serializers.Serializer):
    event_id = serializers.UUIDField()
    state = serializers.CharField()
    epoch = serializers.IntegerField(help_text="Grows when the line was restored; receipts say theirs.")
    at = serializers.DateTimeField()
    waiting = serializers.IntegerField()
    active = serializers.IntegerField()
    max_active = serializers.IntegerField()
    frontier = serializers.CharField(allow_null=True, help_text="The order key of whoever is next.")
    admitted_per_minute = serializers.FloatField(allow_null=True)
    seats_left = serializers.IntegerField(allow_null=True)
    opens_at = serializers.DateTimeField(allow_null=True)
    lobby_opens_at = serializers.DateTimeField(allow_null=True)
    message = serializers.CharField()
    next_poll_ms = serializers.IntegerField()


class JoinView(APIView):
    @extend_schema(
        operation_id="joinQueue",
        tags=["queue"],
        request=JoinIn,
        responses=StandingOut,
        parameters=[TOKEN],
        summary="Join a line, or find one's place in it",
    )
    def post(self, request: Request) -> Answer:
        event_id = read(JoinIn, request)["event_id"]
        token = request.headers.get("X-Queue-Token", "")
        standing = services.join(user_id=request.user.pk, event_id=event_id, token=token)
        return answer_of(standing)


class StatusView(APIView):
    throttle_classes = ()

    @extend_schema(
        operation_id="getQueueStatus",
        tags=["queue"],
        responses={200: StandingOut, 304: None, 404: None},
        parameters=[EVENT],
        summary="Where one stands in a line",
    )
    def get(self, request: Request) -> Response:
        standing = services.status(user_id=request.user.pk, event_id=event_of(request))
        if standing.status == "outside":
            raise NotInLine
        answer = answer_of(standing)
        if request.headers.get("If-None-Match") == answer.headers["ETag"]:
            return Response(status=304, headers=dict(answer.headers))
        return answer


class ExtendView(APIView):
    @extend_schema(
        operation_id="extendQueueSlot",
        tags=["queue"],
        request=JoinIn,
        responses=StandingOut,
        summary="More time to choose, at one's turn",
    )
    def post(self, request: Request) -> Answer:
        event_id = read(JoinIn, request)["event_id"]
        return answer_of(services.need_more_time(user_id=request.user.pk, event_id=event_id))


class LeaveView(APIView):
    @extend_schema(
        operation_id="leaveQueue",
        tags=["queue"],
        request=None,
        responses={204: None},
        parameters=[EVENT],
        summary="Give up one's place",
    )
    def delete(self, request: Request) -> Response:
        services.leave(user_id=request.user.pk, event_id=event_of(request))
        return Response(status=204)


class ServingView(APIView):
    """The same for everybody: any cache may keep it for a second."""

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()

    @extend_schema(
        operation_id="getQueueServing", tags=["queue"], auth=[], responses=ServingOut, summary="How a line moves"
    )
    def get(self, request: Request, event_id: str) -> Answer:
        shown = services.serving(parse_id(event_id, "event"))
        return Answer(shown, headers={"Cache-Control": "public, max-age=1"})


def event_of(request: Request) -> UUID:
    """
    Return the event that a request names, in its query or its body.

    :raises Invalid: if it names none
    """
    named = request.query_params.get("eventId") or request.query_params.get("event_id")
    if not named and request.method == "DELETE":
        named = request.data.get("event_id")
    if not named:
        raise Invalid("Say which event: `eventId`.", errors={"eventId": ["This field is required."]})
    return parse_id(named, "event")


def answer_of(standing: services.Standing) -> Answer:
    """Return somebody's standing, with its ETag and when to ask again."""
    body = rendered(standing)
    headers = {
        "ETag": etag_of(body),
        "Next-Poll-Ms": str(standing.next_poll_ms),
        "Cache-Control": "private, no-cache",
    }
    return Answer(body, headers=headers)


def etag_of(body: dict[str, Any]) -> str:
    """Return the ETag of somebody's standing: when to ask again is no news."""
    return f'"{blake2b(orjson.dumps({**body, "next_poll_ms": 0}), digest_size=12).hexdigest()}"'


def rendered(standing: services.Standing) -> dict[str, Any]:
    """Return somebody's standing as it is sent."""
    return {
        "event_id": standing.event_id,
        "status": standing.status,
        "position": standing.position,
        "total": standing.total,
        "estimate_seconds": standing.estimate_seconds,
        "expires_at": standing.expires_at,
        "booking_id": standing.booking_id,
        "next_poll_ms": standing.next_poll_ms,
        "receipt": standing.receipt,
        "message": standing.message,
        "seats_left": standing.seats_left,
        "opens_at": standing.opens_at,
    }
