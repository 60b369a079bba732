"""Addresses of the payment pages."""

from django.urls import path

from payments import pages

urlpatterns = [
    path("bookings/<uuid:booking_id>/pay", pages.pay, name="pay"),
    path("bookings/<uuid:booking_id>/pay/checkout", pages.checkout, name="pay-checkout"),
    path("bookings/<uuid:booking_id>/pay/return", pages.back_from_bank, name="pay-return"),
]
