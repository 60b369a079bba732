from django.apps import AppConfig


class GateConfig(AppConfig):
    name = "gate"
    verbose_name = "Gate"

    def ready(self) -> None:
        from gate import invariants, tasks  # noqa: F401
