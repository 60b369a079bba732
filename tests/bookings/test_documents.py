"""QR codes, PDFs, calendar entries and the mails that carry them."""

import re
import time
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from io import BytesIO
from threading import Barrier

import pypdfium2
import pytest
import zxingcpp
from django.core import mail as sent
from django.utils import timezone
from icalendar import Calendar
from PIL import Image, ImageDraw
from pypdf import PdfReader

from bookings import documents, typeset
from bookings.models import Booking, Ticket
from bookings.queries import bookings_with_all, tickets_with_all
from bookings.references import new_ticket_code, spoken
from bookings.services import cancel_booking, cancel_event_bookings, confirm_booking, hold_seats
from common import outbox
from common.models import OutboxMessage
from events.models import Event, Seat, TicketCategory
from tests.factories import EventFactory, TicketCategoryFactory, UserFactory


def sale(*, quantity: int = 2, holder: str = "Ana García", rows: dict | None = None, **event) -> Booking:
    """Sell `quantity` tickets to a new person and return the booking with all that documents show."""
    event.setdefault("name", "Aurora Live 2027")
    category = TicketCategoryFactory(event=EventFactory(**event), name="Standing", rows=rows)
    hold = hold_seats(user_id=UserFactory(name=holder).pk, category_id=category.pk, quantity=quantity)
    if hold.is_hold:
        confirm_booking(booking_id=hold.pk)
    return bookings_with_all().select_related("user").get(pk=hold.pk)


def text_of(pdf: bytes) -> str:
    """Return the text of every page, as a reader would copy it."""
    return "\n".join(page.extract_text() for page in PdfReader(BytesIO(pdf)).pages)


def scan(picture: Image.Image) -> list[str]:
    """Return what a scanner reads from a picture."""
    return [code.text for code in zxingcpp.read_barcodes(picture)]


def page_picture(pdf: bytes, page: int = 0) -> Image.Image:
    """Return a page as a phone would show it."""
    return pypdfium2.PdfDocument(pdf)[page].render(scale=2).to_pil()


def svg_picture(svg: str, *, scale: int = 6) -> Image.Image:
    """Draw our QR code's SVG: a white square and one path of rectangles."""
    root = ElementTree.fromstring(svg)
    side = int(root.get("viewBox").split()[2]) * scale
    picture = Image.new("L", (side, side), 255)
    draw = ImageDraw.Draw(picture)
    path = root.find("{http://www.w3.org/2000/svg}path").get("d")
    for x, y, length in re.findall(r"M(\d+) (\d+)h(\d+)v1h-\d+z", path):
        left, top = int(x) * scale, int(y) * scale
        draw.rectangle((left, top, left + int(length) * scale - 1, top + scale - 1), fill=0)
    return picture


def unsaved_ticket(**event) -> Ticket:
    """A ticket that no database knows, for drawing only."""
    show = Event(
        name="Aurora Live 2027",
        location="Waldbühne",
        timezone="Europe/Berlin",
        starts_at=datetime(2027, 3, 6, 19, tzinfo=UTC),
        ends_at=datetime(2027, 3, 6, 22, tzinfo=UTC),
    )
    for field, value in event.items():
        setattr(show, field, value)
    booking = Booking(
        event=show,
        category=TicketCategory(event=show, name="Standing"),
        quantity=1,
        amount_minor=4900,
        currency="EUR",
        reference="K7M4XT3R",
        status=Booking.Status.CONFIRMED,
    )
    return Ticket(booking=booking, code=new_ticket_code(), number=1, holder_name="Ana")


def test_qr_svg_holds_the_code_and_nothing_else():
    ticket = unsaved_ticket()

    assert scan(svg_picture(documents.qr_svg(ticket))) == [ticket.code]


def test_qr_code_is_read_with_a_fifth_of_it_torn_off():
    ticket = unsaved_ticket()
    picture = svg_picture(documents.qr_svg(ticket))
    side = picture.width

    ImageDraw.Draw(picture).rectangle((int(side * 0.45), int(side * 0.5), int(side * 0.7), int(side * 0.72)), fill=255)

    assert scan(picture) == [ticket.code]


def test_qr_svg_needs_no_style_and_names_itself():
    ticket = unsaved_ticket()

    root = ElementTree.fromstring(documents.qr_svg(ticket))

    assert not [name for node in root.iter() for name in node.attrib if name in {"style", "onload", "class"}]
    assert root.get("role") == "img"
    assert "width" not in root.attrib
    names = root.get("aria-labelledby").split()
    assert [node.get("id") for node in root if node.get("id")] == names
    assert root.get("viewBox") == "0 0 33 33"


def test_qr_code_has_its_quiet_zone():
    picture = svg_picture(documents.qr_svg(unsaved_ticket()), scale=1)

    dark = [(x, y) for x in range(picture.width) for y in range(picture.height) if picture.getpixel((x, y)) == 0]

    assert min(min(point) for point in dark) == 4
    assert max(max(point) for point in dark) == picture.width - 5


@pytest.mark.django_db
def test_tickets_pdf_has_a_page_for_each_ticket_with_its_facts():
    booking = sale(
        timezone="Europe/Berlin",
        location="Waldbühne, Berlin",
        starts_at=datetime(2027, 3, 6, 19, tzinfo=UTC),
        ends_at=datetime(2027, 3, 6, 22, 30, tzinfo=UTC),
    )
    tickets = list(booking.tickets.all())

    pdf = documents.tickets_pdf(booking)

    pages = PdfReader(BytesIO(pdf)).pages
    assert len(pages) == 2
    for ticket, page in zip(tickets, pages, strict=True):
        text = page.extract_text()
        for part in (
            "Aurora Live 2027",
            "Saturday 6 March 2027",
            "20:00 – 23:30 CET",
            "Waldbühne, Berlin",
            "Standing",
            "Ana García",
            "€49.00",
            f"{ticket.number} of 2",
            spoken(booking.reference),
            ticket.code,
        ):
            assert part in text
        assert scan(page_picture(pdf, ticket.number - 1)) == [ticket.code]
    assert tickets[0].code != tickets[1].code


@pytest.mark.django_db
def test_ticket_pdf_names_its_seat():
    booking = sale(quantity=1, rows={"C": 14})
    ticket = tickets_with_all().get(booking=booking)

    text = text_of(documents.ticket_pdf(ticket))

    assert ticket.seat.label in text
    assert f"1 of 1\nBOOKING\n{spoken(booking.reference)}" in text


@pytest.mark.django_db
def test_ticket_of_a_cancelled_booking_is_stamped_and_can_not_be_scanned():
    booking = sale(quantity=1)
    cancel_booking(booking_id=booking.pk, by="staff")
    ticket = tickets_with_all().get(booking=booking)

    pdf = documents.ticket_pdf(ticket)

    assert "VOID" in text_of(pdf)
    assert scan(page_picture(pdf)) == []


@pytest.mark.parametrize(
    "name",
    [
        "Łukasz Żółć-Nguyễn",
        "Ελένη Καραΐνδρου",
        "Дмитрий Її Шостакович",
        "王秀英",
        "佐藤 さくら アオイ",
        "김민준",
        "Արամ ნინო",
    ],
)
def test_names_in_other_alphabets_are_drawn_as_they_are_written(name):
    ticket = unsaved_ticket(name=name)
    ticket.holder_name = name

    text = " ".join(text_of(documents.ticket_pdf(ticket)).split())

    assert text.count(name) == 2
    drawn = [letter for font, letters in typeset.runs(name) for letter in letters if has_no_glyph(font, letter)]
    assert drawn == []


def has_no_glyph(font: str, letter: str) -> bool:
    """Whether a font would draw a box for the letter."""
    return ord(letter) not in typeset.font(font).face.charToGlyph


@pytest.mark.parametrize("name", ["שרה לוי", "محمد عبد الله", "สมชาย", "नमस्ते", "Rock 🎸 \u202eevil\x00"])
def test_no_name_becomes_boxes(name):
    drawn = typeset.runs(typeset.clean(name))

    assert [letter for font, letters in drawn for letter in letters if has_no_glyph(font, letter)] == []
    assert "".join(letters for _, letters in drawn).strip()


def test_right_to_left_names_are_shaped_and_ordered():
    [(font, letters)] = [run for run in typeset.runs("محمد") if run[1].strip()]

    assert font == "DejaVuSans"
    assert letters == "\ufeaa\ufee4\ufea4\ufee3"


def test_long_names_stay_on_the_page():
    ticket = unsaved_ticket(name="An evening that never ends and " * 12, location="A hall far away, " * 20)
    ticket.holder_name = "Wolfeschlegelsteinhausenbergerdorff" * 5
    ticket.booking.category.name = "Balcony with a partially obstructed view " * 4

    picture = page_picture(documents.ticket_pdf(ticket)).convert("L")

    margin = picture.crop((picture.width - 12, 430, picture.width, picture.height))
    assert margin.getextrema()[0] > 230  # nothing but the pale notch of the tear line
    assert scan(picture) == [ticket.code]


def test_the_same_ticket_gives_the_same_file():
    ticket = unsaved_ticket()

    assert documents.ticket_pdf(ticket) == documents.ticket_pdf(ticket)


def test_threads_draw_at_once_without_mixing_their_letters_up():
    names = ["Ana Łukasz", "Дмитрий", "Ελένη", "王秀英", "김민준", "שרה", "محمد", "Zoë Nguyễn"]
    tickets = [unsaved_ticket(name=f"Evening of {name}") for name in names]
    alone = [documents.ticket_pdf(ticket) for ticket in tickets]
    barrier = Barrier(len(tickets))

    def draw(ticket: Ticket) -> list[bytes]:
        barrier.wait()
        return [documents.ticket_pdf(ticket) for _ in range(4)]

    with ThreadPoolExecutor(len(tickets)) as pool:
        together = list(pool.map(draw, tickets))

    assert together == [[pdf] * 4 for pdf in alone]


def test_a_ticket_is_drawn_in_well_under_a_tenth_of_a_second():
    ticket = unsaved_ticket()
    documents.ticket_pdf(ticket)

    started = time.process_time()
    for _ in range(10):
        documents.ticket_pdf(ticket)

    assert (time.process_time() - started) / 10 < 0.1


@pytest.mark.parametrize(
    ("start", "end", "hours"),
    [
        ("2027-07-01T18:00+00:00", "2027-07-01T21:00+00:00", "20:00 – 23:00 CEST"),
        ("2027-07-01T20:00+00:00", "2027-07-02T02:00+00:00", "22:00 – 04:00 (next day) CEST"),
        ("2027-01-01T09:00+00:00", "2027-01-03T16:00+00:00", "10:00 – 3 January, 17:00 CET"),
    ],
)
def test_hours_are_those_of_the_place(start, end, hours):
    starts_at, ends_at = datetime.fromisoformat(start), datetime.fromisoformat(end)
    event = Event(timezone="Europe/Berlin", starts_at=starts_at, ends_at=ends_at)

    assert documents.event_hours(event) == hours


@pytest.mark.django_db
def test_calendar_entry_is_in_the_time_zone_of_the_event():
    booking = sale(
        timezone="America/New_York",
        name="Fall, Winter; & more",
        starts_at=datetime(2027, 7, 1, 23, tzinfo=UTC),
        ends_at=datetime(2027, 7, 2, 2, tzinfo=UTC),
    )

    calendar = Calendar.from_ical(documents.event_ics(booking))

    [entry] = calendar.walk("VEVENT")
    assert entry.decoded("dtstart") == booking.event.starts_at
    assert entry.decoded("dtend") == booking.event.ends_at
    assert entry["dtstart"].params["TZID"] == "America/New_York"
    assert [str(zone["TZID"]) for zone in calendar.walk("VTIMEZONE")] == ["America/New_York"]
    assert str(entry["summary"]) == "Fall, Winter; & more"
    assert str(entry["uid"]).startswith(f"{booking.pk}@")
    assert str(entry["status"]) == "CONFIRMED"
    assert str(calendar["method"]) == "PUBLISH"
    assert spoken(booking.reference) in str(entry["description"])
    assert calendar.errors == []
    assert [entry.get(name) is not None for name in ("dtstamp", "location")] == [True, True]


@pytest.mark.django_db
def test_calendar_lines_end_and_fold_as_the_standard_wants():
    raw = documents.event_ics(sale(name="A very long name of an event, with Ümläuts – " * 4))

    assert raw.endswith(b"END:VCALENDAR\r\n")
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert max(len(line) for line in raw.split(b"\r\n")) <= 75


@pytest.mark.django_db
def test_calendar_entry_of_a_cancelled_booking_removes_the_same_entry():
    booking = sale()
    before = Calendar.from_ical(documents.event_ics(booking)).walk("VEVENT")[0]
    cancel_booking(booking_id=booking.pk, by="staff")

    calendar = Calendar.from_ical(documents.event_ics(bookings_with_all().get(pk=booking.pk)))

    after = calendar.walk("VEVENT")[0]
    assert after["uid"] == before["uid"]
    assert str(after["status"]) == "CANCELLED"
    assert int(after["sequence"]) > int(before["sequence"])


# -- Mails ------------------------------------------------------------------------------------------------------------


def deliver() -> list:
    """Deliver the outbox and return the mails that left."""
    # Within a test's one transaction the database's now() stands still, before the messages were written.
    OutboxMessage.objects.update(due_at=timezone.now() - timedelta(minutes=1))
    sent.outbox.clear()
    outbox.deliver_due()
    assert list(OutboxMessage.objects.exclude(last_error="").values_list("topic", "last_error")) == []
    return sent.outbox


@pytest.mark.django_db
def test_tickets_are_mailed_once_with_pdf_and_calendar():
    booking = sale(name="Tom & Jerry <live>")

    [message] = deliver()

    assert message.to == [booking.user.email]
    assert message.subject == "Your tickets for Tom & Jerry <live>"
    assert "&amp;" not in message.body
    assert spoken(booking.reference) in message.body
    [(html, kind)] = message.alternatives
    assert (kind, "Tom &amp; Jerry &lt;live&gt;" in html) == ("text/html", True)
    pdf, calendar = message.attachments
    assert (pdf[0], pdf[2]) == (f"tickets-{spoken(booking.reference)}.pdf", "application/pdf")
    assert [ticket.code in text_of(pdf[1]) for ticket in booking.tickets.all()] == [True, True]
    assert Calendar.from_ical(calendar[1]).walk("VEVENT")[0]["uid"].startswith(str(booking.pk))
    assert deliver() == []


@pytest.mark.django_db
def test_a_second_try_of_the_same_mail_has_the_same_id():
    sale()
    [first] = deliver()
    OutboxMessage.objects.filter(topic="tickets_mail").update(done_at=None)

    [second] = deliver()

    assert first.extra_headers["Message-ID"] == second.extra_headers["Message-ID"]


@pytest.mark.django_db
def test_tickets_cancelled_before_the_mail_left_are_not_mailed():
    booking = sale()
    cancel_booking(booking_id=booking.pk, by="buyer")

    [message] = deliver()

    assert message.subject == "Cancelled: Aurora Live 2027"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("refund", "words"),
    [
        ({}, "€98.00 goes back to the card"),
        ({"refund_minor": 9800, "refund_status": "sent"}, "€98.00 goes back to the card"),
        ({"refund_minor": 9800, "refund_status": "succeeded"}, "€98.00 went back to the card"),
        ({"refund_minor": 9800, "refund_status": "failed"}, "A person is taking care of it"),
    ],
)
def test_cancellation_mail_says_where_the_money_is(refund, words):
    booking = sale()
    deliver()
    cancel_booking(booking_id=booking.pk, by="buyer")
    Booking.objects.filter(pk=booking.pk).update(**refund)

    [message] = deliver()

    assert words in message.body
    assert words in message.alternatives[0][0]
    assert "as you asked" in message.body


@pytest.mark.django_db
def test_cancellation_mail_of_an_event_paid_at_the_door_speaks_of_no_refund():
    booking = sale(payment_collection="at_door")
    deliver()
    cancel_booking(booking_id=booking.pk, by="staff", reason="double booking")

    [message] = deliver()

    assert "You paid nothing, so nothing goes back." in message.body
    assert "our staff cancelled your booking" in message.body


@pytest.mark.django_db
def test_everybody_is_told_that_the_event_is_cancelled():
    booking = sale()
    deliver()
    Event.objects.filter(pk=booking.event_id).update(status="cancelled", cancelled_reason="The singer is ill.")
    cancel_event_bookings(event_id=booking.event_id)

    [message] = deliver()

    assert message.subject == "Aurora Live 2027 does not take place"
    assert "The singer is ill." in message.body


@pytest.mark.django_db
def test_a_hold_that_lapses_or_is_given_up_sends_nothing():
    category = TicketCategoryFactory()
    hold = hold_seats(user_id=UserFactory().pk, category_id=category.pk, quantity=1)
    cancel_booking(booking_id=hold.pk, by="buyer")

    assert deliver() == []


@pytest.mark.django_db
def test_late_money_is_explained():
    category = TicketCategoryFactory(event=EventFactory(name="Aurora"))
    hold = hold_seats(user_id=UserFactory().pk, category_id=category.pk, quantity=1)
    outbox.put(topic="late_payment_refunded_mail", dedupe_key="late:1", booking_id=str(hold.pk))

    [message] = deliver()

    assert message.subject == "Your money is on its way back: Aurora"
    assert "€49.00 goes back to the card" in message.body


@pytest.mark.django_db
def test_nobody_writes_to_an_erased_account():
    booking = sale()
    booking.user.erased_at = timezone.now()
    booking.user.save(update_fields=["erased_at"])

    assert deliver() == []


# -- The API ----------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_own_tickets_are_listed_with_their_event(api):
    booking = sale(timezone="Europe/Berlin")
    client = api.as_user(booking.user)

    status, body = client.get("/api/v1/tickets")

    tickets = list(booking.tickets.all())
    assert (status, body["results"], body["pagination"]["count"]) == (200, 2, 2)
    assert [ticket["code"] for ticket in body["data"]] == [ticket.code for ticket in tickets]
    first = body["data"][0]
    assert first["ticketId"] == first["code"]
    assert (first["status"], first["price"], first["holderName"]) == ("active", "49.00", "Ana García")
    assert first["event"]["name"] == "Aurora Live 2027"
    assert first["seatNumber"] is None
    assert client.get(f"/api/v1/tickets/{tickets[1].code}").body["data"] == body["data"][1]


@pytest.mark.django_db
def test_ticket_list_needs_the_same_statements_for_one_and_for_three(api, django_assert_num_queries):
    one = api.as_user(sale(quantity=1).user)
    three = api.as_user(sale(quantity=3).user)

    for somebody in (one, three):
        with django_assert_num_queries(3):
            assert somebody.get("/api/v1/tickets").status == 200


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "content_type", "begins"),
    [
        ("qr.svg", "image/svg+xml", b"<svg "),
        ("ticket.pdf", "application/pdf", b"%PDF-"),
        ("event.ics", "text/calendar; charset=utf-8", b"BEGIN:VCALENDAR\r\n"),
    ],
)
def test_documents_are_for_the_owner_only_and_for_no_cache(api, path, content_type, begins):
    booking = sale(quantity=1)
    url = f"/api/v1/tickets/{booking.tickets.all()[0].code}/{path}"
    owner = api.as_user(booking.user)

    status, file = owner.get(url)

    assert (status, owner.last.headers["Content-Type"]) == (200, content_type)
    assert file.startswith(begins)
    assert owner.last.headers["Cache-Control"] == "private, no-store"
    stranger = api.as_user(UserFactory()).get(url)
    assert (stranger.status, stranger.body["code"]) == (404, "not_found")
    assert api.get(url).status == 401


@pytest.mark.django_db
def test_a_strangers_ticket_and_one_that_does_not_exist_look_the_same(api):
    booking = sale(quantity=1)
    stranger = api.as_user(UserFactory())

    theirs = stranger.get(f"/api/v1/tickets/{booking.tickets.all()[0].code}")
    nothing = stranger.get(f"/api/v1/tickets/{new_ticket_code()}")

    assert theirs.status == 404
    assert theirs == nothing
    assert stranger.get("/api/v1/tickets").body["data"] == []


@pytest.mark.django_db
def test_void_tickets_are_not_listed_but_can_still_be_looked_at(api):
    booking = sale(quantity=1)
    cancel_booking(booking_id=booking.pk, by="buyer")
    client = api.as_user(booking.user)

    assert client.get("/api/v1/tickets").body["data"] == []
    one = client.get(f"/api/v1/tickets/{booking.tickets.all()[0].code}").body["data"]
    assert one["status"] == "void"


def test_seat_labels_fit_a_ticket():
    ticket = unsaved_ticket()
    ticket.seat = Seat(row="AA", number=114, category=ticket.booking.category)

    assert "Row AA · Seat 114" in text_of(documents.ticket_pdf(ticket))


def test_ticket_before_payment_at_the_door_says_so():
    ticket = unsaved_ticket(payment_collection="at_door")

    assert "€49.00 at the door" in text_of(documents.ticket_pdf(ticket))


def test_event_day_is_the_day_where_it_takes_place():
    event = Event(timezone="Asia/Tokyo", starts_at=datetime(2027, 3, 6, 19, tzinfo=UTC))

    assert documents.event_day(event) == "Sunday 7 March 2027"
