"""
What somebody in line asked for besides their turn, and what is theirs when the line ends sold out.

A mail at their turn; a place on the waitlist. When nothing is left to sell the order of the line is written down once
(`freeze`), as the time from which each person would wait: whoever joins the waitlist then, at once or days later, stands
where they stood in line.
"""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import connection, models, transaction
from django.db.models import Q
from django.db.models.functions import Now

from bookings.waitingroom.models import WaitingRoom

# One microsecond for each person before the moment of selling out, the last in line latest. Who was written down too late for
# the first freeze (their join was still in the journal) follows behind that moment: they were the last to come.
FREEZE = """
    WITH known AS (
        SELECT EXISTS (SELECT 1 FROM waitingroom_wish WHERE event_id = %(event)s AND waitlist_since IS NOT NULL) AS before
    ), behind AS (
        SELECT user_id, row_number() OVER (ORDER BY order_key, id) AS rank, count(*) OVER () AS total
        FROM waitingroom_place place
        WHERE event_id = %(event)s AND state IN ('waiting', 'parked', 'called', 'sold_out') AND order_key IS NOT NULL
            AND NOT EXISTS (
                SELECT 1 FROM waitingroom_wish wish
                WHERE wish.event_id = place.event_id AND wish.user_id = place.user_id AND wish.waitlist_since IS NOT NULL
            )
    )
    INSERT INTO waitingroom_wish (event_id, user_id, mail_at_turn, waitlist_quantity, waitlist_since)
    SELECT %(event)s, user_id, false, 0,
        %(at)s + (rank - CASE WHEN known.before THEN 0 ELSE total + 1 END) * interval '1 microsecond'
    FROM behind, known
    ON CONFLICT (event_id, user_id) DO UPDATE SET waitlist_since = excluded.waitlist_since
"""


class Wish(models.Model):
    """
    One person's wishes for one line. They stand beside the place, not in it: a place is written from Redis' journal a moment
    after somebody joined, a wish at once.
    """

    event = models.ForeignKey("events.Event", on_delete=models.CASCADE, related_name="+", db_index=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="line_wishes")
    mail_at_turn = models.BooleanField(default=False)
    waitlist_quantity = models.PositiveSmallIntegerField(
        default=0, help_text="Tickets wanted on the waitlist should the line end sold out; 0: asked then."
    )
    waitlist_since = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="From when they wait should they join the waitlist."
    )
    told_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="When they were told it sold out.")
    claimed_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="When they joined the waitlist.")
    changed_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        verbose_name_plural = "wishes"
        constraints = [
            models.UniqueConstraint(fields=["event", "user"], name="one_wish_per_person_and_event"),
        ]
        indexes = [
            models.Index(
                fields=["event", "waitlist_since"],
                condition=Q(waitlist_since__isnull=False, claimed_at__isnull=True),
                name="wish_to_hand_over",
            ),
        ]

    def __str__(self) -> str:
        return f"mail: {self.mail_at_turn}, waitlist: {self.waitlist_quantity}"

    @property
    def may_claim(self) -> bool:
        """Whether a place on the waitlist, in the order of the line, is theirs for the asking."""
        return self.waitlist_since is not None and self.claimed_at is None


def get_wish(*, user_id: UUID, event_id: UUID) -> Wish:
    """Return what a person wishes in a line; who never said anything wishes nothing."""
    found = Wish.objects.filter(user_id=user_id, event_id=event_id).first()
    return found or Wish(user_id=user_id, event_id=event_id)


def set_wish(*, user_id: UUID, event_id: UUID, mail_at_turn: bool, waitlist_quantity: int) -> None:
    """Write down what a person wishes in a line, in place of what they wished before."""
    Wish.objects.bulk_create(
        [
            Wish(
                user_id=user_id,
                event_id=event_id,
                mail_at_turn=mail_at_turn,
                waitlist_quantity=waitlist_quantity,
                changed_at=Now(),
            )
        ],
        update_conflicts=True,
        unique_fields=["event", "user"],
        update_fields=["mail_at_turn", "waitlist_quantity", "changed_at"],
    )


def who_wants_mail(*, event_id: UUID, user_ids: Iterable[UUID]) -> set[UUID]:
    """Return those of these people who asked for a mail at their turn."""
    asked = Wish.objects.filter(event_id=event_id, user_id__in=list(user_ids), mail_at_turn=True)
    return set(asked.values_list("user_id", flat=True))


@transaction.atomic
def freeze(*, event_id: UUID) -> int:
    """
    Write down the order in which a line ended sold out, and return for how many people.

    A second time changes nothing for those who are written down; a line that is not sold out is left alone.
    """
    room = (
        WaitingRoom.objects.select_for_update(no_key=True).filter(pk=event_id, state=WaitingRoom.State.SOLD_OUT).first()
    )
    if room is None:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(FREEZE, {"event": event_id, "at": room.ended_at})
        return cursor.rowcount


def to_hand_over(*, event_id: UUID, limit: int) -> list[tuple[UUID, int]]:
    """Return who asked for the waitlist and is not on it yet, with how many tickets, in the order of the line."""
    wanted = Wish.objects.filter(
        event_id=event_id, waitlist_since__isnull=False, claimed_at=None, waitlist_quantity__gte=1
    )
    return list(wanted.order_by("waitlist_since").values_list("user_id", "waitlist_quantity")[:limit])


def lock_claim(*, user_id: UUID, event_id: UUID) -> datetime | None:
    """Lock what is somebody's when the line ended sold out, and return from when they wait; None when it is nothing."""
    wish = Wish.objects.select_for_update(no_key=True).filter(user_id=user_id, event_id=event_id).first()
    return wish.waitlist_since if wish is not None and wish.may_claim else None


def mark_claimed(*, event_id: UUID, user_ids: Collection[UUID]) -> None:
    """Note that these people are on the waitlist now: who leaves it is not put back."""
    Wish.objects.filter(event_id=event_id, user_id__in=user_ids).update(claimed_at=Now())


def take_back(*, user_id: UUID, event_id: UUID) -> None:
    """Forget that somebody wanted to be put on the waitlist unasked: what they wanted is not possible."""
    Wish.objects.filter(user_id=user_id, event_id=event_id).update(waitlist_quantity=0)


@transaction.atomic
def to_tell(*, event_id: UUID, limit: int) -> list[UUID]:
    """Return, and note as told, people who stood in a line that sold out and were told nothing yet."""
    due = Wish.objects.select_for_update(no_key=True, skip_locked=True).filter(
        event_id=event_id, waitlist_since__isnull=False, claimed_at=None, told_at=None
    )
    found = list(due.order_by("waitlist_since")[:limit])
    Wish.objects.filter(pk__in=[wish.pk for wish in found]).update(told_at=Now())
    return [wish.user_id for wish in found]


def unfinished_lines() -> list[UUID]:
    """Return the events whose line sold out and still has people to freeze, hand over or tell, not older than a day."""
    rooms = WaitingRoom.objects.filter(state=WaitingRoom.State.SOLD_OUT, ended_at__gte=Now() - timedelta(days=1))
    return list(rooms.order_by("ended_at").values_list("pk", flat=True))
