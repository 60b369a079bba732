"""Addresses of the waitlist's pages."""

from django.urls import path

from waitlist import handover_pages, pages

urlpatterns = [
    path("waitlist", pages.entry_list, name="waitlist"),
    path("waitlist/<uuid:entry_id>", pages.entry, name="waitlist-entry"),
    path("waitlist/<uuid:entry_id>/accept", pages.accept, name="waitlist-accept"),
    path("waitlist/<uuid:entry_id>/decline", pages.decline, name="waitlist-decline"),
    path("waitlist/<uuid:entry_id>/wait", pages.wait, name="waitlist-wait"),
    path("waitlist/<uuid:entry_id>/change", pages.change, name="waitlist-change"),
    path("waitlist/<uuid:entry_id>/leave", pages.leave, name="waitlist-leave"),
    path("events/<uuid:event_id>/waitlist", pages.join, name="waitlist-join"),
    path("events/<uuid:event_id>/line/waitlist", handover_pages.claim, name="line-waitlist"),
    path("events/<uuid:event_id>/waitlist/offers", pages.offers, name="waitlist-offers"),
    path("events/<uuid:event_id>/waitlist/overview", pages.overview, name="waitlist-overview"),
]
