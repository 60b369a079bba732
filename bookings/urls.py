"""Addresses of the buyers' pages."""

from django.urls import path

from bookings import pages

urlpatterns = [
    path("events/<uuid:event_id>/hold", pages.hold, name="event-hold"),
    path("bookings", pages.booking_list, name="bookings"),
    path("bookings/<uuid:booking_id>", pages.booking, name="booking"),
    path("bookings/<uuid:booking_id>/tickets", pages.tickets_held, name="booking-tickets"),
    path("bookings/<uuid:booking_id>/extend", pages.extend, name="booking-extend"),
    path("bookings/<uuid:booking_id>/give-up", pages.give_up, name="booking-give-up"),
    path("bookings/<uuid:booking_id>/done", pages.done, name="booking-done"),
    path("bookings/<uuid:booking_id>/cancel", pages.cancel, name="booking-cancel"),
    path("bookings/<uuid:booking_id>/tickets.pdf", pages.booking_pdf, name="booking-pdf"),
    path("bookings/<uuid:booking_id>/event.ics", pages.booking_ics, name="booking-ics"),
    path("tickets", pages.ticket_list, name="tickets"),
    path("tickets/<uuid:ticket_id>/holder", pages.ticket_holder, name="ticket-holder"),
    path("tickets/<uuid:ticket_id>/holder/recall", pages.recall, name="ticket-recall"),
    path("tickets/<str:code>", pages.ticket, name="ticket"),
    path("tickets/<str:code>/ticket.pdf", pages.ticket_pdf, name="ticket-pdf"),
    path("tickets/<str:code>/event.ics", pages.ticket_ics, name="ticket-ics"),
]
