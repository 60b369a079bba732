"""
How staff see rows: what their role lets them read, nothing edited by hand; what staff may do is an action of a service.

Who does not work on every organiser's events sees, here and only here, the rows of their own events.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.admin import ModelAdmin as DjangoModelAdmin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth import get_permission_codename
from django.core.exceptions import ValidationError
from django.db import DataError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, reverse
from django.utils.html import format_html
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display

EVERY_EVENT = "accounts.every_event"
# What the database, or a field, makes of words that can not be an id, a day or a number.
NONSENSE = (ValueError, ValidationError, OverflowError, DataError)


def in_words(field: str, title: str = "") -> Callable[[Any], str]:
    """Return a column that writes a name of the code (`gate.scan_undone`) as a person says it (Scan undone)."""

    @display(description=title or field.replace("_", " ").capitalize(), ordering=field)
    def column(row: Any) -> str:
        return str(getattr(row, field)).rpartition(".")[2].replace("_", " ").capitalize() or "–"

    column.__name__ = f"{field}_in_words"
    return column


def link_to(name: str, object_id: Any, text: str) -> str:
    """Return a link to the page of a row, named `app_model` as in the admin's addresses."""
    return format_html('<a class="text-link" href="{}">{}</a>', reverse(f"admin:{name}_change", args=[object_id]), text)


class ReadOnlyAdmin(ModelAdmin):
    """A list and a page of facts. Adding, changing and deleting are not offered to anybody, superusers included."""

    compressed_fields = True
    list_fullwidth = True
    list_filter_submit = False
    list_per_page = 50
    show_full_result_count = False
    # The lookup from a row to who made its event; "" where rows belong to no event.
    organiser_path: str = ""

    def get_urls(self) -> list[URLPattern]:
        """Let every page of a row, Django's and those of the actions, look first whether there is one for who asks."""
        plain = (f"{self.opts.app_label}_{self.opts.model_name}_{page}" for page in ("change", "history", "delete"))
        of_rows = {*plain, *(one.action_name for one in self._get_base_actions_detail())}
        urls: list[URLPattern] = super().get_urls()
        for url in urls:
            if url.name in of_rows:
                url.callback = self.about_a_row(url.callback)
        return urls

    def about_a_row(self, view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        """Return a view that answers 404 to staff about a row that is none to them; nobody else is told even that."""

        @wraps(view)
        def look_first(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if self.admin_site.has_permission(request):
                self.in_scope(request, unquote(kwargs["object_id"]))
            return view(request, *args, **kwargs)

        return look_first

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
        """
        Whether this row, or the row of this id, is one that this member of staff works on; None asks about none.

        :raises Http404: if it is not: to whom a row is not shown there is none
        """
        if obj is None:
            return True
        wanted = getattr(obj, "pk", obj)
        known: set[tuple[str, str]] = request.__dict__.setdefault("rows_in_scope", set())
        key = (self.opts.label, str(wanted))
        if key not in known:
            if self.find(request, wanted) is None:
                raise Http404
            known.add(key)
        return True

    def find(self, request: HttpRequest, object_id: Any) -> Any:
        """Return the row of this id that this member of staff works on; None for any other, and for what is no id."""
        try:
            return self.get_queryset(request).filter(pk=object_id).first()
        except NONSENSE:
            return None

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """Load the row of a page; what is no id has none."""
        try:
            found = super().get_object(request, object_id, from_field)
        except NONSENSE:
            return None
        if found is not None:
            request.__dict__.setdefault("rows_in_scope", set()).add((self.opts.label, str(found.pk)))
        return found

    def _get_obj_does_not_exist_redirect(self, request: HttpRequest, opts: Any, object_id: str) -> HttpResponse:
        """A page of no row is no page; Django would send staff to the first page of the admin."""
        raise Http404

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Make the list; words of an address that mean nothing lead to the whole list, as Django's own checks do."""
        try:
            return super().get_changelist_instance(request)
        except NONSENSE as error:
            raise IncorrectLookupParameters(error) from error

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Run an action on the marked rows; what was sent by hand and is no id marks nothing."""
        sent = request.POST.copy()
        sent.setlist(ACTION_CHECKBOX_NAME, [text for text in sent.getlist(ACTION_CHECKBOX_NAME) if self.is_id(text)])
        request.POST = sent  # type: ignore[assignment]
        return super().response_action(request, queryset)

    def is_id(self, text: str) -> bool:
        """Whether this can be the id of a row."""
        try:
            self.opts.pk.to_python(text)
        except NONSENSE:
            return False
        return "\x00" not in text

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
