"""The journal's entries as the chain tells them: who, in hashes, and what, in words that `verify` plays again."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from uuid import UUID

from django.db.models import Max

from bookings.waitingroom import seeds, store
from bookings.waitingroom.models import Place

IN_LOBBY = b"lobby"
WORDS = {
    "c": "called",
    "p": "parked",
    "n": "missed",
    "r": "back",
    "x": "lapsed",
    "d": "dropped",
    "f": "done",
    "l": "left",
}
AT_THE_FRONT = (Place.State.CALLED, Place.State.ACTIVE)


def moves_of(event_id: UUID, entries: Sequence[store.Entry], *, drawn: bool) -> list[list[Any]]:
    """
    Return what a batch of the journal adds to the chain; call it before the batch is written into the places.

    The coming and going in a lobby is left out: its list tells the outcome. Who is at the front without having been called
    has a turn back that was lost with the store.
    """
    fronts = {entry.user for entry in entries if entry.what in {"a", "b"}}
    places = Place.objects.filter(event_id=event_id)
    called = set(places.filter(user_id__in=fronts, state__in=AT_THE_FRONT).values_list("user_id", flat=True))
    last = places.aggregate(last=Max("order_key"))["last"] if any(entry.what == "j" for entry in entries) else 0
    return list(told(event_id, entries, drawn=drawn, called=called, last=max(store.LATE, last or 0)))


def told(
    event_id: UUID, entries: Iterable[store.Entry], *, drawn: bool, called: set[UUID], last: int
) -> Iterator[list[Any]]:
    """Yield the moves; `called` are those at the front before, `last` the highest order key."""
    for entry in entries:
        who = seeds.entry_of(event_id, entry.user)
        if entry.extra == IN_LOBBY and (entry.what == "j" or not drawn):
            continue
        if entry.what == "j":
            yield ["joined" if entry.value > last else "restored", who, entry.value - store.LATE]
            last = max(last, entry.value)
        elif entry.what == "s":
            called.add(entry.user)
            key = int(float(entry.extra or 0))
            yield ["staff", who, key - store.LATE] if key >= store.LATE else ["staff", who]
        elif entry.what in {"a", "b"}:
            if entry.user not in called:
                called.add(entry.user)
                yield ["regained", who]
        elif entry.what in WORDS:
            if entry.what == "c":
                called.add(entry.user)
            elif entry.what in {"n", "x", "d", "f", "l"}:
                called.discard(entry.user)
            yield [WORDS[entry.what], who]
