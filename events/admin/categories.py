"""Ticket categories and their numbered seats in the admin."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from unfold.decorators import display

from common.admin import ReadOnlyAdmin, ReadOnlyInline
from common.admin_actions import dialog_action
from common.money import display as money
from common.money import to_minor
from events import services
from events.admin.acting import CatalogueAdmin, when_sold
from events.admin.forms import CategoryForm, to_the_minute
from events.models import Seat, SeatInventory, TicketCategory
from events.services.categories import RULES


class InventoryInline(ReadOnlyInline):
    model = SeatInventory
    verbose_name_plural = "seats, as the database counts them"
    fields = ["capacity", "held", "offered", "sold", "waiting", "free"]
    readonly_fields = fields


class SeatInline(ReadOnlyInline):
    model = Seat
    verbose_name_plural = "numbered seats, best first"
    fields = ["row", "number", "rank"]
    readonly_fields = fields
    per_page = 50


@admin.register(TicketCategory)
class TicketCategoryAdmin(CatalogueAdmin):
    organiser_path = "event__created_by"
    list_display = ["name", "event", "price", "sells", "numbered", "closed", "taken", "waiting"]
    list_select_related = ["event", "inventory"]
    list_filter = ["closed", "hidden", "numbered", "event__status"]
    search_fields = ["name", "event__name"]
    search_help_text = "Category or event"
    ordering = ["-event__starts_at", "position"]
    inlines = [InventoryInline, SeatInline]
    actions_detail = ["change_category"]
    fields = ["name", "event", "description", "price", "numbered", "closed", *RULES, "position", "created_at"]

    @display(description="Price", ordering="price_minor")
    def price(self, category: TicketCategory) -> str:
        return money(category.price_minor, category.event.currency)

    @display(description="Sells")
    def sells(self, category: TicketCategory) -> str:
        return when_sold(category)

    @display(description="Taken")
    def taken(self, category: TicketCategory) -> str:
        return str(category.inventory)

    @display(description="Waiting", ordering="inventory__waiting")
    def waiting(self, category: TicketCategory) -> int:
        return category.inventory.waiting

    @dialog_action(
        "Change category",
        path="change-category",
        icon="edit",
        title="Change the category",
        about="The capacity is never lower than what is taken.",
        submit="Change it",
        form=CategoryForm,
    )
    def change_category(self, request: HttpRequest, form: CategoryForm, object_id: str) -> HttpResponse:
        wish = form.cleaned_data
        category = TicketCategory.objects.select_related("event").get(pk=object_id)
        self.act(
            request,
            category.event_id,
            "change_category",
            lambda: services.update_category(
                category_id=category.pk,
                name=wish["name"],
                price_minor=to_minor(wish["price"], category.event.currency),
                capacity=wish["capacity"],
                closed=wish["closed"],
                **{name: wish[name] for name in RULES if wish[name] != to_the_minute(getattr(category, name))},
            ),
            reason=wish["reason"],
            done="The category is changed.",
        )
        return self.back_to(request, object_id)


@admin.register(Seat)
class SeatAdmin(ReadOnlyAdmin):
    organiser_path = "category__event__created_by"
    list_display = ["label", "category", "event", "rank"]
    list_select_related = ["category__event"]
    search_fields = ["row", "category__name", "category__event__name"]
    search_help_text = "Row, category or event"
    ordering = ["category", "rank", "number"]
    fields = ["category", "row", "number", "rank"]

    @display(description="Event", ordering="category__event__name")
    def event(self, seat: Seat) -> str:
        return seat.category.event.name
