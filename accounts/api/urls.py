"""Paths of accounts below the API's base."""

from django.urls import path

from accounts.api import notifications, views

urlpatterns = [
    path("auth/signup/email", views.SignupView.as_view()),
    path("auth/verify-otp", views.VerifyCodeView.as_view()),
    path("auth/resend-otp", views.ResendCodeView.as_view()),
    path("auth/login/email", views.LoginView.as_view()),
    path("auth/admin-login", views.AdminLoginView.as_view()),
    path("auth/refresh", views.RefreshView.as_view()),
    path("auth/logout", views.LogoutView.as_view()),
    path("auth/profile", views.ProfileView.as_view()),
    path("auth/change-password", views.ChangePasswordView.as_view()),
    path("auth/password-reset", views.PasswordResetView.as_view()),
    path("auth/password-reset/confirm", views.PasswordResetConfirmView.as_view()),
    path("admin-public/register", views.RegisterAdministratorView.as_view()),
    path("notifications", notifications.NotificationsView.as_view()),
    path("notifications/read-all", notifications.NotificationsReadView.as_view()),
    path("notifications/preferences", notifications.NotificationChoicesView.as_view()),
    path("notifications/<str:notification_id>/read", notifications.NotificationReadView.as_view()),
    path("users", views.UsersView.as_view()),
    path("users/<str:user_id>", views.UserView.as_view()),
]
