"""Every door's address."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

handler400 = "config.pages.bad_request"
handler403 = "config.pages.forbidden"
handler404 = "config.pages.not_found"
handler500 = "config.pages.server_error"

api = []

urlpatterns = [
    path("api/v1/", include(api)),
    path("api/", include(api)),
    path("admin/", admin.site.urls),
]
