"""Codes of an event: making them one by one or many at once, changing what they do, switching them off."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q

from accounts.services import record_staff_action
from bookings.codes import new_code, normalise_code
from bookings.models import SaleCode, SaleCodeCounter
from common.errors import Conflict, Invalid, NotFound
from common.money import step_of
from events.models import Event, TicketCategory

MOST_AT_ONCE = 5000
COUNTED = "max_uses"


class CodeNotFound(NotFound):
    message = "There is no such code."


class BadCode(Invalid):
    code = "invalid_code"
    message = "Please check what the code does."


class CodeTaken(Conflict):
    code = "code_taken"
    message = "This event has that code already."


class CodeUsedMore(Conflict):
    code = "code_used_more"
    message = "More tickets than that were taken with this code."


@dataclass(frozen=True)
class Terms:
    """What a code does, for which tickets and how often; empty fields do not limit it."""

    percent: int | None = None
    off_minor: int | None = None
    presale: bool = False
    category_ids: tuple[UUID, ...] = ()
    max_uses: int | None = None
    per_person: int | None = None
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    active: bool = True
    note: str = ""


@transaction.atomic
def create_code(*, event_id: UUID, actor_id: UUID, terms: Terms, code: str = "") -> SaleCode:
    """
    Make one code of an event; without a word of one's own it gets one that nobody guesses.

    :raises BadCode: if it would do nothing, or nothing that can be
    :raises CodeTaken: if the event has that code
    :raises CodeNotFound: if there is no such event
    """
    word = normalise_code(code) if code.strip() else new_code()
    if not (4 <= len(word) <= 32 and word.isascii()):
        raise BadCode("A code has 4 to 32 letters (A–Z) and digits.", errors={"code": ["4 to 32 letters and digits."]})
    event = event_of(event_id)
    check(terms, event)
    (made,) = insert(event, actor_id, terms, [word])
    remember(made, actor_id, "create_code", before={}, after=facts(made))
    return made


@transaction.atomic
def generate_codes(*, event_id: UUID, actor_id: UUID, terms: Terms, count: int) -> list[SaleCode]:
    """
    Make `count` codes that nobody guesses, each for `terms.max_uses` tickets (one, if it says nothing).

    :raises BadCode: if they would do nothing, or there are too many
    :raises CodeNotFound: if there is no such event
    """
    if not 1 <= count <= MOST_AT_ONCE:
        raise BadCode(f"Make 1 to {MOST_AT_ONCE} codes at once.", errors={"count": [f"1 to {MOST_AT_ONCE}."]})
    event = event_of(event_id)
    terms = terms if terms.max_uses else replace(terms, max_uses=1)
    check(terms, event)
    words: set[str] = set()
    while len(words) < count:
        words.add(new_code())
    made = insert(event, actor_id, terms, sorted(words))
    record_staff_action(
        actor_id=actor_id,
        action="generate_codes",
        object_type="event",
        object_id=event_id,
        after={"count": count} | plain(asdict(terms)),
    )
    return made


@transaction.atomic
def update_code(*, code_id: UUID, actor_id: UUID, **changes: Any) -> SaleCode:
    """
    Change what is given of a code's terms. Bookings that were made with it keep their price.

    :raises CodeNotFound: if there is no such code
    :raises BadCode: if it would do nothing, or nothing that can be
    :raises CodeUsedMore: if more tickets than `max_uses` were taken with it
    """
    code = SaleCode.objects.select_for_update(of=("self",), no_key=True).filter(pk=code_id).first()
    if code is None:
        raise CodeNotFound
    code = SaleCode.objects.select_related("counter", "event").get(pk=code_id)
    before = facts(code)
    known = {field.name: getattr(code, field.name) for field in fields(Terms) if field.name != COUNTED}
    terms = Terms(**{**known, COUNTED: code.counter.max_uses, **changes})
    check(terms, code.event)
    if terms.max_uses != code.counter.max_uses:
        room = Q(uses__lte=terms.max_uses) if terms.max_uses is not None else Q()
        if not SaleCodeCounter.objects.filter(room, code_id=code_id).update(max_uses=terms.max_uses):
            used = SaleCodeCounter.objects.get(code_id=code_id).uses
            raise CodeUsedMore(f"{used} tickets were taken with this code, so {used} is the lowest.", minimum=used)
    SaleCode.objects.filter(pk=code_id).update(**columns(terms))
    changed = SaleCode.objects.select_related("counter", "event").get(pk=code_id)
    if facts(changed) != before:
        remember(changed, actor_id, "change_code", before=before, after=facts(changed))
    return changed


def switch_code(*, code_id: UUID, actor_id: UUID, active: bool) -> SaleCode:
    """Switch a code off or on again; holds and bookings made with it stay."""
    return update_code(code_id=code_id, actor_id=actor_id, active=active)


@transaction.atomic
def delete_code(*, code_id: UUID, actor_id: UUID) -> None:
    """
    Delete a code that was never used; one that was is switched off instead, by `switch_code`.

    :raises CodeNotFound: if there is no such code
    :raises CodeUsedMore: if bookings were made with it, whatever became of them
    """
    code = SaleCode.objects.select_related("counter").filter(pk=code_id).first()
    if code is None:
        raise CodeNotFound
    if code.bookings.exists():
        raise CodeUsedMore("Bookings were made with this code. Switch it off instead.")
    remember(code, actor_id, "delete_code", before=facts(code), after={})
    code.delete()


def event_of(event_id: UUID) -> Event:
    """
    Load the event of a code to be.

    :raises CodeNotFound: if there is none
    """
    event = Event.objects.filter(pk=event_id, deleted_at=None).first()
    if event is None:
        raise CodeNotFound("There is no such event.")
    return event


def insert(event: Event, actor_id: UUID, terms: Terms, words: Sequence[str]) -> list[SaleCode]:
    """Write codes with their counters."""
    codes = [SaleCode(event=event, code=word, created_by_id=actor_id, **columns(terms)) for word in words]
    try:
        with transaction.atomic():
            SaleCode.objects.bulk_create(codes)
    except IntegrityError as error:
        if "sale_code_is_unique_in_its_event" in str(error):
            raise CodeTaken from error
        raise
    counters = [SaleCodeCounter(code=code, max_uses=terms.max_uses) for code in codes]
    SaleCodeCounter.objects.bulk_create(counters)
    return codes


def columns(terms: Terms) -> dict[str, Any]:
    """Return the columns of a code that hold its terms; how often it may be used stands with its counter."""
    found = asdict(terms) | {"category_ids": sorted(set(terms.category_ids))}
    del found[COUNTED]
    return found


def check(terms: Terms, event: Event) -> None:
    """
    Check that a code does something, and something that can be.

    :raises BadCode: otherwise, with the field that is wrong
    """
    wrong: dict[str, list[str]] = {}
    if terms.percent is not None and not 1 <= terms.percent <= 100:
        wrong["percent"] = ["1 to 100."]
    if terms.off_minor is not None and not 1 <= terms.off_minor <= 99_999_999:
        wrong["off_minor"] = ["More than nothing."]
    elif terms.off_minor is not None and terms.off_minor % step_of(event.currency):
        wrong["off_minor"] = [
            f"An amount in {event.currency} has two decimals here: cards can be charged no smaller part."
        ]
    if terms.percent is not None and terms.off_minor is not None:
        wrong["percent"] = ["Either per cent or an amount, not both."]
    if terms.percent is None and terms.off_minor is None and not terms.presale:
        wrong["percent"] = ["Say what the code does: per cent off, an amount off, or a presale."]
    for name in ("max_uses", "per_person"):
        if (limit := getattr(terms, name)) is not None and not 1 <= limit <= (
            30_000 if name == "per_person" else 10**9
        ):
            wrong[name] = ["At least 1."]
    if terms.valid_from and terms.valid_until and terms.valid_until <= terms.valid_from:
        wrong["valid_until"] = ["After it begins."]
    wanted = set(terms.category_ids)
    if wanted and TicketCategory.objects.filter(event=event, pk__in=wanted).count() != len(wanted):
        wrong["category_ids"] = ["The event has no such category."]
    if len(terms.note) > 200:
        wrong["note"] = ["At most 200 letters."]
    if wrong:
        raise BadCode(next(iter(wrong.values()))[0], errors=wrong)


def facts(code: SaleCode) -> dict[str, Any]:
    """Return what may change in a code, as JSON."""
    found = {field.name: getattr(code, field.name) for field in fields(Terms) if field.name != COUNTED}
    return plain({"code": code.code, **found, COUNTED: code.counter.max_uses})


def plain(values: dict[str, Any]) -> dict[str, Any]:
    """Return values as JSON would hold them."""
    return {
        name: [str(one) for one in value]
        if isinstance(value, list | tuple)
        else value
        if value is None or isinstance(value, bool | int | str)
        else str(value)
        for name, value in values.items()
    }


def remember(code: SaleCode, actor_id: UUID, action: str, *, before: dict[str, Any], after: dict[str, Any]) -> None:
    """Write down who changed a code: money depends on it."""
    record_staff_action(
        actor_id=actor_id,
        action=action,
        object_type="code",
        object_id=code.pk,
        before={name: value for name, value in before.items() if after.get(name) != value},
        after={name: value for name, value in after.items() if before.get(name) != value},
    )
