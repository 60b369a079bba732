"""
How staff see rows: what their role lets them read, nothing edited by hand; what staff may do is an action of a service.

Who does not work on every organiser's events sees, here and only here, the rows of their own events.
"""

from typing import Any

from django.contrib.admin import ModelAdmin as DjangoModelAdmin
from django.contrib.auth import get_permission_codename
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from unfold.admin import ModelAdmin, TabularInline

EVERY_EVENT = "accounts.every_event"


class ReadOnlyAdmin(ModelAdmin):
    """A list and a page of facts. Adding, changing and deleting are not offered to anybody, superusers included."""

    compressed_fields = True
    list_fullwidth = True
    list_filter_submit = False
    list_per_page = 50
    show_full_result_count = False
    # The lookup from a row to who made its event; "" where rows belong to no event.
    organiser_path: str = ""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return self.scoped(request, super().get_queryset(request))

    def scoped(self, request: HttpRequest, rows: QuerySet[Any], organiser_path: str = "") -> QuerySet[Any]:
        """Return those of the rows that this member of staff works on: all, or what belongs to events of their own."""
        if request.user.has_perm(EVERY_EVENT):
            return rows
        path = organiser_path or self.organiser_path
        return rows.filter(**{path: request.user.pk}) if path else rows.none()

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_view_permission(request) and self.in_scope(request, obj)

    def in_scope(self, request: HttpRequest, obj: Any) -> bool:
        """Whether this row, or the row of this id, is one that this member of staff works on; None asks about none."""
        if obj is None or request.user.has_perm(EVERY_EVENT):
            return True
        try:
            return self.get_queryset(request).filter(pk=getattr(obj, "pk", obj)).exists()
        except (ValueError, ValidationError):
            return False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_act_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether this member of staff may use the actions on this row: Django's "change" permission of the model."""
        return may_change(self, request) and self.in_scope(request, obj)


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
