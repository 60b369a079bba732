"""Paths of bookings and tickets below the API's base."""

from django.urls import path

from bookings.api import codes, queue, tickets, views
from bookings.waitingroom import receipts_api

urlpatterns = [
    path("bookings", views.BookingsView.as_view()),
    path("bookings/mine", views.ConfirmedBookingsView.as_view()),
    path("bookings/pending", views.PendingView.as_view()),
    path("bookings/confirmed/<str:booking_id>", views.ConfirmedBookingView.as_view()),
    path("bookings/reference/<str:reference>", views.ReferenceView.as_view()),
    path("bookings/<str:booking_id>", views.BookingView.as_view()),
    path("bookings/<str:booking_id>/extend", views.ExtendView.as_view()),
    path("bookings/<str:booking_id>/cancel", views.CancelView.as_view()),
    path("events/<str:event_id>/codes", codes.CodesView.as_view()),
    path("events/<str:event_id>/codes/check", codes.CheckCodeView.as_view()),
    path("events/<str:event_id>/codes/generate", codes.GenerateCodesView.as_view()),
    path("events/<str:event_id>/codes/file", codes.CodesFileView.as_view()),
    path("events/<str:event_id>/codes/<str:code_id>", codes.CodeView.as_view()),
    path("admin/comps", codes.CompsView.as_view()),
    path("queue/join", queue.JoinView.as_view()),
    path("queue/status", queue.StatusView.as_view()),
    path("queue/extend", queue.ExtendView.as_view()),
    path("queue/leave", queue.LeaveView.as_view()),
    path("queue/serving/<str:event_id>", queue.ServingView.as_view()),
    path("queue/receipt/<str:event_id>", receipts_api.ReceiptView.as_view()),
    path("queue/fairness/<str:event_id>", receipts_api.FairnessView.as_view()),
    path("queue/fairness/<str:event_id>/file", receipts_api.FairnessFileView.as_view()),
    path("tickets", tickets.TicketsView.as_view()),
    path("tickets/<str:code>", tickets.TicketView.as_view()),
    path("tickets/<str:ticket_id>/holder", tickets.TicketHolderView.as_view()),
    path("tickets/<str:code>/qr.svg", tickets.TicketQrView.as_view()),
    path("tickets/<str:code>/ticket.pdf", tickets.TicketPdfView.as_view()),
    path("tickets/<str:code>/event.ics", tickets.TicketCalendarView.as_view()),
]
