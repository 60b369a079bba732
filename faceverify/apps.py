from django.apps import AppConfig


class FaceverifyConfig(AppConfig):
    name = "faceverify"
    verbose_name = "Faces"

    def ready(self) -> None:
        from faceverify import receivers  # noqa: F401
