"""Addresses of the pages of a journey."""

from django.urls import path

from registrations import pages

urlpatterns = [
    path("events/<uuid:event_id>/register", pages.register, name="event-register"),
    path("profile/data", pages.my_data, name="my-data"),
    path("invitations/<str:token>", pages.invitation, name="invitation"),
    path("invitations/<str:token>/decline", pages.decline_invitation, name="invitation-decline"),
    path("registrations", pages.registration_list, name="registrations"),
    path("registrations/<uuid:registration_id>", pages.registration, name="registration"),
    path("registrations/<uuid:registration_id>/photo", pages.profile_photo, name="registration-photo"),
    path("registrations/<uuid:registration_id>/face", pages.face, name="registration-face"),
    path("registrations/<uuid:registration_id>/head-turns", pages.begin_head_turns, name="registration-turns"),
    path(
        "registrations/<uuid:registration_id>/head-turns/<uuid:check_id>",
        pages.end_head_turns,
        name="registration-turned",
    ),
    path("registrations/<uuid:registration_id>/checking", pages.checking, name="registration-checking"),
    path("registrations/<uuid:registration_id>/person", pages.ask_a_person, name="registration-person"),
]
