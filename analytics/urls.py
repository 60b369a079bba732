"""Addresses of the organisers' pages."""

from django.urls import path

from analytics import pages

urlpatterns = [
    path("organiser", pages.own_events, name="organiser"),
    path("organiser/events/<uuid:event_id>", pages.event_figures, name="organiser_event"),
]
