"""Opening a payment: one intent per booking, however often and from how many windows it is asked for."""

from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, Max
from django.utils import timezone

from bookings import queries
from bookings import services as bookings
from bookings.models import Booking
from bookings.references import spoken
from bookings.refusals import ExtensionRefused, HoldExpired
from bookings.states import Status as BookingStatus
from events.models import Event
from payments.gateway import Intent, ProviderUnavailable, UnknownToProvider, gateway
from payments.models import Payment
from payments.refusals import AlreadyPaid, NothingToPay, PaymentChanged, PaymentUnderReview
from payments.services.rows import lock_booking
from payments.services.settlement import close_payment, close_unpaid, settle_intent
from payments.states import OPEN

CHECKOUT_LIFE = timedelta(minutes=31)  # the provider accepts no less than 30; the end of the hold closes it earlier


@dataclass(frozen=True)
class IntentView:
    """What a client needs to pay."""

    payment_intent_id: str
    client_secret: str
    amount_minor: int
    currency: str
    status: str


def create_intent(*, booking_id: UUID, user_id: UUID) -> IntentView:
    """
    Open the payment of a hold, or return the one that is open.

    :raises NotFound: if it is not their booking
    :raises NothingToPay: if it costs nothing, or is paid at the door
    :raises AlreadyPaid: if it is paid
    :raises HoldExpired: if the hold has ended, or ends too soon to pay and can not be extended
    :raises ProviderUnavailable: if the provider does not answer
    """
    for _ in range(3):
        payment = claim_payment(booking_id=booking_id, user_id=user_id, door=Payment.Door.INTENT)
        if not fits(payment, Payment.Door.INTENT):
            close_payment(payment_id=payment.pk)
            continue
        try:
            intent = open_intent(payment)
        except UnknownToProvider:
            close_unpaid(payment)
            continue
        if intent.status == "succeeded":
            settle_intent(intent=intent)
            raise AlreadyPaid
        if intent.status == "canceled":
            settle_intent(intent=intent)
            continue
        return IntentView(intent.id, intent.client_secret, intent.amount_minor, intent.currency, intent.status)
    raise PaymentChanged


def checkout_url(*, booking_id: UUID, user_id: UUID, success_url: str, cancel_url: str) -> str:
    """
    Return the address of the provider's own page to pay a hold on, for browsers without JavaScript.

    :raises HoldExpired, NothingToPay, AlreadyPaid, NotFound, ProviderUnavailable: as `create_intent`
    """
    for _ in range(3):
        payment = claim_payment(booking_id=booking_id, user_id=user_id, door=Payment.Door.CHECKOUT)
        if fits(payment, Payment.Door.CHECKOUT) and (url := open_checkout(payment, success_url, cancel_url)):
            return url
        close_payment(payment_id=payment.pk)
    raise PaymentChanged


def hosted_payment_url(*, booking_id: UUID, user_id: UUID, return_url: str) -> str:
    """
    Return where a browser without JavaScript pays: the sandbox's page, or Stripe's Checkout.

    :raises HoldExpired, NothingToPay, AlreadyPaid, NotFound, ProviderUnavailable: as `create_intent`
    """
    if settings.PAYMENTS_SANDBOX:
        view = create_intent(booking_id=booking_id, user_id=user_id)
        return f"{settings.STRIPE_API_BASE}/pay/{view.payment_intent_id}?{urlencode({'return_url': return_url})}"
    return checkout_url(booking_id=booking_id, user_id=user_id, success_url=return_url, cancel_url=return_url)


@transaction.atomic
def claim_payment(*, booking_id: UUID, user_id: UUID, door: str = Payment.Door.INTENT) -> Payment:
    """
    Return the open payment of a hold, made now if there is none. A hold that ends before anybody can type a card number is
    extended once.

    :raises NotFound, NothingToPay, AlreadyPaid, HoldExpired: as `create_intent`
    """
    booking = queries.get_booking_for(user_id=user_id, booking_id=booking_id)
    at_door = booking.event.payment_collection == Event.Collection.AT_DOOR
    if booking.amount_minor == 0 or at_door:
        raise NothingToPay
    locked, left = lock_booking(booking_id)
    if locked.status == BookingStatus.CONFIRMED:
        raise AlreadyPaid
    if locked.status == BookingStatus.OFFERED:
        raise NothingToPay("Accept the offer first; then you can pay.")
    if left <= timedelta():
        raise HoldExpired
    if left < timedelta(seconds=settings.PAYMENT_MARGIN_SECONDS):
        try:
            bookings.extend_hold(booking_id=booking_id, user_id=user_id)
        except ExtensionRefused as error:
            raise HoldExpired("Your hold ends in a moment; that is too little time to pay.") from error
    payments = Payment.objects.filter(booking_id=booking_id)
    if payments.filter(use=Payment.Use.REVIEW).exists():
        raise PaymentUnderReview
    payment = payments.filter(status__in=OPEN).first()
    if payment is not None:
        return payment
    last = payments.aggregate(last=Max("attempt"))["last"] or 0
    return Payment.objects.create(
        booking_id=booking_id,
        attempt=last + 1,
        door=door,
        amount_minor=locked.amount_minor,
        currency=locked.currency,
    )


def fits(payment: Payment, door: str) -> bool:
    """Whether an open payment asks for what the booking costs now, at the door that is wanted."""
    booking = Booking.objects.only("amount_minor", "currency").get(pk=payment.booking_id)
    asked = (payment.amount_minor, payment.currency, payment.door)
    return asked == (booking.amount_minor, booking.currency, door)


def open_intent(payment: Payment) -> Intent:
    """
    Return the payment's intent, made now if it has none.

    The idempotency key changes only after a failure: two windows get one intent, and a failure that the provider remembers
    under a key does not repeat for ever. An intent whose answer got lost is harmless: nobody has its secret.

    :raises HoldExpired: if the booking ended meanwhile
    :raises ProviderUnavailable, UnknownToProvider: as the gateway
    """
    if payment.intent_id:
        return gateway().get_intent(payment.intent_id)
    try:
        intent = gateway().create_intent(
            amount_minor=payment.amount_minor,
            currency=payment.currency,
            metadata=metadata_for(payment),
            key=f"intent:{payment.pk}:{payment.tries}",
        )
    except ProviderUnavailable:
        count_failure(payment)
        raise
    if Payment.objects.filter(pk=payment.pk, status__in=OPEN, intent_id__isnull=True).update(intent_id=intent.id):
        return intent
    payment.refresh_from_db()
    if payment.intent_id == intent.id:
        return intent
    if payment.intent_id and payment.is_open:
        return gateway().get_intent(payment.intent_id)
    raise HoldExpired


def open_checkout(payment: Payment, success_url: str, cancel_url: str) -> str:
    """
    Return the address of the payment's hosted checkout, made now if it has none; empty if that is over.

    :raises ProviderUnavailable: if the provider does not answer
    """
    if payment.checkout_id:
        checkout = gateway().get_checkout(payment.checkout_id)
        return checkout.url if checkout.status == "open" else ""
    metadata = metadata_for(payment)
    try:
        checkout = gateway().create_checkout(
            amount_minor=payment.amount_minor,
            currency=payment.currency,
            title=metadata["title"],
            metadata=metadata,
            expires_at=int((timezone.now() + CHECKOUT_LIFE).timestamp()),
            success_url=success_url,
            cancel_url=cancel_url,
            key=f"checkout:{payment.pk}:{payment.tries}",
        )
    except ProviderUnavailable:
        count_failure(payment)
        raise
    noted = Payment.objects.filter(pk=payment.pk, status__in=OPEN, checkout_id__isnull=True)
    if not noted.update(checkout_id=checkout.id):
        payment.refresh_from_db()
        if payment.checkout_id != checkout.id:
            gateway().expire_checkout(checkout.id)
            return ""
    return checkout.url


def count_failure(payment: Payment) -> None:
    """Make the next try one of its own."""
    Payment.objects.filter(pk=payment.pk, tries=payment.tries).update(tries=F("tries") + 1)


def metadata_for(payment: Payment) -> dict[str, str]:
    """Return what we write on an intent and check when it comes back, and what the buyer reads on the page to pay on."""
    booking = Booking.objects.select_related("event", "category").get(pk=payment.booking_id)
    return {
        "payment": str(payment.pk),
        "booking": str(payment.booking_id),
        "reference": spoken(booking.reference),
        "title": f"{booking.quantity} × {booking.category.name}, {booking.event.name}"[:250],
    }
