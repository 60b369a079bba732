"""The life of a booking, written once: the model, its guarded updates and the database's triggers all read these tables."""

from django.db import models

from common.states import Step


class Status(models.TextChoices):
    OFFERED = "offered"
    PENDING = "pending"
    CONFIRMED = "confirmed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Source(models.TextChoices):
    PUBLIC = "public"
    WAITLIST = "waitlist"
    STAFF = "staff"


INITIAL = (Status.PENDING, Status.OFFERED)
LAPSING = (Status.PENDING, Status.OFFERED)
LIVE = (Status.OFFERED, Status.PENDING, Status.CONFIRMED)

# Which counter of the category's inventory holds the seats of a booking in this status.
BUCKETS = {Status.OFFERED: "offered", Status.PENDING: "held", Status.CONFIRMED: "sold"}

TRANSITIONS = {
    "accept": Step((Status.OFFERED,), Status.PENDING),
    "confirm": Step((Status.PENDING,), Status.CONFIRMED),
    "expire": Step((Status.PENDING, Status.OFFERED), Status.EXPIRED),
    "cancel": Step((Status.PENDING, Status.OFFERED, Status.CONFIRMED), Status.CANCELLED),
    # Money that arrives after the hold lapsed may take the seats again while they are free (DESIGN.md section 5).
    "retake": Step((Status.EXPIRED,), Status.CONFIRMED),
}

# Why a booking ended that staff cancelled without giving back any of what was paid.
NOTHING_BACK = "cancelled_without_refund"
