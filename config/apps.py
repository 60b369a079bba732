from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class CompositionConfig(AppConfig):
    name = "config"
    verbose_name = "Composition"

    def ready(self) -> None:
        # Every process knows every periodic job and every invariant, whoever runs them.
        autodiscover_modules("tasks", "invariants")
