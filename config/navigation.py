"""The admin's menu: what staff do, in the order of how often they do it; each sees only what their role lets them open."""

from typing import Any

from django.apps import apps
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse

# Group, and of each page: the model whose list it is, the words for it and its icon (Material Symbols).
GROUPS: list[tuple[str, list[tuple[str, str, str]]]] = [
    (
        "Selling",
        [
            ("events.event", "Events", "event"),
            ("events.ticketcategory", "Ticket categories", "sell"),
            ("bookings.salecode", "Codes", "redeem"),
            ("waitingroom.waitingroom", "Lines", "groups"),
            ("waitlist.waitlistentry", "Waitlists", "hourglass_top"),
        ],
    ),
    (
        "Customers",
        [
            ("bookings.booking", "Bookings", "receipt_long"),
            ("bookings.ticket", "Tickets", "confirmation_number"),
            ("bookings.tickethandover", "Tickets passed on", "swap_horiz"),
            ("accounts.user", "People", "person"),
            ("accounts.notification", "Notifications", "notifications"),
            ("accounts.notificationchoice", "Choices about news", "tune"),
        ],
    ),
    (
        "Money",
        [
            ("payments.payment", "Payments", "payments"),
            ("payments.refund", "Refunds", "currency_exchange"),
            ("payments.attention", "To look at", "priority_high"),
            ("payments.comparison", "Compared with Stripe", "balance"),
            ("payments.stripeevent", "Heard from Stripe", "webhook"),
        ],
    ),
    (
        "Face checks",
        [
            ("registrations.registration", "Registrations", "how_to_reg"),
            ("registrations.batchrun", "Batches", "checklist"),
            ("faceverify.facereference", "Enrolled faces", "face"),
            ("faceverify.faceimage", "Pictures", "image"),
            ("faceverify.livenesscheck", "Liveness checks", "motion_photos_on"),
            ("faceverify.biometricconsent", "Consents", "handshake"),
            ("faceverify.faceview", "Looks at faces", "visibility"),
            ("faceverify.deletionlog", "Deletions", "delete_sweep"),
        ],
    ),
    (
        "Entrance",
        [
            ("gate.scan", "Scans", "qr_code_scanner"),
            ("gate.facecheck", "Faces at the door", "familiar_face_and_zone"),
        ],
    ),
    (
        "Webhooks",
        [
            ("webhooks.webhookendpoint", "Endpoints", "hub"),
            ("webhooks.webhookdelivery", "Deliveries", "send"),
        ],
    ),
    (
        "Security",
        [
            ("accounts.staffaction", "What staff did", "history"),
            ("accounts.tokenfamily", "API sessions", "key"),
            ("accounts.signupchallenge", "Sign-ups", "person_add"),
            ("accounts.passwordreset", "Password resets", "lock_reset"),
            ("accounts.setuptoken", "Setup tokens", "vpn_key"),
        ],
    ),
    (
        "System",
        [
            ("django_celery_beat.periodictask", "Jobs", "schedule"),
            ("common.heartbeat", "Heartbeats", "monitor_heart"),
            ("common.outboxmessage", "Outbox", "outbox"),
            ("common.sentmail", "Sent mails", "mail"),
            ("common.idempotencykey", "Repeated requests", "repeat"),
            ("bookings.bookingtransition", "Bookings: each change", "timeline"),
            ("bookings.bookingseat", "Seats taken", "event_seat"),
            ("events.seat", "Seats", "chair"),
        ],
    ),
]
OFTEN = {"Selling", "Customers", "Money"}  # open; the others open with a click, or when one of theirs is shown


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the menu of who asks (unfold's SIDEBAR); groups of which nothing may be opened are left out."""
    index = reverse("admin:index")
    first = [{"title": "Today", "icon": "dashboard", "link": index, "active": request.path == index}]
    if request.user.has_perm("gate.scan"):
        first.append({"title": "Gate", "icon": "door_front", "link": reverse("gates"), "active": False})
    if request.user.has_perm("payments.refund_payment"):
        refund = reverse("admin:payments_refund_find")
        first.append({"title": "Refund", "icon": "undo", "link": refund, "active": request.path.startswith(refund)})
    if getattr(request.user, "is_organiser", False):
        first.append({"title": "My events", "icon": "insights", "link": reverse("organiser"), "active": False})
    groups: list[dict[str, Any]] = [{"items": first}]
    for title, pages in GROUPS:
        items = [item for page in pages if (item := entry(request, *page)) is not None]
        if items:
            shown = any(item["active"] for item in items)
            groups.append({"title": title, "collapsible": title not in OFTEN, "active": shown, "items": items})
    return groups


def entry(request: HttpRequest, label: str, title: str, icon: str) -> dict[str, Any] | None:
    """Return a line of the menu, or None where there is no such list or the role does not open it."""
    try:
        model = apps.get_model(label)
    except LookupError:
        return None
    if not admin.site.is_registered(model) or not admin.site.get_model_admin(model).has_view_permission(request):
        return None
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    return {"title": title, "icon": icon, "link": address, "active": request.path.startswith(address)}


def account_links(request: HttpRequest) -> list[dict[str, str]]:
    """Return the links below one's name."""
    return [
        {"title": "Your account", "link": reverse("profile")},
        {"title": "Change password", "link": reverse("change-password")},
    ]
