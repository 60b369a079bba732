"""Paths of bookings and tickets below the API's base."""

from django.urls import path

from bookings.api import views

urlpatterns = [
    path("bookings", views.BookingsView.as_view()),
    path("bookings/mine", views.ConfirmedBookingsView.as_view()),
    path("bookings/pending", views.PendingView.as_view()),
    path("bookings/confirmed/<str:booking_id>", views.ConfirmedBookingView.as_view()),
    path("bookings/reference/<str:reference>", views.ReferenceView.as_view()),
    path("bookings/<str:booking_id>", views.BookingView.as_view()),
    path("bookings/<str:booking_id>/extend", views.ExtendView.as_view()),
    path("bookings/<str:booking_id>/cancel", views.CancelView.as_view()),
]
