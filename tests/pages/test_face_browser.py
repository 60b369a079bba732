"""The face pages in a browser without a camera or without scripts, and what axe says about each of them."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.models import User
from bookings.models import Booking
from events.models import Event, SeatInventory
from faceverify import drawings
from registrations.models import Registration
from registrations.queries import journey_of
from registrations.services import ask_a_person, create_registration, review_failure
from tests.factories import EventFactory, TicketCategoryFactory
from tests.pages.camera import enrolled
from tests.pages.test_accessibility import check
from tests.registrations.scenes import OTHER
from tests.registrations.scenes import check as compared

pytestmark = pytest.mark.django_db(transaction=True)
ME, STRANGER = 2, 26


def face_event(name: str, **fields: object) -> Event:
    event = EventFactory(
        name=name,
        requires_face_verification=True,
        max_tickets_per_booking=1,
        face_necessity="Resold last year.",
        **fields,
    )
    TicketCategoryFactory(event=event, name="Standing", price_minor=4900)
    return event


def photo(path: Path, person: int, variant: int) -> str:
    path.write_bytes(drawings.photo(person, variant))
    return str(path)


def test_the_whole_way_without_scripts(
    browse: Callable[..., Page], log_in: Callable, ana: User, tmp_path: Path
) -> None:
    show = face_event("Ten Years")
    page = browse(javascript=False)
    log_in(page, ana)

    page.goto(f"/events/{show.pk}")
    page.get_by_role("button", name="Get checked").click()
    page.get_by_role("checkbox", name="I have read this and I agree").check()
    page.get_by_label("Photo of your face").set_input_files(photo(tmp_path / "a.jpg", ME, 0))
    page.get_by_label("Second photo").set_input_files(photo(tmp_path / "b.jpg", ME, 1))
    page.get_by_role("button", name="Save my photo").click()

    # Somebody else's face first: a miss.
    page.get_by_label("Photo of your face").set_input_files(photo(tmp_path / "c.jpg", STRANGER, 0))
    page.get_by_role("button", name="Check this photo").click()
    expect(page.get_by_role("heading", name="Comparing your photos")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text(
        "This photo doesn’t match well enough (try 1 of 3).", timeout=60_000
    )

    page.get_by_label("Photo of your face").set_input_files(photo(tmp_path / "d.jpg", ME, 2))
    page.get_by_role("button", name="Check this photo").click()
    expect(page.get_by_role("heading", name="This ticket is held for you")).to_be_visible(timeout=60_000)
    assert Booking.objects.get(user=ana, event=show).status == "pending"


def test_without_a_camera_the_page_says_what_to_do_and_opens_the_file_input(
    browse: Callable[..., Page], log_in: Callable, ana: User
) -> None:
    page = browse()
    log_in(page, ana)
    page.goto("/profile/photo")
    expect(page.get_by_label("Photo of your face")).to_be_hidden()

    page.get_by_role("button", name="Open the camera").click()

    expect(page.get_by_role("alert")).to_contain_text("Choose a file instead")
    expect(page.get_by_label("Photo of your face")).to_be_visible()


def test_face_pages_are_clean(browse: Callable[..., Page], log_in: Callable, ana: User, user_factory: type) -> None:
    staff = user_factory(is_staff=True)
    names = ("Begun", "Asked", "Refused", "Held", "Soon", "Over", "Busy")
    events = {name: face_event(name) for name in names}
    begun = {name: create_registration(user_id=ana.pk, event_id=event.pk) for name, event in events.items()}
    for name in ("Asked", "Refused", "Held", "Soon"):
        ask_a_person(registration=begun[name])
    Event.objects.filter(pk=events["Soon"].pk).update(sale_starts_at=timezone.now() + timedelta(days=2))
    for name, action in (("Refused", "reject"), ("Held", "approve"), ("Soon", "approve")):
        review_failure(actor=staff, registration_id=begun[name].pk, action=action, reason="Passport seen")
    Event.objects.filter(pk=events["Over"].pk).update(status="cancelled")
    new = face_event("New")
    page = browse()
    log_in(page, ana)

    addresses = [
        "/faces",
        "/profile",
        "/profile/photo",
        "/registrations",
        f"/events/{new.pk}",
        *(f"/events/{events[name].pk}" for name in ("Begun", "Asked", "Refused", "Soon")),
        f"/registrations/{begun['Begun'].pk}/photo",
        *(f"/registrations/{begun[name].pk}" for name in ("Asked", "Refused", "Held", "Soon", "Over")),
    ]
    found = [problem for address in addresses for problem in check(page, address)]
    enrolled(ana, ME)
    found += check(page, "/profile/photo")
    found += check(page, f"/registrations/{begun['Begun'].pk}/face")
    Registration.objects.filter(pk=begun["Busy"].pk).update(face_verification_status="processing")
    found += check(page, f"/registrations/{begun['Busy'].pk}/checking")

    assert found == []


def test_every_result_is_clean(browse: Callable[..., Page], log_in: Callable, ana: User, user_factory: type) -> None:
    """Choose tickets, waitlist, three tries used, ticket issued: each by what really leads there."""
    staff = user_factory(is_staff=True)
    several, full, tried = face_event("Several"), face_event("Full"), face_event("Tried")
    TicketCategoryFactory(event=several, name="Balcony", price_minor=8900, position=1)
    free = EventFactory(
        name="Free", requires_face_verification=True, max_tickets_per_booking=1, face_necessity="Resold last year."
    )
    TicketCategoryFactory(event=free, name="Standing", price_minor=0)
    others = user_factory()
    let_in(staff, others, full)
    SeatInventory.objects.filter(category__event=full).update(capacity=1)
    steps = {}
    for event in (several, full, free):
        registration = let_in(staff, ana, event)
        steps[journey_of(registration).next_step] = f"/registrations/{registration.pk}"
    enrolled(ana, 5)
    third = create_registration(user_id=ana.pk, event_id=tried.pk)
    for variant in (0, 1, 2):
        miss = compared(third, drawn=OTHER, variant=variant)
        assert miss.status == "mismatch"
    steps[journey_of(third).next_step] = f"/registrations/{third.pk}"
    assert set(steps) == {"CHOOSE_TICKETS", "WAITLISTED", "TICKET_ISSUED", "WAIT_FOR_REVIEW"}
    page = browse()
    log_in(page, ana)

    found = [problem for address in steps.values() for problem in check(page, address)]

    page.goto(steps["WAIT_FOR_REVIEW"])
    expect(page.get_by_text("3 of 3")).to_be_visible()
    assert found == []


def let_in(staff: User, person: User, event: Event) -> Registration:
    """Register somebody whose ID staff have seen."""
    registration = create_registration(user_id=person.pk, event_id=event.pk)
    ask_a_person(registration=registration)
    return review_failure(actor=staff, registration_id=registration.pk, action="approve", reason="Passport seen")
