"""
Second paths of the API, for clients written for one of the systems this product unites.

Each leads to a view that has its place in an app already; none is in the schema (`leave_out`).
"""

from typing import Any

from django.urls import path

from accounts.api import views as accounts
from bookings.api import views as bookings
from events.api import views as events
from payments.api import views as payments
from waitlist.api import views as waitlist

urlpatterns = [
    # Sign-up and log-in without the method in the path.
    path("auth/register", accounts.SignupView.as_view()),
    path("auth/signup", accounts.SignupView.as_view()),
    path("auth/login", accounts.LoginView.as_view()),
    path("admin/users", accounts.UsersView.as_view()),
    # The catalogue of the ticket API and of the concert API.
    path("events/initialize", events.EventsView.as_view()),
    path("concert", events.EventsView.as_view()),
    path("concert/<str:event_id>", events.EventView.as_view()),
    # Bookings of the ticket API.
    path("tickets/book", bookings.BookingsView.as_view(partial_unless_refused=True)),
    path("tickets/cancel", bookings.CancelByBodyView.as_view()),
    path("waitinglists", waitlist.EveryWaitlistView.as_view()),
    path("waitinglists/join-waitlist", waitlist.JoinView.as_view()),
    # Bookings and payments of the concert API, in the singular.
    path("booking", bookings.BookingsView.as_view()),
    path("booking/mine", bookings.ConfirmedBookingsView.as_view()),
    path("booking/pending", bookings.PendingView.as_view()),
    path("booking/confirmed/<str:booking_id>", bookings.ConfirmedBookingView.as_view()),
    path("booking/<str:booking_id>/confirm", payments.ConfirmView.as_view()),
    path("payment/pub-key", payments.PublicKeyView.as_view()),
    path("payment/create-intent", payments.CreateIntentView.as_view()),
    path("payment/webhook/stripe", payments.StripeWebhookView.as_view()),
]

ALIASES = frozenset(str(pattern.pattern) for pattern in urlpatterns)


def leave_out(endpoints: list[Any], **_: Any) -> list[Any]:
    """Schema hook: drop the aliases, and the second base `/api`."""
    return [
        endpoint
        for endpoint in endpoints
        if endpoint[0].startswith("/api/v1/") and plain(endpoint[0].removeprefix("/api/v1/")) not in ALIASES
    ]


def plain(route: str) -> str:
    """Return a route as it stands in urlpatterns: the schema writes `{event_id}` for `<str:event_id>`."""
    return route.replace("{", "<str:").replace("}", ">")
