"""
Paying, as pages.

In test mode the card goes to the sandbox: by its own page, which needs no JavaScript, or by a form of ours that exists only
then. With Stripe the card field is Stripe's (Payment Element), and without JavaScript its hosted Checkout.
"""

from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from accounts import limits
from bookings.models import Booking
from bookings.pages import address_of, hold_minutes, is_held
from bookings.queries import get_booking_for
from bookings.refusals import HoldExpired, SeatsGone
from bookings.states import Status
from common.errors import Unavailable
from common.pages import Problem, Problems, members_only
from payments import services
from payments.refusals import AlreadyPaid, NothingToPay, PaymentChanged, PaymentNotCompleted
from payments.sandbox.cards import CARDS

DECLINED = Problems(
    "Your card was declined",
    [
        Problem("Nothing was charged and your tickets are still held."),
        Problem("Use another card", "pay"),
    ],
)
AWAY = Problems(
    "The payment service does not answer",
    [Problem("Nothing was charged and your tickets are still held. Try again in a few seconds.")],
)
CHANGED = Problems("This payment was changed in another window", [Problem("Nothing was charged. Here it is again.")])
NOTICES = {"declined": DECLINED, "changed": CHANGED}


@require_safe
@members_only
def pay(request: HttpRequest, booking_id: UUID) -> HttpResponse:
    """Step 2: pay for the tickets that are held."""
    booking = get_booking_for(user_id=request.user.pk, booking_id=booking_id)
    if not is_held(booking):
        return redirect(after(booking))
    problems = NOTICES.get(request.GET.get("problem", ""))
    try:
        intent = services.create_intent(booking_id=booking.pk, user_id=request.user.pk)
    except AlreadyPaid:
        return redirect("pay-return", booking.pk)
    except (HoldExpired, NothingToPay):
        return redirect("booking", booking.pk)
    except Unavailable:
        return show(request, booking, problems=AWAY, status=503)
    if intent.status == "processing":
        return redirect("pay-return", booking.pk)
    booking.refresh_from_db(fields=["expires_at"])
    return show(request, booking, intent=intent, problems=problems)


def show(
    request: HttpRequest,
    booking: Booking,
    *,
    intent: services.IntentView | None = None,
    problems: Problems | None = None,
    status: int = 200,
) -> HttpResponse:
    """Render the payment page; without an intent it only offers to try again."""
    back = request.build_absolute_uri(reverse("pay-return", args=[booking.pk]))
    context = {
        "booking": booking,
        "hold": booking,
        "event": booking.event,
        "intent": intent,
        "problems": problems,
        "return_url": back,
        "sandbox_url": settings.SANDBOX_URL,
        "publishable_key": settings.STRIPE_PUBLISHABLE_KEY,
        "cards": CARDS,
        "minutes": hold_minutes(),
        "cancel_hours": settings.CANCEL_UNTIL_HOURS,
    }
    return render(request, "payments/pay.html", context, status=status)


@require_POST
@members_only
def checkout(request: HttpRequest, booking_id: UUID) -> HttpResponse:
    """Pay on Stripe's own page: the way without JavaScript."""
    limits.check(request, scope="booking")
    booking = get_booking_for(user_id=request.user.pk, booking_id=booking_id)
    if not is_held(booking):
        return redirect(after(booking))
    back = request.build_absolute_uri(reverse("pay-return", args=[booking.pk]))
    try:
        return redirect(services.hosted_payment_url(booking_id=booking.pk, user_id=request.user.pk, return_url=back))
    except AlreadyPaid:
        return redirect("pay-return", booking.pk)
    except (HoldExpired, NothingToPay):
        return redirect("booking", booking.pk)
    except Unavailable:
        return show(request, booking, problems=AWAY, status=503)
    except PaymentChanged:
        return redirect(f"{reverse('pay', args=[booking.pk])}?problem=changed")


@require_safe
@members_only
def back_from_bank(request: HttpRequest, booking_id: UUID) -> HttpResponse:
    """Where the card page or the bank sends people back to: it asks what became of the payment and goes on from there."""
    booking = get_booking_for(user_id=request.user.pk, booking_id=booking_id)
    if booking.status == Status.CONFIRMED:
        return redirect("booking-done", booking.pk)
    try:
        services.confirm_by_client(booking_id=booking.pk, user_id=request.user.pk)
    except PaymentNotCompleted as error:
        return not_paid(request, booking, error)
    except SeatsGone as error:
        messages.warning(request, error.text)
        return redirect("booking", booking.pk)
    except HoldExpired:
        return redirect("booking", booking.pk)
    except Unavailable:
        return waiting(request, booking)
    return redirect("booking-done", booking.pk)


def not_paid(request: HttpRequest, booking: Booking, error: PaymentNotCompleted) -> HttpResponse:
    """Show what is between a person and their tickets: the bank that still checks, or a card that was declined."""
    if error.extra.get("payment_status") == "processing":
        return waiting(request, booking)
    was_declined = error.text != PaymentNotCompleted.message
    return redirect(reverse("pay", args=[booking.pk]) + ("?problem=declined" if was_declined else ""))


def waiting(request: HttpRequest, booking: Booking) -> HttpResponse:
    """Render the page that looks again by itself, with or without JavaScript."""
    context = {"booking": booking, "hold": booking if is_held(booking) else None, "event": booking.event}
    return render(request, "payments/processing.html", context)


def after(booking: Booking) -> str:
    """Return the page for a booking that needs no payment now."""
    return reverse("booking-done", args=[booking.pk]) if booking.status == Status.CONFIRMED else address_of(booking)
