"""What people are told about tickets that go to another holder; the mails with a link or a document are in `handover_mails`."""

from accounts.notifications import Kind, register

register(
    Kind(
        name="ticket_taken",
        title="{holder} has taken your ticket for {event}",
        body="Ticket {number} is theirs now. They have it in their account and by mail.",
        template="notice",
    )
)
register(
    Kind(
        name="invitation_declined",
        title="Your invitation to {event} was declined",
        body="Ticket {number} is as it was. You can name somebody else.",
        template="notice",
    )
)
register(
    Kind(
        name="invitation_expired",
        title="Nobody took ticket {number} for {event}",
        body="Your invitation had no answer in time and is over. The ticket is as it was: name somebody again.",
        template="notice",
    )
)
register(
    Kind(
        name="ticket_returned",
        title="Ticket {number} for {event} is back with you",
        body="The person who held it has closed their account. Name a new holder, or use it if it needs none.",
        template="notice",
    )
)
register(
    Kind(
        name="ticket_withdrawn",
        title="Your ticket for {event} is no longer valid",
        body="The booking it belongs to was cancelled. Its code opens no door any more. You paid nothing and need do nothing.",
        essential=True,
        template="notice",
    )
)
register(
    Kind(
        name="tickets_cancelled",
        title="Some of your tickets for {event} are cancelled",
        body="{which} cancelled: no door opens to that any more. Your other tickets stay good. {told}",
        essential=True,
        template="notice",
    )
)
