"""How staff see rows: everything may be read, nothing is edited by hand; what staff may do is an action of a service."""

from typing import Any

from django.contrib.admin import ModelAdmin as DjangoModelAdmin
from django.contrib.auth import get_permission_codename
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from unfold.admin import ModelAdmin, TabularInline


class ReadOnlyAdmin(ModelAdmin):
    """A list and a page of facts. Adding, changing and deleting are not offered to anybody, superusers included."""

    compressed_fields = True
    list_fullwidth = True
    list_filter_submit = False
    list_per_page = 50
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_act_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether this member of staff may use the actions: Django's "change" permission of the model."""
        return may_change(self, request)


class ReadOnlyInline(TabularInline):
    """Rows that belong to the one shown, read-only."""

    extra = 0
    can_delete = False
    show_change_link = False
    tab = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def may_change(admin: DjangoModelAdmin, request: HttpRequest) -> bool:
    """Whether the user has Django's "change" permission for the admin's model."""
    return request.user.has_perm(f"{admin.opts.app_label}.{get_permission_codename('change', admin.opts)}")


def redirect_from_dialog(request: HttpRequest, address: str) -> HttpResponse:
    """Send the browser to `address` after a dialog's form, with or without the script that shows dialogs."""
    return HttpResponse(headers={"HX-Redirect": address}) if "HX-Request" in request.headers else redirect(address)
