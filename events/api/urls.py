"""Paths of the catalogue below the API's base."""

from django.urls import path

from events.api import views

urlpatterns = [
    path("events", views.EventsView.as_view()),
    path("events/status/<str:event_id>", views.EventStatusView.as_view()),
    path("events/<str:event_id>", views.EventView.as_view()),
    path("available-tickets/<str:event_id>", views.AvailableTicketsView.as_view()),
]
