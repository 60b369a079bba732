"""What somebody who waits may say: how many seats, together or not, of which kind."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django import forms

from events.models import TicketCategory

TOGETHER = {"any": "Fewer are fine too", "together": "All or none"}


class WishForm(forms.Form):
    """The wish of a place on the list; no category ticked of several is an error, all of them means any."""

    quantity = forms.IntegerField(
        min_value=1, error_messages=dict.fromkeys(("required", "invalid", "min_value", "max_value"), "Choose how many.")
    )
    together = forms.ChoiceField(choices=list(TOGETHER.items()), required=False)
    category = forms.MultipleChoiceField(
        required=False, error_messages={"invalid_choice": "Choose from the tickets of this event."}
    )

    def __init__(self, *args: Any, categories: Sequence[TicketCategory], most: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.categories, self.most = categories, most
        self.fields["quantity"].max_value = most  # type: ignore[attr-defined]
        self.fields["category"].choices = [(str(one.pk), one.name) for one in categories]  # type: ignore[attr-defined]

    def clean_quantity(self) -> int:
        quantity: int = self.cleaned_data["quantity"]
        if quantity > self.most:
            raise forms.ValidationError(f"One person may have at most {self.most} for this event.")
        return quantity

    def clean_category(self) -> list[UUID]:
        chosen = [UUID(value) for value in self.cleaned_data["category"]]
        if not chosen and len(self.categories) > 1:
            raise forms.ValidationError("Tick at least one kind of ticket.")
        return [] if len(chosen) == len(self.categories) else chosen

    @property
    def wish(self) -> dict[str, Any]:
        """The wish as the services take it."""
        found = self.cleaned_data
        return {
            "quantity": found["quantity"],
            "all_together": found["together"] == "together" and found["quantity"] > 1,
            "category_ids": found["category"],
        }
