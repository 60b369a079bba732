"""Addresses of the catalogue's pages."""

from django.urls import path

from events import pages

urlpatterns = [
    path("", pages.home, name="home"),
    path("events", pages.event_list, name="event-list"),
    path("events/<uuid:event_id>", pages.event, name="event"),
    path("art/<int:version>/<uuid:event_id>.svg", pages.poster, name="artwork"),
]
