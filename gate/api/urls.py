"""Addresses of the gate's API, below the base."""

from django.urls import path

from gate.api import views

urlpatterns = [
    path("gate", views.GatesView.as_view()),
    path("gate/<str:event_id>", views.EntranceView.as_view()),
    path("gate/<str:event_id>/scans", views.ScansView.as_view()),
    path("gate/<str:event_id>/search", views.SearchView.as_view()),
    path("gate/<str:event_id>/scans/<str:scan_id>/undo", views.UndoView.as_view()),
    path("gate/<str:event_id>/scans/<str:scan_id>/resolve", views.ResolveView.as_view()),
    path("gate/<str:event_id>/scans/<str:scan_id>/identity", views.IdentityView.as_view()),
    path("gate/<str:event_id>/scans/<str:scan_id>/review", views.ReviewView.as_view()),
    path("gate/<str:event_id>/reviews", views.ReviewsView.as_view()),
    path("gate/<str:event_id>/scans/<str:scan_id>/face", views.FaceView.as_view()),
    path("gate/<str:event_id>/face-checks/<str:check_id>", views.FaceCheckView.as_view()),
    path("gate/<str:event_id>/counters", views.CountersView.as_view()),
    path("gate/<str:event_id>/cases", views.CasesView.as_view()),
    path("gate/<str:event_id>/list", views.ListView.as_view()),
    path("gate/<str:event_id>/sync", views.SyncView.as_view()),
]
