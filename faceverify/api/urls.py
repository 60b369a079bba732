"""Paths of faces below the API's base."""

from django.urls import path

from faceverify.api import views

urlpatterns = [
    path("auth/profile/photo", views.ProfilePhotoView.as_view()),
    path("face-images", views.FaceImagesView.as_view()),
    path("face-images/presign", views.PresignView.as_view()),
    path("face-checks/<str:check_id>", views.LivenessCheckView.as_view()),
]
