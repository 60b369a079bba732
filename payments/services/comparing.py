"""
Our books beside the provider's, for a period.

The provider's lists are read page by page, outside any transaction; then each payment and refund is laid beside our rows, and
what we have and the lists did not tell of is asked for one by one (a payment may have begun just before the period). Every line
that differs is written down; each is put right by itself, through the services that a webhook would have called.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple, TypeVar
from uuid import UUID

import structlog
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.db.models.functions import Now

from accounts.services import record_staff_action
from bookings.services.staff import ReasonRequired
from common import outbox
from common.errors import FairseatError, Invalid
from common.money import display_sum
from payments.gateway import Intent, Returned, UnknownToProvider, gateway
from payments.models import Attention, Comparison, Difference, Payment, Refund
from payments.refusals import NothingDiffers
from payments.services.refunds import record_all, replace_refund, show_on_booking
from payments.services.rows import lock_booking, note_attention, open_attention
from payments.services.settlement import settle_intent
from payments.states import OPEN, PaymentStatus, RefundStatus

log = structlog.get_logger(__name__)

LONGEST = timedelta(days=93)
STILL_UNDER_WAY = timedelta(hours=1)
GONE = ("failed", "canceled")
Kind = Difference.Kind
Progress = Callable[[Comparison], None]
Found = TypeVar("Found")

# What can be put right by itself; everything else is for a person to decide.
FIXABLE = {
    Kind.UNKNOWN_HERE: "Send it back",
    Kind.NOT_TAKEN_IN: "Take it in",
    Kind.CLOSED_THERE: "Close it here",
    Kind.AMOUNT: "Write what was received",
    Kind.NOT_PAID_THERE: "Put it before a person",
    Kind.REFUND_UNKNOWN: "Write it down",
    Kind.REFUND_MISSING: "Send it again",
    Kind.REFUND_AMOUNT: "Write what went back",
    Kind.REFUND_STATUS: "Follow the provider",
}
# Without anybody looking at each: what follows from what the provider says and costs nobody anything.
BY_COMMAND = frozenset(FIXABLE) - {Kind.UNKNOWN_HERE, Kind.AMOUNT}
ADVICE = {
    Kind.UNKNOWN_HERE: "Money that no booking of ours asked for. Send it back, or leave it if it belongs to another shop.",
    Kind.NOT_TAKEN_IN: "Its announcement never came. Take it in: it pays the booking, or goes back if the seats are gone.",
    Kind.CLOSED_THERE: "Nobody can pay it any more. Close it here.",
    Kind.AMOUNT: "Our figure is wrong. Write what was received; if the booking costs something else, a person decides then.",
    Kind.CURRENCY: "Never by itself. Look at the provider's dashboard, then refund it there.",
    Kind.NOT_PAID_THERE: "Tickets stand that nobody paid for. Look at the provider's dashboard; then cancel the booking.",
    Kind.REFUND_UNKNOWN: "Made in the provider's dashboard. Write it down, so that nobody gives it back again.",
    Kind.REFUND_MISSING: "It never reached the provider, or was undone there. Send it again; the buyer waits for it.",
    Kind.REFUND_AMOUNT: "Our figure is wrong. Write what went back.",
    Kind.REFUND_STATUS: "The bank has decided since. Follow the provider.",
}


class Line(NamedTuple):
    """A difference as it is found, before it is written down."""

    kind: str
    intent_id: str
    ours: str
    theirs: str
    amount_minor: int
    currency: str
    payment: Payment | None = None
    refund: Refund | None = None
    stripe_refund: str = ""


class PeriodTooLong(Invalid):
    code = "period_invalid"
    message = f"Choose a period that has begun, of at most {LONGEST.days} days."


def begin_comparison(*, since: datetime, until: datetime, staff_id: UUID | None, by_worker: bool = True) -> Comparison:
    """
    Write down that a period is to be compared; a worker does it.

    :raises PeriodTooLong: if it is empty or more than three months
    """
    if not timedelta() < until - since <= LONGEST:
        raise PeriodTooLong
    with transaction.atomic():
        comparison = Comparison.objects.create(since=since, until=until, staff_id=staff_id)
        if by_worker:
            key = f"payments.compare:{comparison.pk}"
            outbox.put(topic="payments.compare", dedupe_key=key, comparison_id=str(comparison.pk))
    return comparison


def compare(*, comparison_id: UUID, progress: Progress | None = None) -> Comparison:
    """
    Compare a period and write down each difference; again, it begins anew and writes no line twice.

    :raises ProviderUnavailable: if the provider does not answer
    """
    comparison = Comparison.objects.get(pk=comparison_id)
    if comparison.status == Comparison.Status.DONE:
        return comparison
    Comparison.objects.filter(pk=comparison_id).update(status=Comparison.Status.RUNNING, problem="")
    told = partial(tell, comparison, progress or (lambda _: None))
    try:
        intents = read(gateway().intents_made(comparison.since, comparison.until), told, "intents")
        refunds = read(gateway().refunds_made(comparison.since, comparison.until), told, "refunds")
        lines = [*payment_lines(comparison, intents, told), *refund_lines(comparison, refunds)]
    except FairseatError as error:
        Comparison.objects.filter(pk=comparison_id).update(status=Comparison.Status.FAILED, problem=error.text[:500])
        raise
    with transaction.atomic():
        for line in lines:
            write(comparison, line)
        Comparison.objects.filter(pk=comparison_id).update(status=Comparison.Status.DONE, finished_at=Now())
    comparison.refresh_from_db()
    log.info("payments.compared", intents=comparison.intents, refunds=comparison.refunds, differences=len(lines))
    return comparison


def read(pages: Iterable[list[Found]], told: Callable[..., None], counter: str) -> list[Found]:
    """Read a list of the provider to its end, telling after each page how far it is."""
    found: list[Found] = []
    for page in pages:
        found += page
        told(**{counter: len(found)})
    return found


def tell(comparison: Comparison, progress: Progress, **counts: int) -> None:
    """Write down how far a comparison is."""
    Comparison.objects.filter(pk=comparison.pk).update(**counts)
    for name, count in counts.items():
        setattr(comparison, name, count)
    progress(comparison)


def payment_lines(comparison: Comparison, intents: list[Intent], told: Callable[..., None]) -> list[Line]:
    """Return how the provider's payments of the period differ from ours, and ours from the provider's."""
    lines, seen = [], set()
    for chunk in chunks(intents):
        known = payments_of(chunk)
        for intent in chunk:
            payment = known.get(intent.id)
            if payment is not None:
                seen.add(payment.pk)
                lines += payment_line(payment, intent)
            elif intent.received_minor and (left := left_of(intent)):
                sums = (display_sum(left, intent.currency), left, intent.currency)
                lines.append(Line(Kind.UNKNOWN_HERE, intent.id, "unknown", *sums))
    ours = Payment.objects.filter(created_at__gte=comparison.since, created_at__lt=comparison.until)
    rest = ours.filter(Q(intent_id__isnull=False) | Q(status=PaymentStatus.SUCCEEDED)).order_by("created_at", "id")
    count = 0
    for payment in rest.iterator(chunk_size=500):
        count += 1
        if payment.pk not in seen:
            lines += payment_line(payment, ask(payment.intent_id))
        if not count % 100:
            told(payments=count)
    told(payments=count)
    return lines


def payments_of(intents: list[Intent]) -> dict[str, Payment]:
    """Return our payments by the intents that they are, also those whose intent's id never reached us."""
    ids = [intent.id for intent in intents]
    found = {payment.intent_id or "": payment for payment in Payment.objects.filter(intent_id__in=ids)}
    named = {is_uuid(intent.metadata.get("payment", "")): intent.id for intent in intents if intent.id not in found}
    named.pop(None, None)
    for payment in Payment.objects.filter(pk__in=list(named), intent_id__isnull=True):
        found[named[payment.pk]] = payment
    return found


def payment_line(payment: Payment, intent: Intent | None) -> list[Line]:
    """Return how one payment stands differently here and there, if it does."""
    if intent is None:
        if payment.status != PaymentStatus.SUCCEEDED:
            return []
        ours = display_sum(payment.received_minor, payment.currency)
        sums = (payment.received_minor, payment.currency, payment)
        return [Line(Kind.NOT_PAID_THERE, payment.intent_id or "", ours, "unknown", *sums)]
    theirs = display_sum(intent.received_minor, intent.currency)
    paid = intent.status == "succeeded" and intent.received_minor > 0
    ours = display_sum(payment.received_minor, payment.currency)
    sums = (max(payment.received_minor, intent.received_minor), intent.currency, payment)
    if paid and payment.status != PaymentStatus.SUCCEEDED:
        return [Line(Kind.NOT_TAKEN_IN, intent.id, payment.status, theirs, *sums)]
    if not paid and payment.status == PaymentStatus.SUCCEEDED:
        return [Line(Kind.NOT_PAID_THERE, intent.id, ours, intent.status, *sums)]
    if intent.status == "canceled" and payment.status in OPEN:
        return [Line(Kind.CLOSED_THERE, intent.id, payment.status, "canceled", payment.amount_minor, *sums[1:])]
    if paid and payment.currency != intent.currency:
        return [Line(Kind.CURRENCY, intent.id, ours, theirs, *sums)]
    if paid and payment.received_minor != intent.received_minor:
        return [Line(Kind.AMOUNT, intent.id, ours, theirs, *sums)]
    return []


def refund_lines(comparison: Comparison, refunds: list[Returned]) -> list[Line]:
    """Return how the provider's refunds of the period differ from ours, and ours from the provider's."""
    lines, seen = [], set()
    for chunk in chunks(refunds):
        ids, keys = [one.id for one in chunk], [one.metadata.get("key", "") for one in chunk]
        rows = Refund.objects.select_related("payment").filter(Q(stripe_id__in=ids) | Q(key__in=keys))
        by_id = {row.stripe_id: row for row in rows}
        by_key = {row.key: row for row in rows if row.stripe_id is None}
        payments = dict(
            Payment.objects.filter(intent_id__in=[one.intent_id for one in chunk]).in_bulk(field_name="intent_id")
        )
        for one in chunk:
            row = by_id.get(one.id) or by_key.get(one.metadata.get("key", ""))
            if row is not None:
                seen.add(row.pk)
                lines += refund_line(row, one)
            elif one.status not in GONE and one.intent_id in payments:
                lines.append(unknown_refund(one, payments[one.intent_id]))
    ours = Refund.objects.filter(created_at__gte=comparison.since, created_at__lt=comparison.until)
    sent = ours.exclude(status=RefundStatus.FAILED).exclude(
        stripe_id__isnull=True, created_at__gt=Now() - STILL_UNDER_WAY
    )
    for row in sent.exclude(pk__in=seen).select_related("payment").order_by("created_at", "id").iterator(500):
        lines += refund_line(row, find_refund(row))
    return lines


def refund_line(row: Refund, one: Returned | None) -> list[Line]:
    """Return how one refund stands differently here and there, if it does."""
    ours = f"{display_sum(row.amount_minor, row.currency)}, {row.status}"
    sums = (row.amount_minor, row.currency, row.payment, row)
    intent_id = row.payment.intent_id or ""
    if one is None or (one.status in GONE and row.status != RefundStatus.FAILED):
        theirs = "unknown" if one is None else one.status
        if row.status == RefundStatus.FAILED:
            return []
        kind = Kind.REFUND_MISSING if one is None else Kind.REFUND_STATUS
        return [Line(kind, intent_id, ours, theirs, *sums, one.id if one else row.stripe_id or "")]
    theirs = f"{display_sum(one.amount_minor, one.currency)}, {one.status}"
    if row.status != RefundStatus.FAILED and row.amount_minor != one.amount_minor:
        return [Line(Kind.REFUND_AMOUNT, intent_id, ours, theirs, *sums, one.id)]
    if one.status == "succeeded" and row.status in {RefundStatus.REQUESTED, RefundStatus.SENT}:
        return [Line(Kind.REFUND_STATUS, intent_id, ours, theirs, *sums, one.id)]
    return []


def unknown_refund(one: Returned, payment: Payment) -> Line:
    """Return the line of a refund that was not made by us."""
    theirs = f"{display_sum(one.amount_minor, one.currency)}, {one.status}"
    sums = (one.amount_minor, one.currency, payment)
    return Line(Kind.REFUND_UNKNOWN, one.intent_id, "unknown", theirs, *sums, None, one.id)


def write(comparison: Comparison, line: Line) -> None:
    """Write one line down; what staff left as it is, with the same figures, is answered by what they said then."""
    same = Difference.objects.filter(
        kind=line.kind,
        intent_id=line.intent_id,
        stripe_refund=line.stripe_refund,
        refund=line.refund,
        ours=line.ours,
        theirs=line.theirs,
        answer__startswith=LEFT,
    )
    left = same.order_by("-id").first()
    Difference.objects.get_or_create(
        comparison=comparison,
        kind=line.kind,
        intent_id=line.intent_id,
        stripe_refund=line.stripe_refund,
        refund=line.refund,
        defaults={
            "payment": line.payment,
            "ours": line.ours[:100],
            "theirs": line.theirs[:100],
            "amount_minor": line.amount_minor,
            "currency": line.currency,
            "answered_at": left.answered_at if left else None,
            "answer": left.answer if left else "",
        },
    )


LEFT = "Left as it is: "


def leave_difference(*, difference_id: int, actor_id: UUID, reason: str) -> None:
    """
    Leave a line as it is, with a reason; later comparisons that find the same remember it.

    :raises ReasonRequired: if there is no reason
    """
    if not reason.strip():
        raise ReasonRequired
    with transaction.atomic():
        line = Difference.objects.get(pk=difference_id)
        answer(line, f"{LEFT}{reason.strip()}")
        written(line, actor_id, "leave_difference", reason)


def fix_difference(*, difference_id: int, actor_id: UUID, reason: str) -> str:
    """
    Put one line right as the provider has it now, and return what was done.

    :raises ReasonRequired: if there is no reason
    :raises NothingDiffers: if it is nothing that can be put right by itself
    :raises RefundRefused: if a refund has to be sent again and there is not that much left
    :raises ProviderUnavailable: if the provider does not answer
    """
    if not reason.strip():
        raise ReasonRequired
    line = Difference.objects.select_related("payment", "refund__payment").get(pk=difference_id)
    if line.answered_at is not None:
        return line.answer
    if line.kind not in FIXABLE:
        raise NothingDiffers
    intent = ask(line.intent_id)
    if line.kind == Kind.UNKNOWN_HERE and intent is not None:
        done = send_unknown_back(intent)
        with transaction.atomic():
            return settle(line, done, actor_id, reason)
    refunds = gateway().list_refunds(line.intent_id) if intent is not None else []
    with transaction.atomic():
        if line.payment is not None:
            lock_booking(line.payment.booking_id)
            line.payment.refresh_from_db()
        return settle(line, put_right(line, intent, refunds), actor_id, reason)


def settle(line: Difference, done: str, actor_id: UUID, reason: str) -> str:
    """Write down what was done about a line, for the list and for the audit."""
    answer(line, done)
    written(line, actor_id, "fix_difference", reason)
    return done


def put_right(line: Difference, intent: Intent | None, refunds: list[Returned]) -> str:
    """Bring our rows of one line to what the provider says now, under the booking's lock; return what was done."""
    payment, refund = line.payment, line.refund
    if payment is None:
        raise NothingDiffers
    if line.kind in {Kind.NOT_TAKEN_IN, Kind.CLOSED_THERE} and intent is not None:
        settled = settle_intent(intent=intent)
        return f"Taken in: the payment is {settled.status if settled else 'unknown'}."
    if line.kind == Kind.NOT_PAID_THERE:
        note_attention(
            Attention.Kind.NOT_PAID,
            intent_id=line.intent_id or str(payment.pk),
            payment=payment,
            amount_minor=payment.received_minor,
            currency=payment.currency,
            detail=f"The provider says: {intent.status if intent else 'unknown'}",
        )
        return "On the list of questions for a person."
    if line.kind == Kind.AMOUNT and intent is not None:
        return write_received(payment, intent)
    if refund is not None:
        refund.refresh_from_db()
        found = next((one for one in refunds if one.id == line.stripe_refund), None)
        if line.kind == Kind.REFUND_MISSING and found is None:
            return send_missing_again(refund)
        if line.kind == Kind.REFUND_AMOUNT and found is not None:
            Refund.objects.filter(pk=refund.pk).update(amount_minor=found.amount_minor)
            show_on_booking(payment.booking_id)
    record_all(payment=payment, found=refunds)
    return "Our refunds are as the provider has them."


def write_received(payment: Payment, intent: Intent) -> str:
    """Write what was received; a booking that costs something else waits for a person."""
    try:
        with transaction.atomic():
            Payment.objects.filter(pk=payment.pk).update(
                received_minor=intent.received_minor,
                use=Payment.Use.REVIEW if payment.use == Payment.Use.BOOKING else payment.use,
            )
    except IntegrityError as error:
        raise NothingDiffers("More went back than was received. Put the refunds right first.") from error
    fits = payment.use == Payment.Use.BOOKING and (
        intent.received_minor - payment.released_minor == payment.booking.amount_minor
    )
    if fits:
        Payment.objects.filter(pk=payment.pk).update(use=Payment.Use.BOOKING)
        return "Our figure is what was received, and pays for the booking."
    note_attention(
        Attention.Kind.WRONG_AMOUNT,
        intent_id=intent.id,
        payment=payment,
        amount_minor=intent.received_minor,
        currency=intent.currency,
        detail=f"received {intent.received_minor}, our books said {payment.received_minor} {payment.currency}",
    )
    return "Our figure is what was received; what that means is on the list for a person."


def send_missing_again(refund: Refund) -> str:
    """Send a refund that the provider does not have once more, as a new one."""
    if refund.status != RefundStatus.FAILED:
        refund.transition("fail", finished_at=Now(), last_error="The provider does not have it.")
    replace_refund(refund, by="staff")
    return "Sent again."


def send_unknown_back(intent: Intent) -> str:
    """Send money that no booking asked for back to who paid it; called again it sends nothing twice."""
    left = left_of(intent)
    if not left:
        return "It went back already."
    key = f"refund:unknown:{intent.id}"
    gateway().create_refund(intent_id=intent.id, amount_minor=left, metadata={"key": key, "reason": "unknown"}, key=key)
    open_attention(kind=Attention.Kind.UNKNOWN_INTENT, intent_id=intent.id).update(
        resolved_at=Now(), resolution="Sent back."
    )
    return f"{display_sum(left, intent.currency)} sent back."


def left_of(intent: Intent) -> int:
    """Return what of a payment at the provider has not gone back."""
    returned = (one.amount_minor for one in gateway().list_refunds(intent.id) if one.status not in GONE)
    return max(0, intent.received_minor - sum(returned))


def answer(line: Difference, words: str) -> None:
    """Take a line off what is to be done."""
    Difference.objects.filter(pk=line.pk, answered_at__isnull=True).update(answered_at=Now(), answer=words[:500])


def written(line: Difference, actor_id: UUID, action: str, reason: str) -> None:
    """Leave a row in the staff's audit."""
    record_staff_action(
        actor_id=actor_id,
        action=action,
        object_type="difference",
        object_id=str(line.pk),
        before={"kind": line.kind, "intent": line.intent_id, "ours": line.ours, "theirs": line.theirs},
        reason=reason.strip(),
    )


def open_differences(comparison: Comparison) -> int:
    """Return how many lines of a comparison are still to be done."""
    return Difference.objects.filter(comparison=comparison, answered_at__isnull=True).count()


def ask(intent_id: str | None) -> Intent | None:
    """Read an intent; None if the provider has none."""
    try:
        return gateway().get_intent(intent_id) if intent_id else None
    except UnknownToProvider:
        return None


def find_refund(row: Refund) -> Returned | None:
    """Find our refund at the provider, by its id or by our key; None if it is not there."""
    try:
        if row.stripe_id:
            return gateway().get_refund(row.stripe_id)
        found = gateway().list_refunds(row.payment.intent_id or "")
    except UnknownToProvider:
        return None
    return next((one for one in found if one.metadata.get("key") == row.key), None)


def chunks(found: list[Found], size: int = 500) -> Iterable[list[Found]]:
    """Yield a list in pieces."""
    return (found[start : start + size] for start in range(0, len(found), size))


def is_uuid(text: str) -> UUID | None:
    """Return the UUID that this is, or None."""
    try:
        return UUID(text)
    except ValueError:
        return None
