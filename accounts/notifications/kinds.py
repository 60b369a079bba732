"""The kinds of news there are; each app registers its own."""

from dataclasses import dataclass
from string import Formatter
from typing import Any

# What people may choose about, in the order of the page; the words beside each name say what it is.
GROUPS = {
    "tickets": ("Tickets and payments", "Your tickets, cancellations, money on its way back."),
    "events": ("Your events", "The date, the time or the place of an event of yours changes, or it is cancelled."),
    "verification": ("Face checks", "What was decided about a check of your face."),
    "waitlist": ("Waitlist", "Your place, seats offered to you, and reminders."),
    "line": ("Waiting room", "Your turn comes near, your turn has come, or nothing is left."),
    "security": ("Security", "Your password or your log-ins changed."),
}


class UnknownGroup(ValueError):
    """A kind was registered for a group that is not in GROUPS."""


@dataclass(frozen=True)
class Kind:
    """
    A kind of news. `title` and `body` are format strings over the context: "A seat for {event}".

    `mail`: it is also mailed, from templates/mail/<template or name>.txt and .html. `sms`: who asked for it also gets a text
    message. `essential`: nobody can switch its mail off.
    """

    name: str
    title: str
    body: str = ""
    mail: bool = True
    essential: bool = False
    sms: bool = False
    group: str = "tickets"
    template: str = ""

    def words(self, context: dict[str, Any]) -> tuple[str, str]:
        """Return title and body; what the context does not have stays empty."""
        return fill(self.title, context), fill(self.body, context)

    def missing(self, context: dict[str, Any]) -> set[str]:
        """Return what the words need and the context does not have."""
        needed = {name for text in (self.title, self.body) for _, name, _, _ in Formatter().parse(text) if name}
        return needed - context.keys()


KINDS: dict[str, Kind] = {}


def register(kind: Kind) -> Kind:
    """
    Make a kind known; the same name again replaces it.

    :raises UnknownGroup: if it belongs to no group
    """
    if kind.group not in GROUPS:
        raise UnknownGroup(f"{kind.name}: the group {kind.group!r} is none of {', '.join(GROUPS)}")
    KINDS[kind.name] = kind
    return kind


class Blanks(dict[str, Any]):
    """A context in which what is missing is empty, for rows written before their kind's words changed."""

    def __missing__(self, key: str) -> str:
        return ""


def fill(text: str, context: dict[str, Any]) -> str:
    """Return a format string filled from the context, on one line: the title becomes a mail's subject."""
    return " ".join(text.format_map(Blanks(context)).split())
