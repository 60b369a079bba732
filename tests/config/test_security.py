from django.conf import settings
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.csrf import CsrfViewMiddleware
from django.utils.module_loading import import_string


def test_pages_have_csrf_protection_and_may_not_be_framed():
    stack = [import_string(path) for path in settings.MIDDLEWARE]

    found = {base for base in (CsrfViewMiddleware, XFrameOptionsMiddleware) for part in stack if issubclass(part, base)}

    assert found == {CsrfViewMiddleware, XFrameOptionsMiddleware}
