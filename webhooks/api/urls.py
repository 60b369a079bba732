"""Addresses of the webhooks' API, below the base."""

from django.urls import path

from webhooks.api import views

urlpatterns = [
    path("webhooks", views.EndpointsView.as_view()),
    path("webhooks/<str:webhook_id>", views.EndpointView.as_view()),
    path("webhooks/<str:webhook_id>/rotate-secret", views.RotateView.as_view()),
    path("webhooks/<str:webhook_id>/test", views.SendTestView.as_view()),
    path("webhooks/<str:webhook_id>/deliveries", views.DeliveriesView.as_view()),
    path("webhooks/<str:webhook_id>/deliveries/<str:delivery_id>/resend", views.ResendView.as_view()),
]
