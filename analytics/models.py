"""
Sales in figures, counted ahead, so that a page of them costs the same after a hundred bookings and after a million.

Every row can be counted again from the bookings (`manage.py rebuild_figures`); nothing here decides anything. Days and hours
are those of the event's place.
"""

from django.db import models
from django.db.models.functions import Now


class Counted(models.Model):
    """What happened to bookings of one category in one stretch of time."""

    event = models.ForeignKey("events.Event", on_delete=models.CASCADE, related_name="+", db_index=False)
    category = models.ForeignKey("events.TicketCategory", on_delete=models.CASCADE, related_name="+", db_index=False)
    holds = models.PositiveIntegerField(default=0, help_text="Bookings begun.")
    sold_bookings = models.PositiveIntegerField(default=0)
    sold_tickets = models.PositiveIntegerField(default=0)
    sold_minor = models.PositiveBigIntegerField(default=0, help_text="What was sold then, whatever became of it.")
    cancelled_bookings = models.PositiveIntegerField(default=0, help_text="Sales cancelled then.")
    cancelled_tickets = models.PositiveIntegerField(default=0)
    cancelled_minor = models.PositiveBigIntegerField(default=0)

    class Meta:
        abstract = True


class SalesDay(Counted):
    """One category's day."""

    day = models.DateField()
    standing_bookings = models.PositiveIntegerField(default=0, help_text="Of those sold this day, not cancelled since.")
    standing_tickets = models.PositiveIntegerField(default=0)
    standing_minor = models.PositiveBigIntegerField(default=0)
    given_up = models.PositiveIntegerField(default=0, help_text="Holds and offers cancelled before they were sales.")
    lapsed = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["day"]
        constraints = [models.UniqueConstraint(fields=["event", "category", "day"], name="sales_day_is_one")]
        indexes = [models.Index(fields=["day"], name="sales_of_day")]

    def __str__(self) -> str:
        return f"{self.category_id} {self.day}"


class SalesHour(Counted):
    """One category's hour, kept for HOURS_KEPT_DAYS: the plot of an on-sale."""

    hour = models.DateTimeField()

    class Meta:
        ordering = ["hour"]
        constraints = [models.UniqueConstraint(fields=["event", "category", "hour"], name="sales_hour_is_one")]
        indexes = [models.Index(fields=["hour"], name="sales_of_hour")]

    def __str__(self) -> str:
        return f"{self.category_id} {self.hour:%Y-%m-%d %H}"


class PeopleDay(models.Model):
    """What people did around one event on one day: the way from the line to a ticket, and beside it."""

    event = models.ForeignKey("events.Event", on_delete=models.CASCADE, related_name="+", db_index=False)
    day = models.DateField()
    lined_up = models.PositiveIntegerField(default=0, help_text="Joined the line.")
    let_in = models.PositiveIntegerField(default=0)
    waitlisted = models.PositiveIntegerField(default=0)
    offered = models.PositiveIntegerField(default=0)
    checks_passed = models.PositiveIntegerField(default=0)
    checks_missed = models.PositiveIntegerField(default=0)
    checks_returned = models.PositiveIntegerField(default=0, help_text="Given back: the picture or the engine failed.")
    refunds = models.PositiveIntegerField(default=0)
    refunded_minor = models.PositiveBigIntegerField(default=0)

    class Meta:
        ordering = ["day"]
        constraints = [models.UniqueConstraint(fields=["event", "day"], name="people_day_is_one")]
        indexes = [models.Index(fields=["day"], name="people_of_day")]

    def __str__(self) -> str:
        return f"{self.event_id} {self.day}"


class EventFigures(models.Model):
    """What can not be added up from days: distinct people, and where registrations stand."""

    event = models.OneToOneField("events.Event", on_delete=models.CASCADE, primary_key=True, related_name="+")
    timezone = models.CharField(
        max_length=64, blank=True, default="", db_default="", help_text="By whose clock the days were counted."
    )
    line_counted = models.BigIntegerField(default=0, db_default=0, help_text="How far the line's journal was counted.")
    buyers = models.PositiveIntegerField(default=0, help_text="People with tickets now.")
    came_again = models.PositiveIntegerField(
        default=0, help_text="Of these, who had tickets of an earlier event of ours."
    )
    verification = models.JSONField(default=dict)
    counted_at = models.DateTimeField(db_default=Now())
    people_counted_at = models.DateTimeField(null=True, blank=True, help_text="When `came_again` was counted.")

    def __str__(self) -> str:
        return str(self.event_id)


class Cursor(models.Model):
    """Until when news was counted, and what was true of the whole house then; one row."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    counted_until = models.DateTimeField()
    in_line = models.PositiveIntegerField(default=0, db_default=0, help_text="People in waiting rooms.")
    payment_failures = models.PositiveIntegerField(default=0, db_default=0, help_text="In the 24 hours before.")
    messages_given_up = models.PositiveIntegerField(default=0, db_default=0)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="analytics_cursor_is_one")]

    def __str__(self) -> str:
        return f"{self.counted_until:%Y-%m-%d %H:%M:%S}"
