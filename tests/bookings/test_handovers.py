"""A ticket's way to a new holder: named, invited, accepted, taken; recalled, refused, too late; who wins a race."""

import re
from datetime import timedelta

import pytest
from django.core import mail
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now

from accounts.models import Notification
from accounts.services import erase_user
from accounts.services.rules import BadEmail
from bookings import refusals, services
from bookings.invariants import tickets_have_their_holders
from bookings.models import Booking, Ticket, TicketChange, TicketHandover
from bookings.queries import get_ticket_for, list_tickets_for
from bookings.references import new_ticket_code
from common import outbox
from common.errors import NotFound
from common.invariants import breaches
from common.models import OutboxMessage
from events.models import Event
from registrations.models import Registration
from tests.factories import EventFactory, TicketCategoryFactory, UserFactory
from tests.races import errors, race, results

pytestmark = pytest.mark.django_db


def verified(person, event):
    """Say that staff have checked this person for this event."""
    return Registration.objects.create(
        user=person, event=event, status="verified", passed_by="staff", verified_at=Now()
    )


def face_category(**details):
    event = EventFactory(
        requires_face_verification=True, face_necessity="Resale.", max_tickets_per_booking=4, **details
    )
    return TicketCategoryFactory(event=event, price_minor=0)


def bought(buyer=None, *, quantity=3, category=None):
    """Return a confirmed booking of an event that checks faces, by a verified buyer."""
    category, buyer = category or face_category(), buyer or UserFactory()
    if category.event.requires_face_verification:
        verified(buyer, category.event)
    return services.hold_seats(user_id=buyer.pk, category_id=category.pk, quantity=quantity)


def plain(*, quantity=2):
    """Return a confirmed booking of an event that checks no faces."""
    return bought(quantity=quantity, category=TicketCategoryFactory(price_minor=0))


def wrong():
    """Return every breach of an invariant but one: nobody gave a reason for `verified`."""
    return [line for said in breaches().values() for line in said if "nobody gave a reason" not in line]


def ticket_of(booking, number=2):
    return Ticket.objects.get(booking=booking, number=number)


def name(ticket, email, giver=None):
    giver_id = giver.pk if giver else ticket.booking.user_id
    return services.name_holder(ticket_id=ticket.pk, user_id=giver_id, email=email)


def token_for(email):
    """Deliver the mails and return the token of the newest invitation to an address."""
    outbox.deliver_due()
    newest = [sent for sent in mail.outbox if sent.to == [email] and "/invitations/" in sent.body][-1]
    return re.search(r"/invitations/(\S+)", newest.body).group(1)


def accepted(ticket, person):
    name(ticket, person.email)
    return services.accept_invitation(token=token_for(person.email), user_id=person.pk)


def give(ticket, person):
    """Bring a ticket to its new holder, verified where the event checks faces."""
    if ticket.personal:
        verified(person, ticket.event)
    return services.take_ticket(handover_id=accepted(ticket, person).pk)


def test_first_ticket_is_the_buyers_and_the_others_are_nobodys():
    booking = bought()

    said = list(booking.tickets.order_by("number").values_list("status", "holder_id", "holder_name", "personal"))
    assert said == [
        ("active", booking.user_id, booking.user.display_name, True),
        ("unassigned", None, "", True),
        ("unassigned", None, "", True),
    ]
    code = ticket_of(booking).code
    with pytest.raises(NotFound):
        get_ticket_for(user_id=booking.user_id, code=code)


def test_without_face_check_every_ticket_is_the_buyers():
    booking = plain()

    assert set(booking.tickets.values_list("status", "holder_id", "personal")) == {("active", booking.user_id, False)}


def test_who_holds_one_already_gets_none_of_the_tickets_they_buy():
    category, person = face_category(), UserFactory()
    give(ticket_of(bought(category=category)), person)

    booking = services.hold_seats(user_id=person.pk, category_id=category.pk, quantity=2)

    assert set(booking.tickets.values_list("status", flat=True)) == {"unassigned"}


def test_named_person_takes_the_ticket_with_a_new_code():
    booking, friend = bought(), UserFactory(name="Fay")
    before = ticket_of(booking)
    verified(friend, booking.event)

    handover = accepted(before, friend)
    taken = services.take_ticket(handover_id=handover.pk)

    handover.refresh_from_db()
    assert (taken.status, taken.holder_id, taken.holder_name) == ("active", friend.pk, "Fay")
    assert taken.code != before.code
    assert (handover.status, handover.email, handover.token_hash) == ("taken", "", "")
    assert [ticket.pk for ticket in list_tickets_for(user_id=friend.pk)] == [taken.pk]
    assert get_ticket_for(user_id=friend.pk, code=taken.code) == taken
    with pytest.raises(NotFound):
        get_ticket_for(user_id=booking.user_id, code=taken.code)
    assert TicketChange.objects.values_list("from_holder", "to_holder", "from_status", "to_status").get() == (
        None,
        friend.pk,
        "unassigned",
        "active",
    )
    outbox.deliver_due()
    [sent] = [sent for sent in mail.outbox if sent.to == [friend.email] and sent.subject.startswith("Your ticket")]
    assert [attachment[2] for attachment in sent.attachments] == ["application/pdf", "text/calendar"]
    assert Notification.objects.get(user=booking.user, kind="ticket_taken").context["holder"] == "Fay"
    assert wrong() == []


def test_token_is_in_the_mail_only_and_works_once():
    booking, friend = bought(), UserFactory()
    verified(friend, booking.event)
    name(ticket_of(booking), friend.email)
    token = token_for(friend.email)

    assert not TicketHandover.objects.filter(token_hash=token).exists()
    assert not OutboxMessage.objects.filter(payload__icontains=token).exists()
    handover = services.accept_invitation(token=token, user_id=friend.pk)
    services.take_ticket(handover_id=handover.pk)
    with pytest.raises(refusals.InvitationNotFound):
        services.accept_invitation(token=token, user_id=friend.pk)


def test_invitation_is_for_its_address_only():
    booking, stranger = bought(), UserFactory()
    name(ticket_of(booking), "friend@example.test")

    with pytest.raises(refusals.WrongAddressee):
        services.accept_invitation(token=token_for("friend@example.test"), user_id=stranger.pk)
    assert TicketHandover.objects.get().status == "open"


def test_unverified_person_can_not_take_it_by_any_way():
    booking, friend = bought(), UserFactory()
    ticket = ticket_of(booking)
    handover = accepted(ticket, friend)

    with pytest.raises(refusals.VerificationRequired), transaction.atomic():
        services.take_ticket(handover_id=handover.pk)
    with pytest.raises(Exception, match="was not verified"), transaction.atomic():
        Ticket.objects.filter(pk=ticket.pk).update(holder=friend, status="active", code=new_ticket_code())
    with pytest.raises(Exception, match="was not verified"), transaction.atomic():
        Ticket.objects.create(booking=booking, number=9, holder=friend, code=new_ticket_code())
    assert ticket_of(booking).status == "unassigned"


def test_naming_again_replaces_who_was_named_and_a_double_click_does_not():
    booking, friend = bought(), UserFactory()
    first = name(ticket_of(booking), "Wrong@example.test")
    assert name(ticket_of(booking), "wrong@example.test ") == first
    old = token_for("wrong@example.test")

    name(ticket_of(booking), friend.email)

    first.refresh_from_db()
    assert (first.status, first.email) == ("recalled", "")
    with pytest.raises(refusals.InvitationNotFound):
        services.decline_invitation(token=old)


def test_recalled_invitation_leads_nowhere():
    booking, friend = bought(), UserFactory()
    handover = accepted(ticket_of(booking), friend)
    verified(friend, booking.event)

    services.recall_handover(ticket_id=ticket_of(booking).pk, user_id=booking.user_id)

    with pytest.raises(refusals.InvitationOver):
        services.take_ticket(handover_id=handover.pk)
    with pytest.raises(refusals.NothingToRecall):
        services.recall_handover(ticket_id=ticket_of(booking).pk, user_id=booking.user_id)


def test_taken_ticket_is_not_recalled():
    booking, friend = bought(), UserFactory()
    give(ticket_of(booking), friend)

    with pytest.raises(refusals.NothingToRecall):
        services.recall_handover(ticket_id=ticket_of(booking).pk, user_id=booking.user_id)
    with pytest.raises(NotFound):
        name(ticket_of(booking), "other@example.test")
    assert ticket_of(booking).holder_id == friend.pk


def test_declined_and_expired_invitations_are_told_to_the_giver_and_forget_the_address():
    booking = bought()
    name(ticket_of(booking, 2), "no@example.test")
    services.decline_invitation(token=token_for("no@example.test"))
    late = name(ticket_of(booking, 3), "late@example.test")
    token = token_for("late@example.test")
    TicketHandover.objects.filter(pk=late.pk).update(expires_at=Now() - timedelta(seconds=1))

    with pytest.raises(refusals.InvitationOver):
        services.decline_invitation(token=token)
    assert services.expire_handovers() == 1
    assert services.expire_handovers() == 0

    assert set(TicketHandover.objects.values_list("status", "email", "token_hash")) == {
        ("declined", "", ""),
        ("expired", "", ""),
    }
    told = Notification.objects.filter(kind__startswith="invitation")
    assert set(told.values_list("user_id", "kind")) == {
        (booking.user_id, "invitation_declined"),
        (booking.user_id, "invitation_expired"),
    }


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda booking: name(ticket_of(booking, 2), "not an address"), BadEmail),
        (lambda booking: name(ticket_of(booking, 2), "a@example.test", UserFactory()), NotFound),
        (lambda booking: name(ticket_of(booking, 1), booking.user.email), refusals.NamedOneself),
        (
            lambda booking: services.name_holder(ticket_id=booking.pk, user_id=booking.user_id, email="a@b.test"),
            NotFound,
        ),
    ],
    ids=["no address", "stranger", "oneself", "no ticket"],
)
def test_naming_is_refused(make, error):
    booking = bought()

    with pytest.raises(error):
        make(booking)
    assert not TicketHandover.objects.exists()


def test_too_many_people_are_not_invited_to_one_ticket(settings):
    settings.INVITATIONS_PER_TICKET = 2
    ticket = ticket_of(bought())
    name(ticket, "a@example.test")
    name(ticket, "b@example.test")

    with pytest.raises(refusals.TooManyInvitations):
        name(ticket, "c@example.test")
    assert TicketHandover.objects.get(status="open").email == "b@example.test"


def test_one_ticket_per_holder_and_event():
    category, friend = face_category(), UserFactory()
    first, second = bought(category=category), bought(category=category)
    name(ticket_of(second), friend.email)
    token = token_for(friend.email)
    give(ticket_of(first), friend)

    with pytest.raises(refusals.HasTicket):
        services.accept_invitation(token=token, user_id=friend.pk)
    with pytest.raises(IntegrityError, match="one_personal_ticket_per_holder_and_event"), transaction.atomic():
        Ticket.objects.filter(pk=ticket_of(second).pk).update(holder=friend, status="active", code=new_ticket_code())


def test_held_ticket_is_passed_on_until_the_lock_date_and_keeps_its_history(settings):
    booking, friend, next_one = bought(), UserFactory(), UserFactory()
    give(ticket_of(booking), friend)
    ticket = ticket_of(booking)
    verified(next_one, booking.event)
    name(ticket, next_one.email, friend)
    assert get_ticket_for(user_id=friend.pk, code=ticket.code).status == "active"

    taken = services.take_ticket(
        handover_id=services.accept_invitation(token=token_for(next_one.email), user_id=next_one.pk).pk
    )

    assert taken.holder_id == next_one.pk
    with pytest.raises(NotFound):
        get_ticket_for(user_id=friend.pk, code=ticket.code)
    assert list(TicketChange.objects.values_list("from_holder", "to_holder")) == [
        (None, friend.pk),
        (friend.pk, next_one.pk),
    ]
    Event.objects.filter(pk=booking.event_id).update(
        starts_at=Now() + timedelta(hours=settings.TRANSFER_UNTIL_HOURS - 1)
    )
    with pytest.raises(refusals.TooLateToGive):
        name(ticket_of(booking), "late@example.test", next_one)
    name(ticket_of(booking, 3), "first-holder@example.test")  # its first holder may still be named


def test_plain_ticket_is_passed_on_without_a_check():
    booking, friend = plain(), UserFactory()
    give(ticket_of(booking), friend)
    give(ticket_of(booking, 1), friend)  # such an event may give a person several

    assert Ticket.objects.filter(holder=friend, status="active").count() == 2
    assert wrong() == []


def test_cancelling_voids_every_ticket_and_tells_who_held_one():
    booking, friend = bought(), UserFactory()
    give(ticket_of(booking, 2), friend)
    waiting = accepted(ticket_of(booking, 3), UserFactory())

    services.cancel_booking(booking_id=booking.pk, by="buyer")

    assert set(booking.tickets.values_list("status", flat=True)) == {"void"}
    waiting.refresh_from_db()
    assert (waiting.status, waiting.email) == ("ended", "")
    with pytest.raises(refusals.InvitationOver):
        services.take_ticket(handover_id=waiting.pk)
    assert Notification.objects.filter(kind="ticket_withdrawn").values_list("user_id", flat=True).get() == friend.pk
    assert wrong() == []


def test_ticket_of_an_event_that_is_over_is_not_given():
    booking = bought()
    Event.objects.filter(pk=booking.event_id).update(
        starts_at=Now() - timedelta(hours=3), ends_at=Now() - timedelta(hours=1)
    )

    with pytest.raises(refusals.TicketNotGivable):
        name(ticket_of(booking), "a@example.test")


def test_erased_holder_gives_the_ticket_back_to_nobody_or_to_the_buyer():
    faces, without, friend = bought(), plain(), UserFactory()
    give(ticket_of(faces), friend)
    give(ticket_of(without), friend)
    codes = [ticket_of(faces).code, ticket_of(without).code]
    with pytest.raises(Exception, match="tickets for events to come"), transaction.atomic():
        erase_user(user_id=friend.pk)

    erase_user(user_id=friend.pk, cancel=True)

    back, other = ticket_of(faces), ticket_of(without)
    assert (back.status, back.holder_id, back.holder_name) == ("unassigned", None, "")
    assert (other.status, other.holder_id) == ("active", without.user_id)
    assert {back.code, other.code}.isdisjoint(codes)
    assert Notification.objects.filter(kind="ticket_returned").count() == 2
    assert wrong() == []


def test_erased_buyer_takes_every_ticket_along_and_erased_invitee_says_no():
    booking, friend, invited = bought(), UserFactory(), UserFactory()
    give(ticket_of(booking, 2), friend)
    accepted(ticket_of(booking, 3), invited)

    erase_user(user_id=invited.pk)
    assert TicketHandover.objects.get(ticket__number=3).status == "declined"
    erase_user(user_id=booking.user_id, cancel=True)

    assert set(booking.tickets.values_list("status", flat=True)) == {"void"}
    assert not TicketHandover.objects.exclude(email="").exists()


def test_handover_moves_only_along_its_table():
    legal = {(source, step.target) for step in TicketHandover.TRANSITIONS.values() for source in step.sources}
    assert legal == {
        ("open", "accepted"),
        ("accepted", "taken"),
        *((source, end) for source in ("open", "accepted") for end in ("declined", "recalled", "expired", "ended")),
    }


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ({"status": "lost"}, "status_is_known|ended_handover"),
        ({"status": "accepted"}, "accepted_handover_says_by_whom"),
        ({"status": "recalled"}, "ended_handover_has_its_time_and_no_address"),
        ({"email": ""}, "ended_handover_has_its_time_and_no_address"),
    ],
)
def test_constraints_of_handovers_hold(change, constraint):
    handover = name(ticket_of(bought()), "a@example.test")

    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        TicketHandover.objects.filter(pk=handover.pk).update(**change)


def test_ticket_has_one_waiting_handover():
    handover = name(ticket_of(bought()), "a@example.test")

    with pytest.raises(IntegrityError, match="one_waiting_handover_per_ticket"), transaction.atomic():
        TicketHandover.objects.create(
            ticket=handover.ticket, named_by=handover.named_by, email="b@example.test", expires_at=Now()
        )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"status": "active"}, "ticket_that_opens_a_door_has_a_holder"),
        ({"personal": False}, "never changes"),
        ({"number": 7}, "never changes"),
    ],
)
def test_unassigned_ticket_can_not_be_made_to_open_a_door(change, says):
    ticket = ticket_of(bought())

    with pytest.raises(Exception, match=says), transaction.atomic():
        Ticket.objects.filter(pk=ticket.pk).update(**change)


def test_new_holder_needs_a_new_code_and_a_void_ticket_stays_void():
    booking = plain()
    with pytest.raises(Exception, match="a new holder gets a new code"), transaction.atomic():
        booking.tickets.update(holder=UserFactory())
    services.cancel_booking(booking_id=booking.pk, by="staff")

    with pytest.raises(Exception, match="stays void"), transaction.atomic():
        booking.tickets.update(status="active", void_at=None)


def test_invariants_name_a_ticket_without_its_holder():
    booking, friend = bought(), UserFactory()
    handover = accepted(ticket_of(booking, 2), friend)
    verified(friend, booking.event)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        Ticket.objects.filter(booking=booking, number=2).update(holder=friend, status="active")
        Ticket.objects.filter(booking=booking, number=3).update(event=EventFactory())
        cursor.execute("SET LOCAL session_replication_role = origin")

    said = list(tickets_have_their_holders())
    assert len(said) == 2
    assert any(str(handover.pk) in sentence for sentence in said)


# -- Races: each with the rival that comes at the same moment ---------------------------------------------------------


def naive_take(handover_id, person):
    """Look, then write: what `take_ticket` must not do."""
    handover = TicketHandover.objects.get(pk=handover_id)
    if handover.status != "accepted":
        raise refusals.InvitationOver
    Ticket.objects.filter(pk=handover.ticket_id).update(holder=person, status="active", code=new_ticket_code())
    TicketHandover.objects.filter(pk=handover_id).update(status="taken", ended_at=Now(), email="", token_hash="")


def naive_recall(handover_id):
    handover = TicketHandover.objects.get(pk=handover_id)
    if handover.status not in ("open", "accepted"):
        raise refusals.NothingToRecall
    TicketHandover.objects.filter(pk=handover_id).update(status="recalled", ended_at=Now(), email="", token_hash="")


def ready():
    """Return a booking whose second ticket somebody verified has accepted, and that handover."""
    booking, friend = bought(), UserFactory()
    verified(friend, booking.event)
    return booking, friend, accepted(ticket_of(booking), friend)


@pytest.mark.django_db(transaction=True)
def test_of_taking_and_recalling_one_happens():
    for _ in range(5):
        booking, friend, handover = ready()

        outcomes = race(
            [
                lambda handover=handover: services.take_ticket(handover_id=handover.pk),
                lambda booking=booking: services.recall_handover(
                    ticket_id=ticket_of(booking).pk, user_id=booking.user_id
                ),
            ],
            gate="bookings_tickethandover",
        )

        assert len(errors(outcomes)) == 1
        handover.refresh_from_db()
        assert (handover.status, ticket_of(booking).holder_id) in {("taken", friend.pk), ("recalled", None)}


@pytest.mark.django_db(transaction=True)
def test_naive_taking_and_recalling_both_happen():
    _, friend, handover = ready()

    outcomes = race(
        [lambda: naive_take(handover.pk, friend), lambda: naive_recall(handover.pk)], gate="bookings_tickethandover"
    )

    assert len(results(outcomes)) == 2  # recalled, and taken all the same: why the guarded UPDATE is there


@pytest.mark.django_db(transaction=True)
def test_of_taking_and_cancelling_no_ticket_outlives_its_booking():
    for _ in range(5):
        booking, _, handover = ready()

        outcomes = race(
            [
                lambda handover=handover: services.take_ticket(handover_id=handover.pk),
                lambda booking=booking: services.cancel_booking(booking_id=booking.pk, by="buyer"),
            ],
            gate="bookings_tickethandover",
        )

        assert outcomes[1].error is None
        assert outcomes[0].error is None or isinstance(outcomes[0].error, refusals.InvitationOver)
        assert set(booking.tickets.values_list("status", flat=True)) == {"void"}
        assert not TicketHandover.objects.filter(status__in=TicketHandover.WAITING).exists()
    assert wrong() == []


@pytest.mark.django_db(transaction=True)
def test_two_people_named_at_once_one_is_invited():
    booking = bought()
    ticket = ticket_of(booking)

    outcomes = race(
        [lambda address=address: name(ticket, address) for address in ("a@example.test", "b@example.test")],
        gate="bookings_booking",
    )

    assert errors(outcomes) == []
    assert TicketHandover.objects.filter(status="open").count() == 1
    assert TicketHandover.objects.filter(status="recalled").count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_people_never_take_one_ticket():
    booking, first, handover = ready()
    second = UserFactory()
    verified(second, booking.event)

    outcomes = race(
        [
            lambda: services.take_ticket(handover_id=handover.pk),
            lambda: name(ticket_of(booking), second.email),
        ],
        gate="bookings_booking",
    )

    ticket = ticket_of(booking)
    if outcomes[0].error is None:
        assert (ticket.holder_id, type(outcomes[1].error)) == (first.pk, NotFound)
    else:
        assert (ticket.holder_id, type(outcomes[0].error)) == (None, refusals.InvitationOver)
    assert TicketHandover.objects.filter(status__in=("taken", "open")).count() == 1


@pytest.mark.django_db(transaction=True)
def test_one_person_takes_one_of_two_tickets_at_once():
    category, friend = face_category(), UserFactory()
    verified(friend, category.event)
    handovers = [
        TicketHandover.objects.create(
            ticket=ticket_of(booking),
            named_by=booking.user,
            email=friend.email,
            invitee=friend,
            status="accepted",
            accepted_at=Now(),
            expires_at=Now() + timedelta(days=1),
        )
        for booking in (bought(category=category), bought(category=category))
    ]

    outcomes = race(
        [lambda pk=handover.pk: services.take_ticket(handover_id=pk) for handover in handovers], gate="bookings_ticket"
    )

    assert [type(error) for error in errors(outcomes)] == [refusals.HasTicket]
    assert Ticket.objects.filter(holder=friend).count() == 1


@pytest.mark.django_db(transaction=True)
def test_buying_and_taking_at_once_leaves_one_ticket_with_the_person():
    category, person = face_category(), UserFactory()
    verified(person, category.event)
    handover = accepted(ticket_of(bought(category=category)), person)

    outcomes = race(
        [
            lambda: services.take_ticket(handover_id=handover.pk),
            lambda: services.hold_seats(user_id=person.pk, category_id=category.pk, quantity=2),
        ],
        gate="bookings_ticket",
    )

    assert outcomes[1].error is None
    assert Ticket.objects.filter(holder=person, status="active").count() == 1
    assert Booking.objects.get(user=person).tickets.exclude(status="void").count() == 2
    assert wrong() == []
