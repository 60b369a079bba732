"""The WSGI application that the web server runs."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault("ROLE", "web")

from django.core.wsgi import get_wsgi_application
from django.utils.module_loading import import_string

django_application = get_wsgi_application()  # from here on apps can be imported
application = import_string("config.quick.quick")(django_application)
