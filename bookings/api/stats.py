"""The figures of an event's sale, for its organiser and staff."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.views import APIView

from bookings.statistics import event_statistics
from common.api import Answer, parse_id
from events.models import Event
from events.queries import get_event_to_change


class CategoryStatsOut(serializers.Serializer):
    id = serializers.UUIDField()
    name = serializers.CharField()
    capacity = serializers.IntegerField()
    sold = serializers.IntegerField()
    held = serializers.IntegerField()
    offered = serializers.IntegerField()
    waiting = serializers.IntegerField()
    available = serializers.IntegerField()
    revenue = serializers.CharField()
    revenue_minor = serializers.IntegerField()


class DayStatsOut(serializers.Serializer):
    date = serializers.DateField()
    bookings = serializers.IntegerField()
    tickets = serializers.IntegerField()
    revenue = serializers.CharField()
    revenue_minor = serializers.IntegerField()


class BookingCountsOut(serializers.Serializer):
    confirmed = serializers.IntegerField()
    cancelled = serializers.IntegerField()
    expired = serializers.IntegerField()
    holding = serializers.IntegerField()


class EventStatsOut(serializers.Serializer):
    event_id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=Event.Status.choices)
    capacity = serializers.IntegerField()
    sold = serializers.IntegerField()
    held = serializers.IntegerField()
    offered = serializers.IntegerField()
    waiting = serializers.IntegerField()
    available = serializers.IntegerField()
    utilisation = serializers.FloatField(help_text="Sold of capacity, 0 to 1.")
    currency = serializers.CharField()
    revenue = serializers.CharField(help_text="What confirmed bookings cost.")
    revenue_minor = serializers.IntegerField()
    bookings = BookingCountsOut()
    cancellation_rate = serializers.FloatField(help_text="Cancelled of all that were ever confirmed, 0 to 1.")
    categories = CategoryStatsOut(many=True)
    trend = DayStatsOut(many=True, help_text="Days on which something was sold that still stands.")
    verification = serializers.DictField(child=serializers.IntegerField(), help_text="Outcomes of face checks.")


class EventStatsView(APIView):
    @extend_schema(
        operation_id="getEventStats", tags=["events"], responses=EventStatsOut, summary="How a sale goes, in figures"
    )
    def get(self, request: Request, event_id: str) -> Answer:
        event = get_event_to_change(event_id=parse_id(event_id, "event"), viewer=request.user)
        return Answer(event_statistics(event=event))
