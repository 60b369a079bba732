"""Addresses of the figures, below the base."""

from django.urls import path

from analytics.api import views

urlpatterns = [
    path("events/<str:event_id>/stats", views.EventStatsView.as_view()),
    path("admin/dashboard", views.DashboardView.as_view()),
    path("admin/events", views.AllEventsView.as_view()),
]
