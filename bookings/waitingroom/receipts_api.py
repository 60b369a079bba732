"""The API's doors to what anybody may check of a line."""

from typing import Any

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.views import APIView

from bookings.waitingroom import chain, lists, receipts
from common.api import Answer, Input, parse_id

PUBLIC = {"Cache-Control": "public, max-age=5"}
LARGEST = 10_000


class HeadOut(serializers.Serializer):
    number = serializers.IntegerField(help_text="How many links the chain has.")
    hash = serializers.CharField(help_text="Hash of the last one. Keep it: who holds it notices a chain cut short.")


class LinkOut(serializers.Serializer):
    number = serializers.IntegerField()
    at = serializers.CharField()
    kind = serializers.CharField()
    payload = serializers.DictField()
    previous = serializers.CharField()
    hash = serializers.CharField()


class ReceiptOut(serializers.Serializer):
    event_id = serializers.UUIDField()
    entry = serializers.CharField(help_text="Stands for this person in everything that is published.")
    state = serializers.CharField()
    joined_at = serializers.CharField(allow_null=True)
    arrival = serializers.IntegerField(allow_null=True, help_text="When they came to the lobby: it decides nothing.")
    drawn = serializers.BooleanField()
    place = serializers.IntegerField(allow_null=True, help_text="Place in the order drawn, from 1.")
    late = serializers.IntegerField(
        allow_null=True, help_text="The number of who came after the draw; a smaller one stands in front."
    )
    draw = serializers.IntegerField(allow_null=True)
    leaf = serializers.IntegerField(allow_null=True, help_text="Place on the sorted list, from 0.")
    proof = serializers.ListField(child=serializers.CharField(), help_text="Siblings on the way to the root.")
    size = serializers.IntegerField(allow_null=True)
    commitment = serializers.CharField(help_text="SHA-256 of the seed, published before anybody joined.")
    seed = serializers.CharField(help_text="Empty until the draw.")
    root = serializers.CharField(help_text="Root of the list's Merkle tree.")
    beacon = serializers.CharField()
    drawn_at = serializers.CharField(allow_null=True)
    chain = HeadOut()


class FairnessOut(serializers.Serializer):
    format = serializers.CharField()
    event_id = serializers.UUIDField()
    commitment = serializers.CharField()
    seed = serializers.CharField()
    root = serializers.CharField()
    beacon = serializers.CharField()
    size = serializers.IntegerField()
    first = serializers.IntegerField(help_text="The place of the first of `entries`.")
    entries = serializers.ListField(child=serializers.CharField())
    after = serializers.IntegerField(help_text="The number of the link before the first of `chain`.")
    chain = LinkOut(many=True)
    head = HeadOut()


class FairnessIn(Input):
    first = serializers.IntegerField(min_value=1, default=1)
    count = serializers.IntegerField(min_value=0, max_value=LARGEST, default=1000)
    after = serializers.IntegerField(min_value=0, default=0)
    links = serializers.IntegerField(min_value=0, max_value=200, default=50)


class ReceiptView(APIView):
    """One's own receipt."""

    @extend_schema(
        operation_id="getQueueReceipt", tags=["queue"], responses=ReceiptOut, summary="My fairness receipt for a line"
    )
    def get(self, request: Request, event_id: str) -> Answer:
        receipt = receipts.receipt_of(user_id=request.user.pk, event_id=parse_id(event_id, "event"))
        return Answer(receipts.rendered(receipt))


class FairnessView(APIView):
    """What is published of a line, a piece at a time."""

    permission_classes = [AllowAny]

    @extend_schema(
        operation_id="getQueueFairness",
        tags=["queue"],
        parameters=[
            OpenApiParameter("first", int, description="Place of the first entry wanted (1)."),
            OpenApiParameter("count", int, description=f"How many entries (1000, at most {LARGEST})."),
            OpenApiParameter("after", int, description="Links behind this number (0)."),
            OpenApiParameter("links", int, description="How many links (50, at most 200)."),
        ],
        responses=FairnessOut,
        summary="What is published of a line: promise, seed, list, chain",
    )
    def get(self, request: Request, event_id: str) -> Answer:
        room = receipts.room_of(parse_id(event_id, "event"))
        wanted = FairnessIn().run_validation(request.query_params.dict())
        first, count, after = wanted["first"], wanted["count"], wanted["after"]
        entries = lists.ordered(room.event_id, first=first, last=first + count - 1) if room.seed and count else ()
        found: dict[str, Any] = receipts.header(room) | {
            "first": first,
            "entries": list(entries),
            "after": after,
            "chain": [chain.published(link) for link in chain.links(room.event_id, after=after, limit=wanted["links"])],
            "head": chain.head(room.event_id)._asdict(),
        }
        return Answer(found, headers=PUBLIC)


class FairnessFileView(APIView):
    """All of it as one file, for `manage.py verify_fairness --file`."""

    permission_classes = [AllowAny]

    @extend_schema(
        operation_id="downloadQueueFairness",
        tags=["queue"],
        responses={
            200: OpenApiResponse(OpenApiTypes.OBJECT, description="Streamed; with `entries` and `chain` whole.")
        },
        summary="Everything that is published of a line, as one file",
    )
    def get(self, request: Request, event_id: str) -> StreamingHttpResponse:
        room = receipts.room_of(parse_id(event_id, "event"))
        response = StreamingHttpResponse(receipts.stream(room), content_type="application/json", headers=PUBLIC)
        response.headers["Content-Disposition"] = f'attachment; filename="fairness-{room.event_id}.json"'
        return response
