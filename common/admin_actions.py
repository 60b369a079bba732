"""
What staff do to rows: a dialog or a page asks for the reason, a service does it, and a message tells what came of it.

The reason is the service's to keep; here it is only asked for, in the same words everywhere.
"""

from collections.abc import Callable, Sequence
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.decorators import action
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextareaWidget

from common.admin import ReadOnlyAdmin, redirect_from_dialog
from common.errors import FairseatError

SHOWN = 20


def reason_field(
    *, most: int = 500, rows: int = 3, help_text: str = "Kept with your name.", label: str = ""
) -> forms.Field:
    """Return the field that asks why, for as many letters as the place where it is kept holds."""
    widget = UnfoldAdminTextareaWidget(attrs={"rows": rows})
    return forms.CharField(max_length=most, widget=widget, help_text=help_text, label=label or None)


class ReasonForm(BaseDialogForm):
    """Why staff does this; it is kept in the audit. A form that asks for more descends from it."""

    reason = reason_field()


class ReasonPageForm(forms.Form):
    """The same on a page of its own, for what is done to many rows."""

    reason = reason_field()


def dialog_action(
    description: str,
    *,
    path: str,
    icon: str,
    title: str,
    submit: str,
    about: str = "",
    form: type[BaseDialogForm] = ReasonForm,
    permissions: Sequence[str] = ("act",),
) -> Callable[[Callable[..., HttpResponse]], Any]:
    """Return the decorator of an action on one row that asks in a dialog first."""
    dialog = {"title": title, "form_class": form, "form_submit_text": submit} | (
        {"description": about} if about else {}
    )
    return action(description=description, url_path=path, permissions=permissions, icon=icon, dialog=dialog)


class ServiceAdmin(ReadOnlyAdmin):
    """A list and a page of facts whose actions call a service and say what came of it."""

    def attempt(
        self, request: HttpRequest, done: str, service: Callable[..., object], *given: Any, **named: Any
    ) -> bool:
        """Call a service and say `done`, or why it refused; True if it did not."""
        try:
            service(*given, **named)
        except FairseatError as error:
            self.message_user(request, error.text, messages.ERROR)
            return False
        self.message_user(request, done, messages.SUCCESS)
        return True

    def back_to(self, request: HttpRequest, object_id: object) -> HttpResponse:
        """Leave a dialog for the page of the row it was about."""
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_change"
        return redirect_from_dialog(request, reverse(name, args=[object_id]))

    def back_to_list(self, request: HttpRequest) -> HttpResponse:
        """Leave a dialog for the list, where the row is no more or no longer of interest."""
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist"
        return redirect_from_dialog(request, reverse(name))

    def reason_for_many(
        self,
        request: HttpRequest,
        rows: QuerySet[Any],
        *,
        action_name: str,
        title: str,
        about: str = "",
        form_class: type[ReasonPageForm] = ReasonPageForm,
    ) -> str | HttpResponse:
        """
        Return the reason that staff gave for an action on the rows marked in the list, or the page that asks for it.

        The page sends the same action again, with the same rows and the reason.
        """
        form = form_class(request.POST if "confirmed" in request.POST else None)
        if form.is_valid():
            return str(form.cleaned_data["reason"])
        everything = request.POST.get(
            "select_across", "0"
        )  # "1": all rows of the filtered list, not only those of a page
        total = rows.count()
        context = self.admin_site.each_context(request) | {
            "title": title,
            "opts": self.opts,
            "form": form,
            "about": about,
            "action_name": action_name,
            "selected_name": ACTION_CHECKBOX_NAME,
            "select_across": everything,
            "ids": [] if everything == "1" else list(rows.values_list("pk", flat=True)),
            "shown": list(rows[:SHOWN]),
            "total": total,
            "more": max(0, total - SHOWN),
        }
        return TemplateResponse(request, "admin/reason.html", context)
