"""Paths of payments below the API's base."""

from django.urls import path

from payments.api import views

urlpatterns = [
    path("payments/pub-key", views.PublicKeyView.as_view()),
    path("payments/create-intent", views.CreateIntentView.as_view()),
    path("payments/webhook/stripe", views.StripeWebhookView.as_view()),
    path("bookings/<str:booking_id>/confirm", views.ConfirmView.as_view()),
]
