"""Addresses of the account pages."""

from django.urls import path

from accounts import pages

urlpatterns = [
    path("signup", pages.sign_up, name="signup"),
    path("signup/code", pages.enter_code, name="signup-code"),
    path("signup/again", pages.send_code_again, name="signup-again"),
    path("login", pages.log_in, name="login"),
    path("logout", pages.log_out, name="logout"),
    path("forgot", pages.forgot, name="forgot"),
    path("reset/<str:token>", pages.reset, name="reset"),
    path("profile", pages.profile, name="profile"),
    path("profile/password", pages.change_password, name="change-password"),
    path("profile/delete", pages.erase, name="erase"),
]
