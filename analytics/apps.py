from django.apps import AppConfig


class AnalyticsConfig(AppConfig):
    name = "analytics"
    verbose_name = "Figures"

    def ready(self) -> None:
        from analytics import tasks  # noqa: F401
