"""
What a buyer takes along: the QR code, the ticket as PDF, the calendar entry.

The QR code holds the ticket's code and nothing else: 130 random bits that mean something only to us, no name and no address.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from io import BytesIO
from threading import Lock
from zoneinfo import ZoneInfo

import segno
from django.conf import settings
from django.utils.dateformat import format as format_date
from django.utils.html import escape
from icalendar import Calendar
from icalendar import Event as CalendarEntry
from reportlab.lib.colors import Color, HexColor, white
from reportlab.lib.pagesizes import A5
from reportlab.pdfgen.canvas import Canvas

from bookings.models import Booking, Ticket
from bookings.painting import paint_poster
from bookings.references import spoken
from bookings.typeset import clean, draw, width, wrap
from common.money import display
from events.artwork import HEIGHT as ARTWORK_HEIGHT
from events.artwork import WIDTH as ARTWORK_WIDTH
from events.models import Event

QUIET = 4
# reportlab's fonts keep a reading position and are shared by all threads of a process.
DRAWING = Lock()
INK, MUTED, HAIR, BRAND = (HexColor(code) for code in ("#1B1A22", "#5C5A67", "#D9D5E2", "#4B3BD6"))
WIDE, HIGH = A5
BAND = 128  # height of the poster's part
FACTS = HIGH - 224
MARGIN = 32
TEAR = 196
POSTER = "poster"


@lru_cache(maxsize=2048)
def qr_rows(code: str) -> tuple[tuple[bool, ...], ...]:
    """Return the QR code's modules, row by row, without quiet zone; a quarter of it may be dirty or torn."""
    symbol = segno.make_qr(code, error="q")
    return tuple(tuple(bool(module) for module in row) for row in symbol.matrix)


def qr_runs(code: str) -> Iterator[tuple[int, int, int]]:
    """Yield each run of dark modules as (column, row, length)."""
    for y, row in enumerate(qr_rows(code)):
        start = None
        for x, dark in enumerate((*row, False)):
            if dark and start is None:
                start = x
            elif not dark and start is not None:
                yield start, y, x - start
                start = None


def qr_svg(ticket: Ticket) -> str:
    """
    Return the ticket's QR code as SVG: scalable, black on white in every theme, named for screen readers.

    It has no style and no script, so the strictest Content-Security-Policy shows it, inline or as a file.
    """
    side = len(qr_rows(ticket.code)) + 2 * QUIET
    path = "".join(f"M{x + QUIET} {y + QUIET}h{length}v1h-{length}z" for x, y, length in qr_runs(ticket.code))
    name = f"qr-{ticket.pk}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}" role="img" '
        f'aria-labelledby="{name} {name}-d" shape-rendering="crispEdges">'
        f'<title id="{name}">QR code of ticket {ticket.number}</title>'
        f'<desc id="{name}-d">It holds the code {escape(ticket.code)}. Show it at the entrance.</desc>'
        f'<rect width="{side}" height="{side}" fill="#fff"/><path fill="#000" d="{path}"/></svg>'
    )


def event_day(event: Event) -> str:
    """Return the day the event starts on, where it takes place: `Saturday 21 November 2026`."""
    return format_date(event.starts_at.astimezone(ZoneInfo(event.timezone)), "l j F Y")


def event_hours(event: Event) -> str:
    """Return when it starts and ends on the clocks where it takes place: `20:00 – 23:30 CET`."""
    zone = ZoneInfo(event.timezone)
    start, end = event.starts_at.astimezone(zone), event.ends_at.astimezone(zone)
    if end.date() == start.date():
        until = f"{end:%H:%M}"
    elif end - start < timedelta(hours=20):
        until = f"{end:%H:%M} (next day)"
    else:
        until = format_date(end, "j F, H:i")
    return f"{start:%H:%M} – {until} {start:%Z}"


def price_line(booking: Booking) -> str:
    """Return what one ticket of the booking costs, and where that is paid when it is not paid yet."""
    each = display(booking.amount_minor // booking.quantity, booking.currency)
    at_door = booking.event.payment_collection == Event.Collection.AT_DOOR and booking.amount_minor
    return f"{each} at the door" if at_door else each


def tickets_pdf(booking: Booking) -> bytes:
    """Return one PDF with a page for each valid ticket that the buyer holds (all of theirs when none is valid any more)."""
    own = [ticket for ticket in booking.tickets.all() if ticket.holder_id == booking.user_id]
    valid = [ticket for ticket in own if ticket.status != Ticket.Status.VOID]
    return pdf(booking, valid or own)


def ticket_pdf(ticket: Ticket) -> bytes:
    """Return one ticket as PDF."""
    return pdf(ticket.booking, [ticket])


def pdf(booking: Booking, tickets: Iterable[Ticket]) -> bytes:
    """Return a PDF with a page per ticket; the same tickets give the same bytes."""
    with DRAWING:
        return drawn(booking, tickets)


def drawn(booking: Booking, tickets: Iterable[Ticket]) -> bytes:
    """Draw the PDF; one thread at a time."""
    file = BytesIO()
    canvas = Canvas(file, pagesize=A5, pageCompression=1, invariant=1, lang="en")
    canvas.setTitle(f"{clean(booking.event.name)} – {spoken(booking.reference)}")
    canvas.setAuthor("Fairseat")
    canvas.setSubject(f"Tickets of booking {spoken(booking.reference)}")
    for ticket in tickets:
        draw_page(canvas, booking, ticket)
        canvas.showPage()
    canvas.save()
    return file.getvalue()


def draw_page(canvas: Canvas, booking: Booking, ticket: Ticket) -> None:
    """Draw one ticket: the event's poster and name, the facts, and below the line to tear the part that is scanned."""
    event = booking.event
    draw_poster(canvas, booking)
    draw_name(canvas, event)
    room = WIDE - 2 * MARGIN
    y = draw_fact(canvas, MARGIN, FACTS, "When", event_day(event), event_hours(event))
    y = draw_fact(canvas, MARGIN, y, "Where", *wrap(event.location, 12, room, bold=True))
    seat = ticket.seat.label if ticket.seat else "No fixed seat"
    draw_fact(canvas, MARGIN, y, "Seat", *wrap(seat, 12, room / 2 - 12, bold=True, lines=1))
    y = draw_fact(canvas, MARGIN + room / 2, y, "Price", price_line(booking))
    draw_fact(canvas, MARGIN, y, "Holder", *wrap(ticket.holder_name or "–", 12, room, bold=True, lines=1))
    draw_tear(canvas)
    draw_stub(canvas, booking, ticket)
    if ticket.status == Ticket.Status.VOID:
        draw_void(canvas)


def draw_poster(canvas: Canvas, booking: Booking) -> None:
    """Draw the middle of the event's poster over the whole width; a PDF holds it once, however many pages it has."""
    canvas.saveState()
    band = canvas.beginPath()
    band.rect(0, HIGH - BAND, WIDE, BAND)
    canvas.clipPath(band, stroke=0, fill=0)
    if not canvas.hasForm(POSTER):
        canvas.beginForm(POSTER, 0, 0, ARTWORK_WIDTH, ARTWORK_HEIGHT)
        paint_poster(canvas, booking.event_id)
        canvas.endForm()
    scale = WIDE / ARTWORK_WIDTH
    canvas.translate(0, HIGH - BAND / 2 - ARTWORK_HEIGHT * scale / 2)
    canvas.scale(scale, scale)
    canvas.doForm(POSTER)
    canvas.restoreState()
    draw_pill(canvas, MARGIN, HIGH - 40, "Fairseat", 10)
    if settings.PAYMENTS_SANDBOX:
        note = "Test mode · not valid for entry"
        draw_pill(canvas, WIDE - MARGIN - width(note, 8, bold=True) - 20, HIGH - 40, note, 8)
    label = wrap(booking.category.name, 11, WIDE - 2 * MARGIN - 20, bold=True, lines=1)[0]
    draw_pill(canvas, MARGIN, HIGH - BAND + 14, label, 11)


def draw_pill(canvas: Canvas, x: float, y: float, text: str, size: float) -> None:
    """Write a few words on white, readable on any poster."""
    canvas.setFillColor(white)
    canvas.roundRect(x, y, width(text, size, bold=True) + 20, 22, 11, stroke=0, fill=1)
    canvas.setFillColor(BRAND)
    draw(canvas, x + 10, y + 11 - size * 0.36, text, size, bold=True)


def draw_name(canvas: Canvas, event: Event) -> None:
    """Write the event's name below its poster, as large as it fits."""
    canvas.setFillColor(INK)
    for size, most in ((27, 2), (22, 2), (17.5, 3)):
        lines = wrap(event.name, size, WIDE - 2 * MARGIN, bold=True, lines=most)
        if not lines[-1].endswith("…"):
            break
    y = HIGH - BAND - 12
    for line in lines:
        y -= size * 1.12
        draw(canvas, MARGIN, y, line, size, bold=True)


def draw_fact(canvas: Canvas, x: float, y: float, label: str, *lines: str, size: float = 12) -> float:
    """Write a small label and its lines below it (the first one bold); return where the next fact may begin."""
    canvas.setFillColor(MUTED)
    draw(canvas, x, y, label.upper(), 7.5, bold=True, spacing=0.7)
    canvas.setFillColor(INK)
    for number, line in enumerate(lines):
        y -= size * 1.36
        draw(canvas, x, y, line, size, bold=number == 0)
    return y - 23


def draw_tear(canvas: Canvas) -> None:
    """Draw the dashed line between the facts and the part that is scanned."""
    canvas.saveState()
    canvas.setStrokeColor(HAIR)
    canvas.setLineWidth(1.2)
    canvas.setDash(1, 5)
    canvas.setLineCap(1)
    canvas.line(18, TEAR, WIDE - 18, TEAR)
    canvas.setDash()
    canvas.setFillColor(HexColor("#EDEAF4"))
    for x in (0, WIDE):
        canvas.circle(x, TEAR, 9, stroke=0, fill=1)
    canvas.restoreState()


def draw_stub(canvas: Canvas, booking: Booking, ticket: Ticket) -> None:
    """Draw the part that is scanned: the QR code, and beside it everything that is needed when no scanner works."""
    side = 146
    bottom = TEAR - 24 - side
    if ticket.status != Ticket.Status.VOID:
        draw_qr(canvas, ticket.code, MARGIN, bottom, side)
    x = MARGIN + side + 20
    # Of a booking that lost some of its tickets the others keep their numbers.
    number = f"{ticket.number} of {booking.quantity}" if ticket.number <= booking.quantity else str(ticket.number)
    y = draw_fact(canvas, x, TEAR - 32, "Ticket", number)
    y = draw_fact(canvas, x, y + 3, "Booking", spoken(booking.reference))
    canvas.setFillColor(MUTED)
    draw(canvas, x, y + 3, "CODE", 7.5, bold=True, spacing=0.7)
    canvas.setFillColor(INK)
    draw(canvas, x, y - 12, ticket.code, 9, bold=True)
    canvas.setFillColor(MUTED)
    draw(canvas, x, bottom + 13, "Show this page on paper or on your phone.", 8)
    draw(canvas, x, bottom + 2, "One scan lets one person in.", 8)


def draw_qr(canvas: Canvas, code: str, x: float, y: float, side: float) -> None:
    """Draw the QR code as one path, so that no printer shows seams between its modules."""
    module = side / len(qr_rows(code))
    path = canvas.beginPath()
    for column, row, length in qr_runs(code):
        path.rect(x + column * module, y + side - (row + 1) * module, length * module, module)
    canvas.setFillColor(Color(0, 0, 0))
    canvas.drawPath(path, stroke=0, fill=1)


def draw_void(canvas: Canvas) -> None:
    """Stamp the page: this ticket lets nobody in."""
    canvas.saveState()
    canvas.setFillColor(HexColor("#A3152F"))
    canvas.translate(MARGIN + 8, TEAR - 160)
    canvas.rotate(32)
    draw(canvas, 0, 0, "VOID", 54, bold=True)
    canvas.restoreState()


def event_ics(booking: Booking) -> bytes:
    """
    Return the booking's calendar entry, in the event's own time zone.

    Its UID is the booking's for ever, so opening it again updates the entry instead of adding one, and a cancelled booking's
    file removes it.
    """
    return calendar_entry(booking, str(booking.pk), calendar_text(booking))


def ticket_ics(ticket: Ticket) -> bytes:
    """Return the calendar entry of one ticket for its holder: the booking's if they bought it, else of this ticket alone."""
    if ticket.holder_id == ticket.booking.user_id:
        return event_ics(ticket.booking)
    seat = [ticket.seat.label] if ticket.seat else []
    lines = [clean(ticket.booking.category.name), *seat, f"Your ticket: {settings.SITE_URL}/tickets"]
    return calendar_entry(ticket.booking, str(ticket.pk), "\n".join(lines))


def calendar_entry(booking: Booking, uid: str, text: str) -> bytes:
    """Return the event of a booking for a calendar."""
    event = booking.event
    zone = ZoneInfo(event.timezone)
    over = booking.status in {Booking.Status.CANCELLED, Booking.Status.EXPIRED}
    entry = CalendarEntry()
    entry.add("uid", f"{uid}@{settings.MAIL_DOMAIN}")
    entry.add("dtstamp", changed_at(booking))
    entry.add("sequence", 1 if over else 0)
    entry.add("status", "CANCELLED" if over else "CONFIRMED")
    entry.add("dtstart", event.starts_at.astimezone(zone))
    entry.add("dtend", event.ends_at.astimezone(zone))
    entry.add("summary", clean(event.name))
    entry.add("location", clean(event.location))
    entry.add("description", text)
    entry.add("url", f"{settings.SITE_URL}/tickets")
    entry.add("transp", "TRANSPARENT" if over else "OPAQUE")
    calendar = Calendar()
    calendar.add("prodid", "-//Fairseat//Tickets//EN")
    calendar.add("version", "2.0")
    calendar.add("calscale", "GREGORIAN")
    calendar.add("method", "CANCEL" if over else "PUBLISH")
    calendar.add_component(entry)
    calendar.add_missing_timezones()
    return calendar.to_ical()


def changed_at(booking: Booking) -> datetime:
    """Return when the booking last changed in a way that its calendar entry shows."""
    return booking.ended_at or booking.confirmed_at or booking.created_at


def calendar_text(booking: Booking) -> str:
    """Return the body of the calendar entry: how many tickets, which seats, the reference."""
    seats = [ticket.seat.label for ticket in booking.tickets.all() if ticket.seat]
    lines = [
        f"{booking.quantity} × {clean(booking.category.name)}",
        *seats,
        f"Booking {spoken(booking.reference)}",
        f"Your tickets: {settings.SITE_URL}/tickets",
    ]
    return "\n".join(lines)
