"""Every door's address. Both `/api/v1` and `/api` lead to the same views; the first is the canonical one."""

from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from accounts.mfa_pages import admin_login
from analytics.dashboard import booking_history, person_history
from config import health, pages, schema, staff

staff_page = admin.site.admin_view

handler400 = "config.pages.bad_request"
handler403 = "config.pages.forbidden"
handler404 = "config.pages.not_found"
handler500 = "config.pages.server_error"

api = [
    path("", include("config.aliases")),  # first: `tickets/book` is no ticket's code
    path("schema", schema.schema),
    path("schema.yaml", schema.schema),
    path("docs", schema.browser),
    path("admin/health", staff.HealthView.as_view()),
    path("", include("events.api.urls")),
    path("", include("accounts.api.urls")),
    path("", include("faceverify.api.urls")),
    path("", include("bookings.api.urls")),
    path("", include("payments.api.urls")),
    path("", include("waitlist.api.urls")),
    path("", include("registrations.api.urls")),
    path("", include("webhooks.api.urls")),
    path("", include("analytics.api.urls")),
    path("", include("gate.api.urls")),
]

urlpatterns = [
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("metrics", health.metrics),
    path("api/v1/", include(api)),
    path("api/", include(api)),
    path("admin", RedirectView.as_view(url="/admin/")),
    path("admin/history/booking/<uuid:booking_id>/", staff_page(booking_history), name="booking_history"),
    path("admin/history/person/<uuid:user_id>/", staff_page(person_history), name="person_history"),
    path("admin/login/", admin_login),
    # Not the admin's own: it ends no API session, tells nobody and counts no tries.
    path("admin/password_change/", staff_page(RedirectView.as_view(url="/profile/password"))),
    path("admin/", admin.site.urls),
    path("", include("events.urls")),
    path("", include("bookings.urls")),
    path("", include("bookings.waitingroom.urls")),
    path("", include("payments.urls")),
    path("", include("accounts.urls")),
    path("", include("faceverify.urls")),
    path("", include("waitlist.urls")),
    path("", include("registrations.urls")),
    path("", include("analytics.urls")),
    path("", include("gate.urls")),
    path("help", pages.static_page, {"name": "help"}, name="help"),
    path("privacy", pages.static_page, {"name": "privacy"}, name="privacy"),
    path("accessibility", pages.static_page, {"name": "accessibility"}, name="accessibility"),
    path("dev/faces/<slug:kind>.jpg", pages.demo_face, name="demo-face"),
    path("dev/mail", pages.mailbox, name="mailbox"),
    re_path("", pages.not_found),  # our own 404 with DEBUG too
]
