"""What organisers' systems can be told, each with the sentence that documentation and forms show."""

KINDS = {
    "booking.confirmed": "Tickets were sold (or given away).",
    "booking.cancelled": "A sale was cancelled; its tickets are void.",
    "refund.succeeded": "Money of a sale went back.",
    "waitlist.joined": "Somebody waits for seats.",
    "waitlist.offered": "Released seats were offered to the next person.",
    "ticket.scanned": "Somebody came in with a ticket.",
    "event.cancelled": "An event was cancelled.",
    "webhook.test": "A message to try the endpoint.",
}
