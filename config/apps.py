from django.apps import AppConfig, apps
from django.db.models.signals import post_migrate
from django.utils.module_loading import autodiscover_modules


class CompositionConfig(AppConfig):
    name = "config"
    verbose_name = "Composition"

    def ready(self) -> None:
        # Every process knows every periodic job and every invariant, whoever runs them.
        autodiscover_modules("tasks", "invariants")
        from config.reporting import after_migrate

        # Sent once for each app with models, after all have migrated; this one has none of its own.
        post_migrate.connect(after_migrate, sender=apps.get_app_config("common"))
