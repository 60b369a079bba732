from django.apps import AppConfig, apps
from django.db.models.signals import post_migrate
from django.utils.module_loading import autodiscover_modules


class CompositionConfig(AppConfig):
    name = "config"
    verbose_name = "Composition"

    def ready(self) -> None:
        # Every process knows every periodic job and every invariant, whoever runs them.
        autodiscover_modules("tasks", "invariants")
        from accounts.roles import after_migrate as fill_groups
        from config.announcements import tell_of_scan
        from config.reporting import after_migrate
        from gate.signals import ticket_scanned

        ticket_scanned.connect(tell_of_scan)
        # Sent once for each app with models, after all have migrated; this one has none of its own.
        post_migrate.connect(after_migrate, sender=apps.get_app_config("common"))
        # The last app with models: by then every app's permissions exist.
        last = [app for app in apps.get_app_configs() if app.models_module is not None][-1]
        post_migrate.connect(fill_groups, sender=last)
