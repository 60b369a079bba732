"""Bookings over HTTP: the contract's shapes, codes and refusals."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from bookings import services
from bookings.models import Booking
from tests.bookings.test_holds import free, hold, lapse
from tests.factories import EventFactory, TicketCategoryFactory, UserFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def buyer(api):
    person = UserFactory()
    client = api.as_user(person)
    client.person = person
    return client


def wish(category, quantity=2, **more):
    return {"eventId": str(category.event_id), "categoryId": str(category.pk), "quantity": quantity} | more


def test_hold_answers_with_the_booking(buyer):
    category = TicketCategoryFactory(price_minor=4900)

    status, body = buyer.post("/api/v1/bookings", wish(category))

    assert status == 201
    assert body["status"] == "success"
    booking = body["data"]["booking"]
    assert body["data"]["waitlist"] is None
    assert set(booking) == {
        *(
            "id",
            "reference",
            "status",
            "eventId",
            "event",
            "categoryId",
            "category",
            "quantity",
            "amountMinor",
            "currency",
        ),
        *("expiresAt", "source", "createdAt", "seats", "tickets", "refund", "discountMinor", "code", "comp"),
    }
    assert (booking["status"], booking["quantity"], booking["amountMinor"], booking["currency"]) == (
        "pending",
        2,
        9800,
        "EUR",
    )
    assert booking["expiresAt"].endswith("Z")
    assert (booking["tickets"], booking["refund"], booking["source"]) == ([], None, "public")


def test_hold_counts_its_statements_and_redis_calls(
    buyer, django_assert_num_queries, django_assert_max_num_queries, count_redis_calls
):
    first, second = TicketCategoryFactory(), TicketCategoryFactory()
    buyer.get("/api/v1/bookings")

    with django_assert_num_queries(1), count_redis_calls() as calls:
        assert buyer.post("/api/v1/bookings", wish(first)).status == 201
    assert calls in (["EVALSHA"], ["EVALSHA", "EVAL"])
    with django_assert_max_num_queries(5):  # BEGIN, key, hold, answer, COMMIT
        assert buyer.post("/api/v1/bookings", wish(second), Idempotency_Key="a").status == 201


def test_snake_case_is_read_too_and_a_trailing_slash_is_accepted(buyer):
    category = TicketCategoryFactory()

    status, body = buyer.post("/api/bookings/", {"category_id": str(category.pk), "quantity": 1})

    assert (status, body["data"]["booking"]["categoryId"]) == (201, str(category.pk))


def test_category_may_be_left_out_only_when_there_is_one(buyer):
    one = TicketCategoryFactory()
    two = TicketCategoryFactory()
    TicketCategoryFactory(event=two.event)

    assert buyer.post("/api/tickets/book", {"eventId": str(one.event_id), "quantity": 1}).status == 201
    status, body = buyer.post("/api/tickets/book", {"eventId": str(two.event_id), "quantity": 1})
    assert (status, body["code"]) == (400, "category_required")
    assert buyer.post("/api/tickets/book", {"eventId": str(uuid4())}).status == 404


@pytest.mark.parametrize("quantity", [0, -1, 10**9, "2", "1e2", None, 1.5, [], True, {"a": 1}])
def test_quantity_is_a_whole_number_from_one(buyer, quantity):
    category = TicketCategoryFactory()

    status, body = buyer.post("/api/v1/bookings", wish(category, quantity))

    assert (status, body["status"], body["code"]) == (400, "fail", "invalid")
    assert "quantity" in body["errors"]
    assert free(category) == 100


def test_eleven_tickets_are_too_many(buyer):
    status, body = buyer.post("/api/v1/bookings", wish(TicketCategoryFactory(), 11))

    assert (status, body["code"], body["limit"]) == (400, "too_many_tickets", 10)


@pytest.mark.parametrize("field", ["userId", "price", "amountMinor", "status", "source", "expiresAt"])
def test_fields_that_are_not_the_clients_are_refused(buyer, field):
    category = TicketCategoryFactory()

    status, body = buyer.post("/api/v1/bookings", wish(category, **{field: str(uuid4())}))

    assert (status, body["code"]) == (400, "protected_field")
    assert free(category) == 100


def test_refusals_carry_their_codes(buyer, api):
    sold_out = TicketCategoryFactory(capacity=1)
    hold(sold_out)
    few = TicketCategoryFactory(capacity=1)
    early = TicketCategoryFactory(event=EventFactory(sale_starts_at=timezone.now() + timedelta(days=1)))

    for category, status, code in ((sold_out, 409, "sold_out"), (few, 409, "partial"), (early, 409, "sale_not_open")):
        answer = buyer.post("/api/v1/bookings", wish(category))
        assert (answer.status, answer.body["status"], answer.body["code"]) == (status, "fail", code)
        assert answer.body["message"]
    assert buyer.post("/api/v1/bookings", wish(few)).body["available"] == 1
    assert api.post("/api/v1/bookings", wish(few)).status == 401
    assert buyer.post("/api/v1/bookings", {"categoryId": "x", "quantity": 1}).status == 400
    assert buyer.post("/api/v1/bookings", b"[1]").body["code"] == "malformed_body"
    assert buyer.post("/api/v1/bookings", b"{").body["code"] == "malformed_body"
    assert (
        buyer.send("POST", "/api/v1/bookings", b"a=1", Content_Type="application/x-www-form-urlencoded").status == 415
    )


def test_partial_hold_over_http(buyer):
    category = TicketCategoryFactory(capacity=3)

    status, body = buyer.post("/api/v1/bookings", wish(category, 5, allowPartial=True))

    assert (status, body["data"]["booking"]["quantity"]) == (201, 3)


def test_same_key_is_one_booking_and_another_body_is_refused(buyer, api):
    category = TicketCategoryFactory()
    stranger = api.as_user(UserFactory())

    first = buyer.post("/api/v1/bookings", wish(category), Idempotency_Key="k-1")
    again = buyer.post("/api/v1/bookings", wish(category), Idempotency_Key="k-1")
    replayed = buyer.last.headers["Idempotency-Replayed"]
    other_body = buyer.post("/api/v1/bookings", wish(category, 1), Idempotency_Key="k-1")
    others_key = stranger.post("/api/v1/bookings", wish(category), Idempotency_Key="k-1")

    assert (first.status, again.status, replayed) == (201, 201, "true")
    assert first.body == again.body
    assert (other_body.status, other_body.body["code"]) == (422, "idempotency_key_reused")
    assert others_key.body["data"]["booking"]["id"] != first.body["data"]["booking"]["id"]
    assert Booking.objects.count() == 2


def test_refused_request_may_be_tried_again_with_its_key(buyer):
    category = TicketCategoryFactory(capacity=1)
    rival = hold(category)

    assert buyer.post("/api/v1/bookings", wish(category, 1), Idempotency_Key="k").status == 409
    services.give_up_hold(booking_id=rival.pk)

    assert buyer.post("/api/v1/bookings", wish(category, 1), Idempotency_Key="k").status == 201


@pytest.mark.parametrize("key", ["", "x" * 201, "ümlaut", "a\tb"])
def test_malformed_key_is_refused(buyer, key):
    status, body = buyer.post("/api/v1/bookings", wish(TicketCategoryFactory()), Idempotency_Key=key)

    assert (status, body["code"]) == (400, "idempotency_key_invalid")


def test_free_tickets_come_with_the_answer(buyer):
    status, body = buyer.post("/api/v1/bookings", wish(TicketCategoryFactory(price_minor=0)))

    booking = body["data"]["booking"]
    assert (status, booking["status"], len(booking["tickets"])) == (201, "confirmed", 2)
    assert set(booking["tickets"][0]) == {
        *("id", "code", "ticketId", "status", "seatNumber", "price", "holderName", "purchaseDate", "eventId"),
        *("holder", "invitation"),
    }


def test_pending_is_shown_extended_and_given_up(buyer):
    category = TicketCategoryFactory()
    booking = hold(category, buyer.person)

    shown = buyer.get("/api/v1/bookings/pending").body["data"]
    extended = buyer.post(f"/api/v1/bookings/{booking.pk}/extend").body["data"]
    given_up = buyer.delete("/api/v1/bookings/pending")

    assert shown["id"] == str(booking.pk)
    assert extended["expiresAt"] > shown["expiresAt"]
    assert (given_up.status, given_up.body["data"]["status"]) == (200, "cancelled")
    assert buyer.get("/api/v1/bookings/pending").status == 404
    assert buyer.delete("/api/v1/bookings/pending").status == 404
    assert free(category) == 100


def test_lapsed_hold_is_gone(buyer):
    booking = hold(TicketCategoryFactory(), buyer.person)
    lapse(booking)

    answer = buyer.post(f"/api/v1/bookings/{booking.pk}/extend")

    assert (answer.status, answer.body["code"]) == (410, "hold_expired")


def test_bookings_are_listed_found_and_only_ones_own(buyer, api):
    mine = services.confirm_booking(booking_id=hold(TicketCategoryFactory(), buyer.person).pk)
    pending = hold(TicketCategoryFactory(), buyer.person)
    stranger = api.as_user(UserFactory())

    everything = buyer.get("/api/v1/bookings").body
    confirmed = buyer.get("/api/v1/bookings/mine").body
    by_reference = buyer.get(f"/api/v1/bookings/reference/{mine.reference[:4]}-{mine.reference[4:].lower()}")

    assert (everything["results"], everything["pagination"]["count"]) == (2, 2)
    assert [row["id"] for row in confirmed["data"]] == [str(mine.pk)]
    assert by_reference.body["data"]["id"] == str(mine.pk)
    assert buyer.get(f"/api/v1/bookings/confirmed/{mine.pk}").status == 200
    assert buyer.get(f"/api/v1/bookings/confirmed/{pending.pk}").status == 404
    for path in (
        f"/api/v1/bookings/{mine.pk}",
        f"/api/v1/bookings/confirmed/{mine.pk}",
        f"/api/v1/bookings/reference/{mine.reference}",
    ):
        assert stranger.get(path).status == 404
    assert stranger.put(f"/api/v1/bookings/{mine.pk}/cancel").status == 404
    assert stranger.post(f"/api/v1/bookings/{pending.pk}/extend").status == 404
    assert buyer.get("/api/v1/bookings/not-an-id").body == {
        "status": "fail",
        "code": "invalid_id",
        "message": "Invalid booking ID format",
    }


def test_list_costs_the_same_for_one_and_for_three(buyer, django_assert_num_queries):
    services.confirm_booking(booking_id=hold(TicketCategoryFactory(rows={"A": 3}), buyer.person, 2).pk)
    with django_assert_num_queries(5):
        buyer.get("/api/v1/bookings")
    for _ in range(2):
        services.confirm_booking(booking_id=hold(TicketCategoryFactory(rows={"A": 3}), buyer.person, 2).pk)
    with django_assert_num_queries(5):
        assert buyer.get("/api/v1/bookings").body["results"] == 3


def test_cancelling_by_either_door(buyer):
    first = services.confirm_booking(booking_id=hold(TicketCategoryFactory(), buyer.person).pk)
    second = services.confirm_booking(booking_id=hold(TicketCategoryFactory(), buyer.person).pk)
    soon = EventFactory(starts_at=timezone.now() + timedelta(hours=3))
    third = services.confirm_booking(booking_id=hold(TicketCategoryFactory(event=soon), buyer.person).pk)

    assert buyer.put(f"/api/v1/bookings/{first.pk}/cancel").body["data"]["status"] == "cancelled"
    assert buyer.post("/api/tickets/cancel", {"reference": second.reference}).body["data"]["status"] == "cancelled"
    too_late = buyer.post("/api/tickets/cancel", {"bookingId": str(third.pk)})
    assert (too_late.status, too_late.body["code"]) == (409, "cancel_too_late")
    assert buyer.put(f"/api/v1/bookings/{first.pk}/cancel").status == 409
    assert buyer.post("/api/tickets/cancel", {}).status == 400
