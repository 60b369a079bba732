"""Staff's and organisers' doors to codes and gifts in the admin: made, changed, exported, switched, seen, given to many."""

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from accounts.models import StaffAction, User
from bookings import services
from bookings.models import Booking, SaleCode
from bookings.references import spoken
from bookings.services import Terms
from common import outbox
from events.models import SeatInventory, TicketCategory
from tests.factories import EventFactory, OrganiserFactory, StaffFactory, TicketCategoryFactory, UserFactory

pytestmark = pytest.mark.django_db
EVENTS = "/admin/events/event/"
CODES = "/admin/bookings/salecode/"


@pytest.fixture
def organiser():
    return OrganiserFactory(is_staff=True, role="organiser")


@pytest.fixture
def own(client_for, organiser):
    return client_for(organiser)


@pytest.fixture
def staff(client_for):
    return client_for(StaffFactory())


@pytest.fixture
def category(organiser):
    return TicketCategoryFactory(name="Floor", capacity=5, event=EventFactory(name="Long Night", created_by=organiser))


def send(client, path, **form):
    """Send a dialog's form and return the page it leads to, or the dialog again."""
    return client.post(path, {"_form_submitted": "on", **form}, follow=True).content.decode()


def make(category, code="SUMMER", **terms):
    return services.create_code(
        event_id=category.event_id, actor_id=OrganiserFactory().pk, terms=Terms(**terms or {"percent": 20}), code=code
    )


def hold(category, code="SUMMER", quantity=1):
    return services.hold_seats(user_id=UserFactory().pk, category_id=category.pk, quantity=quantity, code=code)


def test_organiser_makes_a_code_with_every_term(own, organiser, category):
    balcony = TicketCategoryFactory(event=category.event, name="Balcony")
    terms = {"amount_off": "12.50", "presale": "on", "max_uses": "40", "per_person": "2", "note": "radio"}
    times = {"valid_from": "2031-05-01T10:00", "valid_until": "2031-05-02T10:00"}

    page = send(
        own, f"{EVENTS}{category.event_id}/new-code/", code="sum mer", categories=[balcony.pk], **terms, **times
    )

    code = SaleCode.objects.select_related("counter").get()
    assert "SUMMER is there." in page
    assert (code.code, code.off_minor, code.presale, code.counter.max_uses) == ("SUMMER", 1250, True, 40)
    assert (code.per_person, code.note, code.category_ids) == (2, "radio", [balcony.pk])
    assert (code.valid_from, code.valid_until) == (
        datetime(2031, 5, 1, 10, tzinfo=UTC),
        datetime(2031, 5, 2, 10, tzinfo=UTC),
    )
    assert StaffAction.objects.get(action="create_code").actor_id == organiser.pk


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({}, "Say what the code does"),
        ({"percent": "10", "amount_off": "5"}, "Either per cent or an amount, not both."),
        ({"percent": "101"}, "less than or equal to 100"),
        ({"amount_off": "5.005"}, "A price in EUR can not be 5.005."),
        ({"percent": "10", "valid_from": "2031-05-02T10:00", "valid_until": "2031-05-01T10:00"}, "After it begins."),
        ({"percent": "10", "code": "ab"}, "4 to 32 letters and digits."),
        ({"percent": "10", "code": "TAKEN"}, "This event has that code already."),
    ],
)
def test_dialog_says_what_is_wrong_and_keeps_what_was_written(own, category, form, words):
    make(category, "TAKEN")

    page = send(own, f"{EVENTS}{category.event_id}/new-code/", note="for the radio", **form)

    assert words in page
    assert 'value="for the radio"' in page
    assert SaleCode.objects.count() == 1


def test_amount_off_is_in_the_events_currency(own, category):
    TicketCategory.objects.filter(pk=category.pk).update(price_minor=5000)
    type(category.event).objects.filter(pk=category.event_id).update(currency="KWD")
    send(own, f"{EVENTS}{category.event_id}/new-code/", code="DINAR", amount_off="1.250")
    type(category.event).objects.filter(pk=category.event_id).update(currency="JPY")
    send(own, f"{EVENTS}{category.event_id}/new-code/", code="YEN4", amount_off="300")

    assert dict(SaleCode.objects.values_list("code", "off_minor")) == {"DINAR": 1250, "YEN4": 300}


def test_many_codes_are_all_different_single_use_and_come_as_csv(own, category):
    page = send(own, f"{EVENTS}{category.event_id}/many-codes/", count="25", percent="50", note="=club")

    assert "25 codes are there." in page
    marked = {"action": "as_csv", "select_across": "1", "_selected_action": [str(SaleCode.objects.first().pk)]}
    answer = own.post(f"{CODES}?event__id__exact={category.event_id}", marked)
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
    assert answer.headers["Content-Disposition"] == 'attachment; filename="codes.csv"'
    assert len({row["code"] for row in rows}) == 25
    assert {(row["max_uses"], row["uses"], row["note"], len(row["code"])) for row in rows} == {("1", "0", "'=club", 14)}


def test_list_and_page_of_a_code_show_its_uses_and_by_whom(own, category):
    code = make(category, percent=20, max_uses=3)
    booking = hold(category, quantity=2)

    listed = own.get(f"{CODES}?event__id__exact={category.event_id}").content.decode()
    page = own.get(f"{CODES}{code.pk}/change/").content.decode()

    assert "2 of 3" in listed
    assert spoken(booking.reference) in page
    assert booking.user.email in page
    assert "€19.60" in page
    assert f"/events/{category.event_id}?code=SUMMER" in page


def test_code_is_found_however_it_was_read_out(own, category):
    make(category, "K7M4XT3RK7M4")

    assert "K7M4-XT3R-K7M4" in own.get(f"{CODES}?q=k7m4-xt3r-k7m4").content.decode()


def test_code_is_changed_and_what_reads_the_same_is_not(own, category):
    until = timezone.now() + timedelta(days=1, seconds=7)
    code = make(category, percent=20, max_uses=3, valid_until=until)
    hold(category, quantity=2)
    dialog = own.get(f"{CODES}{code.pk}/change-code/").content.decode()
    form = {"percent": "30", "max_uses": "1", "valid_until": f"{until:%Y-%m-%dT%H:%M}", "note": "more"}

    refused = send(own, f"{CODES}{code.pk}/change-code/", **form)
    done = send(own, f"{CODES}{code.pk}/change-code/", **form | {"max_uses": "2"})

    assert 'value="20"' in dialog
    assert "2 tickets were taken with this code, so 2 is the lowest." in refused
    assert "The code is changed." in done
    row = StaffAction.objects.get(action="change_code")
    assert row.after == {"percent": 30, "max_uses": 2, "note": "more"}
    assert SaleCode.objects.get().valid_until == until


def test_codes_are_switched_one_by_one_and_many_at_once(own, category):
    code = make(category)
    other = make(category, "WINTER")

    assert "1 switched off." in send(own, f"{CODES}{code.pk}/switch/")
    assert "1 switched on." in send(own, f"{CODES}{code.pk}/switch/")
    marked = {"action": "switch_off", "_selected_action": [str(code.pk), str(other.pk)]}
    assert "2 switched off." in own.post(CODES, marked, follow=True).content.decode()
    assert not SaleCode.objects.filter(active=True).exists()


def test_code_that_was_used_is_not_deleted(own, category):
    used, unused = make(category), make(category, "WINTER")
    hold(category)

    assert "Switch it off instead." in send(own, f"{CODES}{used.pk}/remove/")
    assert "The code is deleted." in send(own, f"{CODES}{unused.pk}/remove/")
    assert list(SaleCode.objects.values_list("code", flat=True)) == ["SUMMER"]


def test_organiser_sees_and_touches_the_codes_of_their_own_events_only(own, category):
    others = TicketCategoryFactory(event__name="Elsewhere")
    mine, theirs = make(category, "MINE"), make(others, "THEIRS")

    listed = own.get(CODES).content.decode()

    assert "MINE" in listed
    assert "THEIRS" not in listed
    assert own.get(f"{CODES}{theirs.pk}/change/").status_code == 404
    for path in (f"{CODES}{theirs.pk}/change-code/", f"{CODES}{theirs.pk}/switch/", f"{CODES}{theirs.pk}/remove/"):
        assert own.post(path, {"_form_submitted": "on", "percent": "90"}).status_code == 404
    wish = {"_form_submitted": "on", "percent": "90", "count": "1"}
    for path in ("new-code", "many-codes"):
        assert own.post(f"{EVENTS}{others.event_id}/{path}/", wish).status_code == 404
    own.post(CODES, {"action": "switch_off", "_selected_action": [str(theirs.pk), str(mine.pk)]})
    assert dict(SaleCode.objects.values_list("code", "active")) == {"MINE": False, "THEIRS": True}


@pytest.mark.parametrize("role", ["support", "gate", "box_office"])
def test_other_roles_change_no_codes(client_for, category, role):
    code = make(category)
    client = client_for(StaffFactory(role=role))

    for path in (
        f"{EVENTS}{category.event_id}/new-code/",
        f"{CODES}{code.pk}/change-code/",
        f"{CODES}{code.pk}/switch/",
    ):
        assert client.post(path, {"_form_submitted": "on", "percent": "90"}).status_code == 403


def test_list_of_codes_takes_the_same_statements_for_one_and_for_many(own, category, django_assert_max_num_queries):
    make(category)
    own.get(CODES)
    with django_assert_max_num_queries(20) as one:
        own.get(CODES)
    for word in ("AAAA", "BBBB", "CCCC"):
        make(TicketCategoryFactory(event=EventFactory(created_by=category.event.created_by)), word)
    with django_assert_max_num_queries(20) as many:
        own.get(CODES)

    assert len(one) == len(many)


# -- Gifts ------------------------------------------------------------------------------------------------------------


def test_gift_is_given_in_a_dialog_and_refusals_stay_in_it(staff, category):
    path = f"{EVENTS}{category.event_id}/give-tickets/"
    wish = {"email": "ana@example.test", "category": category.pk, "reason": "plays in the support act"}

    refused = send(staff, path, quantity="6", **wish)
    given = send(staff, path, quantity="2", **wish)
    again = send(staff, path, quantity="1", **wish)

    assert "Only 5 of 6 are left." in refused
    assert "plays in the support act" in refused
    assert "Given. The tickets are on their way by mail." in given
    assert "has tickets from staff for this event already" in again
    assert Booking.objects.get().comp is True


def test_gift_is_taken_back_and_its_seats_are_there_again(staff, category):
    send(
        staff,
        f"{EVENTS}{category.event_id}/give-tickets/",
        email="ana@example.test",
        category=category.pk,
        quantity="2",
        reason="x",
    )
    booking = Booking.objects.get()

    send(staff, f"/admin/bookings/booking/{booking.pk}/cancel/", reason="Does not play after all")

    booking.refresh_from_db()
    assert booking.status == "cancelled"
    assert SeatInventory.objects.get(category=category).sold == 0
    assert set(booking.tickets.values_list("status", flat=True)) == {"void"}


def give_many(client, category, rows, **form):
    wish = {"rows": rows, "reason": "Guest list"} | form
    return client.post(f"{EVENTS}{category.event_id}/give-to-many/", wish).content.decode()


def checked_in(page):
    return page.partition('name="checked" value="')[2].partition('"')[0]


LINES = """email,category,quantity,name,reason
ana@example.test,Floor,2,Ana,Sings
not an address,Floor,1,,
ben@example.test,Cellar,1,,
ben@example.test,floor,,Ben,
BEN@example.test,floor,1,,
cem@example.test,Floor,11,,
dan@example.test,Floor,3,,
eva@example.test,Floor,2,,
"""


def test_list_of_gifts_is_shown_line_by_line_before_anything_is_given(staff, category):
    page = give_many(staff, category, LINES)

    assert "3 of 8 can be given" in page
    for words in (
        "This is no mail address.",
        "The event has no category “Cellar”.",
        "This address stands in a line above.",
        "How many: 1 to 10.",
        "Only 2 left of Floor at this line.",
    ):
        assert words in page
    assert not Booking.objects.exists()
    assert "not an address,Floor,1" in page  # what was written is still there


def test_list_of_gifts_gives_what_it_can_and_keeps_the_rest_to_be_put_right(staff, category, mailoutbox):
    checked = checked_in(give_many(staff, category, LINES))

    page = give_many(staff, category, LINES, checked=checked)

    assert "3 of 8 given" in page
    given = dict(Booking.objects.values_list("user__email", "quantity"))
    assert given == {"ana@example.test": 2, "ben@example.test": 1, "eva@example.test": 2}
    assert set(StaffAction.objects.filter(action="give_comp").values_list("reason", flat=True)) == {
        "Sings",
        "Guest list",
    }
    left = page.partition('<textarea name="rows" cols')[2].partition("</textarea>")[0].partition(">")[2]
    assert [line.split(",")[0] for line in left.split()[:1]] == ["email"]
    assert "dan@example.test,,Floor,3,Guest list" in left
    assert "ana@example.test" not in left
    assert User.objects.get(email="ana@example.test").name == "Ana"
    outbox.deliver_due()
    assert len([mail for mail in mailoutbox if mail.to == ["ana@example.test"]]) == 2  # the account, the tickets

    again = give_many(staff, category, LINES, checked=checked)
    assert "0 of 8 given" in again
    assert "Has tickets from staff for this event already." in again
    assert Booking.objects.count() == 3


def test_lines_that_were_changed_after_they_were_looked_at_are_looked_at_again(staff, category):
    checked = checked_in(give_many(staff, category, "ana@example.test"))

    page = give_many(staff, category, "ana@example.test\nben@example.test", checked=checked)

    assert "2 of 2 can be given" in page
    assert not Booking.objects.exists()


def test_list_of_gifts_comes_as_a_file_of_any_spreadsheet(staff, category):
    lines = "ana@example.test;Zoë;Floor;1\r\nben@example.test;;;\r\n".encode("cp1252")

    page = give_many(staff, category, "", file=SimpleUploadedFile("guests.csv", lines, content_type="text/csv"))

    assert "2 of 2 can be given" in page
    assert "Zoë" in page


@pytest.mark.parametrize("rows", ["", "email,name\n", "\n".join(f"a{n}@example.test" for n in range(201))])
def test_list_of_gifts_that_is_none_is_refused_with_words(staff, category, rows):
    page = give_many(staff, category, rows)

    assert 'role="alert"' in page
    assert not Booking.objects.exists()


def test_only_who_may_give_gifts_sees_the_page(client_for, own, staff, category):
    path = f"{EVENTS}{category.event_id}/give-to-many/"

    assert staff.get(path).status_code == 200
    assert client_for(StaffFactory(role="box_office")).get(path).status_code == 200
    assert own.get(path).status_code == 403
    assert client_for(StaffFactory(role="support")).post(path, {"rows": "a@example.test"}).status_code == 403
    assert staff.get(f"{EVENTS}{UserFactory().pk}/give-to-many/").status_code == 404


def test_events_page_counts_gifts_by_themselves_and_not_as_revenue(staff, category):
    give_many(staff, category, LINES, checked=checked_in(give_many(staff, category, LINES)))
    gone = Booking.objects.get(user__email="eva@example.test")
    services.cancel_booking_by_staff(booking_id=gone.pk, actor_id=StaffFactory().pk, reason="Can not come")

    page = staff.get(f"{EVENTS}{category.event_id}/change/").content.decode()

    assert f"event__id__exact={category.event_id}&amp;comp__exact=1" in page
    assert "3 tickets, worth €147.00" in page
    listed = staff.get(f"/admin/bookings/booking/?event__id__exact={category.event_id}&comp__exact=1").content.decode()
    assert all(email in listed for email in ("ana@example.test", "ben@example.test", "eva@example.test"))
