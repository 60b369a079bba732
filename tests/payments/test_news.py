"""Money on its way back is told in the list at each step, and mailed where no other mail says it."""

import pytest

from accounts.notifications import queries
from bookings import services as bookings
from common import outbox
from common.models import OutboxMessage, SentMail
from payments import services
from payments.models import Payment, Refund
from payments.services.refunds import request_refund

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _mails_as_rows(settings):
    settings.EMAIL_BACKEND = "common.mail.RecordedEmailBackend"


@pytest.fixture
def sold(provider, shop):
    """A booking that was paid and confirmed."""
    hold = shop.hold(quantity=2)
    provider.pay(shop.intent(hold))
    return services.confirm_by_client(booking_id=hold.pk, user_id=hold.user_id)


def steps(booking):
    return [told.kind for told in queries.list_for(booking.user_id, groups=["tickets"]) if "refund" in told.kind][::-1]


def test_refund_of_a_cancellation_is_told_and_mailed_only_by_the_cancellation(sold):
    bookings.cancel_booking(booking_id=sold.pk, by="buyer")
    services.deliver_due_refunds()
    services.deliver_due_refunds()
    outbox.deliver_due()

    assert steps(sold) == ["refund_started", "refund_done"]
    assert not OutboxMessage.objects.filter(topic="notification_mail").exists()
    started = next(told for told in queries.list_for(sold.user_id) if told.kind == "refund_started")
    assert queries.Shown.of(started).title == "€98.00 goes back to you"


def test_refund_the_bank_sends_back_is_told_and_mailed_once(provider, sold):
    provider.control(refund_outcome="failed")
    bookings.cancel_booking(booking_id=sold.pk, by="buyer")
    services.deliver_due_refunds()
    outbox.deliver_due()
    OutboxMessage.objects.filter(topic="notification_mail").update(done_at=None)
    outbox.deliver_due()

    assert steps(sold) == ["refund_started", "refund_failed"]
    assert OutboxMessage.objects.filter(topic="notification_mail").count() == 1
    assert SentMail.objects.filter(subject="Sending €98.00 back to you did not work yet").exists()


def test_refund_asked_for_twice_is_told_once_and_mailed_as_no_other_mail_says_it(sold):
    payment = Payment.objects.get(booking=sold)
    for _ in range(2):
        request_refund(payment=payment, amount_minor=100, reason=Refund.Reason.DUPLICATE)
    outbox.deliver_due()

    assert steps(sold) == ["refund_started"]
    assert SentMail.objects.filter(subject="€1.00 goes back to you").count() == 1
