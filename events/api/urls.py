"""Paths of the catalogue below the API's base."""

from django.urls import path

from events.api import views
from events.api.rendered import shared_by_a_crowd

urlpatterns = [
    path("events", shared_by_a_crowd(views.EventsView.as_view())),
    path("events/status/<str:event_id>", views.EventStatusView.as_view()),
    path("events/<str:event_id>", shared_by_a_crowd(views.EventView.as_view())),
    path("available-tickets/<str:event_id>", views.AvailableTicketsView.as_view()),
]
