"""Paths of the waitlist below the API's base."""

from django.urls import path

from waitlist.api import views

urlpatterns = [
    path("waitlist", views.OwnEntriesView.as_view()),
    path("waitlist/join", views.JoinView.as_view()),
    path("waitlist/notifications", views.NotificationsView.as_view()),
    path("waitlist/cleanup", views.CleanUpView.as_view()),
    path("waitlist/event/<str:event_id>", views.EventWaitlistView.as_view()),
    path("waitlist/user/<str:user_id>/event/<str:event_id>", views.UserPlaceView.as_view()),
    path("waitlist/offer/<str:waitlist_id>/accept", views.AcceptView.as_view()),
    path("waitlist/offer/<str:waitlist_id>/reject", views.RejectView.as_view()),
    path("waitlist/process/<str:event_id>", views.ProcessView.as_view()),
    path("waitlist/<str:event_id>", views.LeaveView.as_view()),
]
