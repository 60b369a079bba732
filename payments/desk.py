"""
The refund screen: what was paid for a booking, what may go back, what would happen, and what became of it.

Every step is a form and a page. The first press shows what would happen, the second does it, once: it carries
a token, so that pressing twice, or the back button, gives nothing back again.
"""

from typing import Any
from uuid import UUID, uuid4

from django import forms
from django.contrib import messages
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from accounts.models import StaffAction
from bookings.models import Booking, Ticket
from bookings.references import normalise_reference, spoken
from bookings.states import Status
from common.admin import EVERY_EVENT
from common.errors import FairseatError
from common.money import display, display_sum, to_decimal, to_minor
from events.models import Event
from payments import services
from payments.models import Payment, Refund
from payments.services.returns import Plan, payment_to_return
from payments.states import RefundStatus

REFUND = "payments.refund_payment"
FREELY = "payments.refund_freely"
ON_ITS_WAY = (RefundStatus.REQUESTED, RefundStatus.SENT)
LOOK_AGAIN_SECONDS = 3


class ReturnForm(forms.Form):
    """What goes back, and why."""

    tickets = forms.TypedMultipleChoiceField(coerce=UUID, required=False, widget=forms.CheckboxSelectMultiple)
    amount = forms.DecimalField(
        required=False, min_value=0, max_digits=12, decimal_places=3, widget=UnfoldAdminTextInputWidget
    )
    used_too = forms.BooleanField(required=False)
    reason = forms.CharField(max_length=500, widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}))
    token = forms.CharField(max_length=36, required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, tickets: list[Ticket], currency: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.currency = currency
        choices = [(str(ticket.pk), str(ticket.number)) for ticket in tickets]
        self.fields["tickets"].choices = choices  # type: ignore[attr-defined]
        self.fields["tickets"].error_messages["invalid_choice"] = "One of these tickets is not valid any more."
        self.fields["reason"].error_messages["required"] = "Write a reason: it is kept with your name."

    def clean_amount(self) -> int | None:
        """Return the amount in minor units; None if it was left to the tickets' price."""
        amount = self.cleaned_data["amount"]
        try:
            return None if amount is None else to_minor(amount, self.currency)
        except FairseatError as error:
            raise forms.ValidationError(error.text) from error

    def wish(self) -> dict[str, Any]:
        """Return what was asked for, as the services take it."""
        data = self.cleaned_data
        return {
            "ticket_ids": data["tickets"],
            "amount_minor": data["amount"],
            "used_too": data["used_too"],
        }


class RefundDesk:
    """Mix into the payments' admin: the page that finds a booking, and the page that refunds it."""

    admin_site: Any

    def get_urls(self) -> list[URLPattern]:
        own = [
            path("refund/", self.admin_site.admin_view(self.find_booking), name="payments_refund_find"),
            path("refund/<uuid:booking_id>/", self.admin_site.admin_view(self.refund), name="payments_refund_booking"),
        ]
        return [*own, *super().get_urls()]  # type: ignore[misc]

    def find_booking(self, request: HttpRequest) -> HttpResponse:
        """Ask for a reference, or a ticket's code, and go to its refund."""
        if not request.user.has_perm(REFUND):
            raise Http404
        asked = request.GET.get("reference", "").replace("\x00", "").strip()
        if asked:
            mine = bookings_of(request)
            found = mine.filter(reference=normalise_reference(asked)).first()
            found = found or mine.filter(tickets__code=asked.upper()).first()
            if found is not None:
                return redirect("admin:payments_refund_booking", found.pk)
        context = self.admin_site.each_context(request) | {
            "title": "Refund a booking",
            "asked": asked,
            "failed": failed_for(request),
        }
        return TemplateResponse(request, "admin/payments/find.html", context)

    def refund(self, request: HttpRequest, booking_id: UUID) -> HttpResponse:
        """One booking: what was paid, what goes back, and what became of earlier refunds."""
        booking = bookings_of(request).filter(pk=booking_id).first() if request.user.has_perm(REFUND) else None
        if booking is None:
            raise Http404
        if request.method == "POST" and "again" in request.POST:
            return self.try_again(request, booking)
        tickets = valid_tickets(booking)
        form, plan = ReturnForm(None, tickets=tickets, currency=booking.currency), None
        if request.method == "POST":
            form = ReturnForm(request.POST, tickets=tickets, currency=booking.currency)
            try:
                if form.is_valid():
                    if "confirmed" in request.POST:
                        return self.carry_out(request, booking, form)
                    plan = services.plan_return(
                        booking_id=booking.pk, freely=request.user.has_perm(FREELY), **form.wish()
                    )
            except FairseatError as error:
                form.add_error(None, error.text)
        context = (
            self.admin_site.each_context(request)
            | shown(request, booking, tickets)
            | {
                "title": f"Refund booking {spoken(booking.reference)}",
                "form": form,
                "marked": set(request.POST.getlist("tickets")),
                "plan": plan,
                "consequences": consequences(plan) if plan else [],
                "token": uuid4(),
                "freely": request.user.has_perm(FREELY),
            }
        )
        status = 400 if form.errors else 200
        reply = TemplateResponse(request, "admin/payments/refund.html", context, status=status)
        if request.method == "GET" and "done" in request.GET and context["on_its_way"]:
            reply.headers["Refresh"] = str(LOOK_AGAIN_SECONDS)
        return reply

    def carry_out(self, request: HttpRequest, booking: Booking, form: ReturnForm) -> HttpResponse:
        """
        Do what was shown, and come back with what became of it.

        :raises FairseatError: if it can not be done (any more)
        """
        plan = services.refund_booking(
            booking_id=booking.pk,
            freely=request.user.has_perm(FREELY),
            token=form.cleaned_data["token"] or str(uuid4()),
            actor_id=request.user.pk,
            reason=form.cleaned_data["reason"],
            **form.wish(),
        )
        if plan is None:
            messages.info(request, "That was done already; nothing happened twice.")
        elif plan.amount_minor:
            messages.success(request, f"{display(plan.amount_minor, booking.currency)} is on its way back.")
        else:
            messages.success(request, "Done. No money moved.")
        return redirect(f"{reverse('admin:payments_refund_booking', args=[booking.pk])}?done=1")

    def try_again(self, request: HttpRequest, booking: Booking) -> HttpResponse:
        """Send a refund of this booking again."""
        address = reverse("admin:payments_refund_booking", args=[booking.pk])
        rows = Refund.objects.filter(payment__booking=booking, key=request.POST["again"].replace("\x00", ""))
        refund, reason = rows.first(), request.POST.get("reason", "").replace("\x00", "").strip()[:500]
        if refund is None:
            raise Http404
        if not reason:
            messages.error(request, "Write a reason: it is kept with your name.")
            return redirect(address)
        try:
            services.retry_refund_by_staff(refund_id=refund.pk, actor_id=request.user.pk, reason=reason)
        except FairseatError as error:
            messages.error(request, error.text)
        else:
            messages.success(request, "It is tried again.")
        return redirect(f"{address}?done=1")


def bookings_of(request: HttpRequest) -> Any:
    """Return the bookings that this member of staff works on."""
    rows = Booking.objects.select_related("event", "category__inventory", "user")
    return rows if request.user.has_perm(EVERY_EVENT) else rows.filter(event__created_by=request.user.pk)


def failed_for(request: HttpRequest) -> list[Refund]:
    """Return the refunds that came back and that nothing took the place of, of this member's bookings."""
    rows = services.failed_refunds().select_related("payment__booking__event").order_by("-created_at")
    if not request.user.has_perm(EVERY_EVENT):
        rows = rows.filter(payment__booking__event__created_by=request.user.pk)
    return list(rows[:20])


def valid_tickets(booking: Booking) -> list[Ticket]:
    """Return the tickets that can be cancelled: those of a booking that stands."""
    if booking.status != Status.CONFIRMED:
        return []
    rows = booking.tickets.exclude(status=Ticket.Status.VOID).select_related("seat", "holder")
    return list(rows.order_by("number"))


def shown(request: HttpRequest, booking: Booking, tickets: list[Ticket]) -> dict[str, Any]:
    """Return what the page tells of a booking's money."""
    payment = payment_to_return(booking)
    currency = booking.currency
    refunds = list(
        Refund.objects.filter(payment__booking=booking).select_related("replacement").order_by("-created_at", "id")
    )
    others = Payment.objects.filter(booking=booking, use__in=[Payment.Use.REVIEW, Payment.Use.RETURN])
    waiting = [one for one in others if one.left_minor > 0 and (payment is None or one.pk != payment.pk)]
    about = Q(object_type="booking", object_id=str(booking.pk)) | Q(
        object_type="refund", object_id__in=[str(refund.pk) for refund in refunds]
    )
    audit = StaffAction.objects.filter(about).select_related("actor")
    ids = [(str(ticket.pk), ticket) for ticket in tickets]
    return {
        "booking": booking,
        "reference": spoken(booking.reference),
        "tickets": ids,
        "some_used": any(ticket.status == Ticket.Status.USED for ticket in tickets),
        "each": display(booking.amount_minor // booking.quantity, currency) if tickets else "",
        "facts": money_facts(booking, payment),
        "payment": payment,
        "most": to_decimal(payment.received_minor - payment.refunded_minor, currency) if payment is not None else None,
        "waiting": waiting,
        "refunds": [line(refund) for refund in refunds],
        "on_its_way": any(refund.status in ON_ITS_WAY for refund in refunds),
        "audit": [(done, done.action.replace("_", " ")) for done in audit.order_by("-id")[:20]],
        "at_door": booking.event.payment_collection == Event.Collection.AT_DOOR and booking.amount_minor,
        "may_see_payment": request.user.has_perm("payments.view_payment"),
    }


def money_facts(booking: Booking, payment: Payment | None) -> list[tuple[str, str]]:
    """Return the figures on top of the page."""
    if payment is None:
        return [("Price", display(booking.amount_minor, booking.currency)), ("Paid online", "–")]
    figures = [
        ("Paid", payment.received_minor),
        ("Gone back", payment.refunded_minor),
        ("Kept", payment.kept_minor),
        ("Left", payment.received_minor - payment.refunded_minor - payment.kept_minor),
    ]
    return [(name, display_sum(minor, payment.currency)) for name, minor in figures]


def line(refund: Refund) -> dict[str, Any]:
    """Return a refund as the page lists it."""
    replaced = hasattr(refund, "replacement")
    return {
        "refund": refund,
        "amount": display(refund.amount_minor, refund.currency),
        "problem": refund.last_error.replace("_", " "),
        "replaced": replaced,
        "can_retry": refund.status in ON_ITS_WAY or (refund.status == RefundStatus.FAILED and not replaced),
    }


def consequences(plan: Plan) -> list[str]:
    """Say what a refund would do, in the order in which it matters."""
    booking, currency = plan.booking, plan.booking.currency
    said = []
    if plan.amount_minor:
        said.append(f"{display(plan.amount_minor, currency)} goes back to the card that paid, within 5 to 10 days.")
    else:
        said.append("No money goes back.")
    if plan.kept_minor:
        said.append(f"{display(plan.kept_minor, currency)} of what was paid is kept.")
    if plan.tickets:
        numbers = ", ".join(str(ticket.number) for ticket in plan.tickets)
        said.append(f"Ticket{'s' if len(plan.tickets) > 1 else ''} {numbers}: void at once; the holder is told.")
        said.append(services.where_seats_go(booking))
    else:
        said.append("Every ticket stays good and every seat taken.")
    if plan.used:
        said.append(
            f"Somebody came in with {plan.used} of them. This overrides that, and is written down with your name."
        )
    if plan.ends:
        said.append("The booking ends with it.")
    elif plan.tickets:
        left = booking.quantity - len(plan.tickets)
        said.append(f"The booking goes on with {left} ticket{'s' if left > 1 else ''}.")
    if plan.payment is not None and not plan.ends:
        said.append(f"{display_sum(plan.left_minor, currency)} of the payment is left after that.")
    return said
