"""Paths of the waitlist below the API's base."""

from django.urls import path

from waitlist.api import views

urlpatterns = [
    path("waitlist/event/<str:event_id>", views.EventWaitlistView.as_view()),
    path("waitlist/user/<str:user_id>/event/<str:event_id>", views.UserPlaceView.as_view()),
    path("waitlist/<str:event_id>", views.LeaveView.as_view()),
]
