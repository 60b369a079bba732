"""Paths of registrations below the API's base."""

from django.urls import path

from registrations.api import invitations, views

urlpatterns = [
    path("invitations", invitations.InvitationView.as_view()),
    path("invitations/accept", invitations.AcceptInvitationView.as_view()),
    path("invitations/decline", invitations.DeclineInvitationView.as_view()),
    path("registrations", views.RegistrationsView.as_view()),
    path("registrations/stats", views.StatisticsView.as_view()),
    path("registrations/admin/failed-verifications", views.FailedVerificationsView.as_view()),
    path("registrations/admin/batches", views.BatchesView.as_view()),
    path("registrations/admin/batches/<str:batch_id>", views.BatchView.as_view()),
    path("registrations/<str:registration_id>/status", views.StatusView.as_view()),
    path("registrations/<str:registration_id>/validate-face-image", views.ValidateView.as_view()),
    path("registrations/<str:registration_id>/face-checks", views.FaceChecksView.as_view()),
    path("registrations/<str:registration_id>/verify-face", views.VerifyView.as_view()),
    path("registrations/<str:registration_id>/retry-verification", views.RetryView.as_view()),
    path("registrations/<str:registration_id>/ask-a-person", views.AskAPersonView.as_view()),
    path("registrations/<str:registration_id>/admin/override-ticket", views.OverrideView.as_view()),
    path("registrations/<str:registration_id>/admin/review-failure", views.ReviewView.as_view()),
]
