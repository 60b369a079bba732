"""The composition root: settings, URLs, Celery, the API's ground, embedded services. No app imports it."""

from config.celery import app as celery_app

__all__ = ["celery_app"]
