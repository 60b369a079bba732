"""Addresses of the line's pages."""

from django.urls import path

from bookings.waitingroom import control, pages, receipts_pages

urlpatterns = [
    path("events/<uuid:event_id>/line", pages.line, name="line"),
    path("events/<uuid:event_id>/line/status", pages.status, name="line-status"),
    path("events/<uuid:event_id>/line/join", pages.join, name="line-join"),
    path("events/<uuid:event_id>/line/leave", pages.leave, name="line-leave"),
    path("events/<uuid:event_id>/line/more", pages.more, name="line-more"),
    path("events/<uuid:event_id>/line/wishes", pages.wishes, name="line-wishes"),
    path("events/<uuid:event_id>/line/control", control.control, name="line-control"),
    path("events/<uuid:event_id>/line/control/live", control.live, name="line-control-live"),
    path("events/<uuid:event_id>/fairness", receipts_pages.fairness, name="fairness"),
    path("events/<uuid:event_id>/receipt", receipts_pages.receipt, name="receipt"),
]
