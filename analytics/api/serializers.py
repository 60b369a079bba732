"""What the figures look like on the wire."""

from rest_framework import serializers

from events.models import Event


class MoneyOut(serializers.Serializer):
    revenue = serializers.CharField()
    revenue_minor = serializers.IntegerField()


class CategoryStatsOut(MoneyOut):
    id = serializers.UUIDField()
    name = serializers.CharField()
    capacity = serializers.IntegerField()
    sold = serializers.IntegerField()
    held = serializers.IntegerField()
    offered = serializers.IntegerField()
    waiting = serializers.IntegerField()
    available = serializers.IntegerField()


class DayStatsOut(MoneyOut):
    date = serializers.DateField()
    bookings = serializers.IntegerField()
    tickets = serializers.IntegerField()


class BookingCountsOut(serializers.Serializer):
    confirmed = serializers.IntegerField()
    cancelled = serializers.IntegerField()
    expired = serializers.IntegerField()
    holding = serializers.IntegerField()


class PeopleOut(serializers.Serializer):
    lined_up = serializers.IntegerField(help_text="Joined the line.")
    let_in = serializers.IntegerField()
    waitlisted = serializers.IntegerField()
    offered = serializers.IntegerField()
    checks_passed = serializers.IntegerField()
    checks_missed = serializers.IntegerField()
    checks_returned = serializers.IntegerField(help_text="Given back: the picture or the engine failed.")
    refunds = serializers.IntegerField()


class EventStatsOut(MoneyOut):
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
    bookings = BookingCountsOut()
    cancellation_rate = serializers.FloatField(help_text="Cancelled of all that were ever confirmed, 0 to 1.")
    buyers = serializers.IntegerField(help_text="People with tickets.")
    returning_buyers = serializers.IntegerField(help_text="Of these, with tickets of an earlier event too.")
    people = PeopleOut()
    categories = CategoryStatsOut(many=True)
    trend = DayStatsOut(many=True, help_text="Days on which something was sold that still stands.")
    verification = serializers.DictField(child=serializers.IntegerField(), help_text="Outcomes of face checks.")
    counted_at = serializers.DateTimeField(
        allow_null=True, help_text="As of when money and days are; seats are of now."
    )


class CurrencyOut(MoneyOut):
    currency = serializers.CharField()


class TodayOut(serializers.Serializer):
    bookings = serializers.IntegerField()
    tickets = serializers.IntegerField()
    cancelled = serializers.IntegerField()
    holds = serializers.IntegerField()
    revenue = CurrencyOut(many=True)


class TotalsOut(serializers.Serializer):
    bookings = serializers.IntegerField(help_text="Confirmed ones.")
    tickets = serializers.IntegerField()
    cancellation_rate = serializers.FloatField(help_text="Cancelled of all that were ever confirmed, 0 to 1.")
    revenue = CurrencyOut(many=True)


class SeatsOut(serializers.Serializer):
    capacity = serializers.IntegerField()
    sold = serializers.IntegerField()
    held = serializers.IntegerField()
    offered = serializers.IntegerField()
    waiting = serializers.IntegerField()
    utilisation = serializers.FloatField(help_text="Sold of capacity, 0 to 1.")


class HourOut(serializers.Serializer):
    hour = serializers.DateTimeField()
    tickets = serializers.IntegerField()
    bookings = serializers.IntegerField()
    holds = serializers.IntegerField()


class DayOut(PeopleOut):
    date = serializers.DateField()
    holds = serializers.IntegerField()
    tickets = serializers.IntegerField()
    bookings = serializers.IntegerField()
    cancelled = serializers.IntegerField()


class StepOut(serializers.Serializer):
    step = serializers.CharField()
    count = serializers.IntegerField()


class TopOut(CurrencyOut):
    event_id = serializers.UUIDField()
    name = serializers.CharField()
    tickets = serializers.IntegerField(help_text="Sold in the last 30 days.")
    utilisation = serializers.FloatField()
    cancellation_rate = serializers.FloatField()


class EngagementOut(serializers.Serializer):
    buyers = serializers.IntegerField()
    returning = serializers.IntegerField()
    returning_rate = serializers.FloatField()


class ToDoOut(serializers.Serializer):
    checks_to_review = serializers.IntegerField()
    payments_to_look_at = serializers.IntegerField()
    messages_given_up = serializers.IntegerField()


class DashboardOut(serializers.Serializer):
    today = TodayOut(help_text="Each event's day is that of its place.")
    totals = TotalsOut(help_text="Of every event, ever.")
    seats = SeatsOut(help_text="Of events that are on sale or to come, now.")
    in_line = serializers.IntegerField()
    hours = HourOut(many=True, help_text="The last 48 hours.")
    days = DayOut(many=True, help_text="The last 30 days.")
    funnel = StepOut(many=True, help_text="From the line to a paid ticket, over 30 days.")
    top_events = TopOut(many=True)
    engagement = EngagementOut()
    to_do = ToDoOut()
    payment_failures = serializers.IntegerField(help_text="Payments that failed in the last 24 hours.")
    counted_at = serializers.DateTimeField(
        allow_null=True, help_text="As of when everything was counted but seats, checks and payments to look at."
    )
