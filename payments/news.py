"""What people are told about money on its way back, each once per refund and step."""

from datetime import timedelta

from django.db.models.functions import Now

from accounts.notifications import Kind, notify, register
from bookings.models import Booking
from common.money import display
from payments.models import Refund

STARTED = register(
    Kind(
        name="refund_started",
        title="{amount} goes back to you",
        body="{why} It goes to the card you paid with, for {event}. Banks show it within 5 to 10 days.",
        essential=True,
        template="notice",
    )
)
DONE = register(
    Kind(
        name="refund_done",
        title="{amount} went back to you",
        body="The refund for {event} has left for the card you paid with. Banks show it within 5 to 10 days.",
        essential=True,
        template="notice",
    )
)
FAILED = register(
    Kind(
        name="refund_failed",
        title="Sending {amount} back to you did not work yet",
        body="The bank did not take the refund for {event}. A person is taking care of it; you need to do nothing.",
        essential=True,
        template="notice",
    )
)
WHY = {
    Refund.Reason.CANCELLED: "Your booking is cancelled.",
    Refund.Reason.SEATS_GONE: "Your payment came after the seats were gone.",
    Refund.Reason.DUPLICATE: "You paid twice.",
    Refund.Reason.STAFF: "Our staff decided so.",
    Refund.Reason.TICKETS: "Some of your tickets are cancelled.",
    Refund.Reason.PROVIDER: "Our staff sent it back.",
}
# The mail about the cancelled booking or tickets, or the late payment, says that the money comes.
SAID_BY_ANOTHER_MAIL = (Refund.Reason.CANCELLED, Refund.Reason.SEATS_GONE, Refund.Reason.TICKETS)
SLOW = timedelta(hours=1)


def refund_started(refund: Refund) -> None:
    """Tell somebody that money is on its way back to them."""
    tell(refund, STARTED, by_mail=refund.reason not in SAID_BY_ANOTHER_MAIL, why=WHY[Refund.Reason(refund.reason)])


def refund_done(refund: Refund) -> None:
    """Tell somebody that their money went back; by mail only if that took longer than one expects."""
    slow = Refund.objects.filter(pk=refund.pk, created_at__lt=Now() - SLOW).exists()
    tell(refund, DONE, by_mail=slow)


def refund_failed(refund: Refund) -> None:
    """Tell somebody that their money did not arrive and that it is being looked after."""
    tell(refund, FAILED)


def tell(refund: Refund, kind: Kind, *, by_mail: bool = True, **words: str) -> None:
    """Tell the buyer of a refund's booking."""
    booking = Booking.objects.select_related("event").get(pk=refund.payment.booking_id)
    notify(
        user_id=booking.user_id,
        kind=kind.name,
        cause=str(refund.pk),
        url=f"/bookings/{booking.pk}",
        by_mail=by_mail,
        event=booking.event.name,
        amount=display(refund.amount_minor, refund.currency),
        **words,
    )
