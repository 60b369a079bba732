"""Addresses of the face pages."""

from django.urls import path

from faceverify import pages

urlpatterns = [
    path("faces", pages.transparency, name="faces"),
    path("profile/photo", pages.photo, name="profile-photo"),
    path("profile/photo/delete", pages.delete_photo, name="profile-photo-delete"),
    path("profile/photo/withdraw", pages.withdraw, name="profile-photo-withdraw"),
]
