"""Notifications: each told once per cause, mailed and texted as the person chose, and gone with the account."""

import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now
from django.template.loader import get_template

from accounts import notifications, services
from accounts.models import Notification, NotificationChoice
from accounts.notifications import Kind, queries, sms
from accounts.notifications.choices import (
    AlwaysMailed,
    NoTextMessages,
    PhoneNeeded,
    UnknownChoice,
    choices_of,
    choose,
)
from accounts.notifications.kinds import GROUPS, KINDS, UnknownGroup
from accounts.notifications.services import IncompleteContext
from accounts.notifications.unsubscribing import LinkInvalid, unsubscribe, unsubscribe_url
from common import invariants, jobs, outbox
from common.errors import NotFound
from common.models import OutboxMessage, SentMail
from tests.accounts.mailbox import mails_to
from tests.races import errors, race, results

PASSWORD = "velvet-otter-91"
RECORDED = "accounts.notifications.sms.RecordedSms"
MOBILE = "+49 170 1234567"
# A kind of every app that has news, so that the tests look at what is really registered.
REGISTERED = {
    "password_changed", "session_ended", "tickets_issued", "booking_cancelled", "payment_late", "event_cancelled",
    "event_changed", "refund_started", "refund_done", "refund_failed", "verification_approved", "verification_rejected",
    "verification_retry", "verification_overridden", "waitlist_joined", "waitlist_offer",
}  # fmt: skip

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _kinds():
    """Two kinds of the tests' own: one whose mail may be switched off and one whose may not."""
    notifications.register(
        Kind("test_news", title="News of {event}", body="It is {what}.", sms=True, group="events", template="notice")
    )
    notifications.register(
        Kind("test_vital", title="Vital: {event}", essential=True, group="events", template="notice")
    )
    yield
    del KINDS["test_news"], KINDS["test_vital"]


class DyingSms:
    """A provider that takes the message and is gone before it says so."""

    def send(self, *, to, text, key):
        sms.RecordedSms().send(to=to, text=text, key=key)
        raise ConnectionResetError("connection reset by peer")


class ClosedSms:
    """A provider that surely sent nothing."""

    def send(self, *, to, text, key):
        raise sms.NotSent


def tell(user, cause="1", kind="test_news", **more):
    return notifications.notify(
        user_id=user.pk, kind=kind, cause=cause, url="/profile", **{"event": "Opera", "what": "new"} | more
    )


def again():
    """Run the outbox as if nobody had noted that it is done: a worker died between the effect and the mark."""
    OutboxMessage.objects.update(done_at=None, failed_at=None, due_at=Now())
    outbox.deliver_due()


def test_notice_is_listed_and_mailed_once_per_cause(user_factory):
    user = user_factory()

    assert tell(user)
    assert not tell(user)
    assert not tell(user, what="told twice")
    assert tell(user, cause="2")

    assert [told.cause for told in queries.list_for(user.pk)] == ["2", "1"]
    assert [mail.subject for mail in mails_to(user.email)] == ["News of Opera"] * 2


def test_second_notice_of_a_cause_breaks_a_constraint(user_factory):
    user = user_factory()
    Notification.objects.create(user=user, kind="test_news", cause="1")

    with pytest.raises(IntegrityError, match="notification_is_sent_once"), transaction.atomic():
        Notification.objects.create(user=user, kind="test_news", cause="1")
    NotificationChoice.objects.create(user=user, group="events", channel="mail", wanted=False)
    with pytest.raises(IntegrityError, match="notification_choice_is_made_once"), transaction.atomic():
        NotificationChoice.objects.create(user=user, group="events", channel="mail", wanted=True)
    with pytest.raises(IntegrityError, match="notification_choice_has_a_channel"), transaction.atomic():
        NotificationChoice.objects.create(user=user, group="events", channel="fax", wanted=True)


@pytest.mark.django_db(transaction=True)
def test_ten_workers_with_one_cause_tell_it_once(user_factory):
    user = user_factory()

    outcomes = race([lambda: tell(user) for _ in range(10)], gate="accounts_notification")

    assert errors(outcomes) == []
    assert sorted(results(outcomes)) == [False] * 9 + [True]
    assert OutboxMessage.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_naive_twin_that_looks_before_it_tells_loses_the_race(user_factory):
    """The control: without the constraint's help the same race tells more than once, or breaks."""
    user = user_factory()

    def naive():
        if Notification.objects.filter(user=user, kind="test_news", cause="1").exists():
            return False
        Notification.objects.create(user=user, kind="test_news", cause="1")
        return True

    outcomes = race([naive for _ in range(10)], gate="accounts_notification")

    assert len(errors(outcomes)) == 9  # every one of them had looked and seen nothing


@pytest.mark.django_db(transaction=True)
def test_two_runs_over_the_same_people_neither_deadlock_nor_tell_twice(user_factory):
    people = [user_factory().pk for _ in range(30)]

    def run(order):
        return notifications.notify_many(user_ids=order, kind="test_news", cause="1", event="Opera", what="new")

    outcomes = race([lambda: run(people), lambda: run(people[::-1])] * 3, gate="accounts_notification")

    assert errors(outcomes) == []
    assert sum(results(outcomes)) == 30
    assert OutboxMessage.objects.count() == 30


def test_notice_that_is_rolled_back_never_happened(user_factory):
    user = user_factory()

    with pytest.raises(RuntimeError), transaction.atomic():
        tell(user)
        raise RuntimeError

    assert mails_to(user.email) == []
    assert not queries.list_for(user.pk).exists()


def test_mail_of_a_worker_that_died_after_sending_is_recognised_by_its_id(user_factory, settings, mailoutbox):
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    tell(user_factory())
    outbox.deliver_due()

    again()

    assert len({mail.extra_headers["Message-ID"] for mail in mailoutbox}) == 1


def test_mail_does_not_leave_again_when_its_notice_is_long_deleted(user_factory):
    user = user_factory()
    tell(user)
    assert len(mails_to(user.email)) == 1
    Notification.objects.all().delete()

    tell(user)

    assert len(mails_to(user.email)) == 1


def test_notice_without_what_its_words_need_is_an_error_of_ours(user_factory):
    with pytest.raises(IncompleteContext, match="event, what missing"):
        notifications.notify(user_id=user_factory().pk, kind="test_news", cause="1")
    with pytest.raises(KeyError):
        notifications.notify(user_id=uuid4(), kind="nothing_of_ours", cause="1")
    with pytest.raises(UnknownGroup, match="gossip"):
        notifications.register(Kind("rumour", title="", group="gossip"))


def test_name_with_braces_and_line_breaks_is_only_text(user_factory):
    user = user_factory()
    tell(user, event="{event} {0.__class__}\nBcc: all@example.test")

    (mail,) = mails_to(user.email)

    assert mail.subject == "News of {event} {0.__class__} Bcc: all@example.test"


def test_erased_person_is_told_nothing_and_holds_nothing(user_factory):
    user = user_factory(password=PASSWORD)
    tell(user)
    choose(user=user, wishes=[{"group": "waitlist", "mail": False}])

    services.erase_user(user_id=user.pk)

    assert not tell(user, cause="2")
    assert not Notification.objects.exists()
    assert not NotificationChoice.objects.exists()
    outbox.deliver_due()
    assert not SentMail.objects.filter(subject__startswith="News").exists()
    assert list(invariants.INVARIANTS["accounts.erased_people_are_nobody"]()) == []


def test_person_switches_a_group_off_and_what_can_not_wait_still_comes(user_factory):
    user = user_factory()
    choose(user=user, wishes=[{"group": "events", "mail": False}])

    tell(user)
    tell(user, kind="test_vital")

    assert [mail.subject for mail in mails_to(user.email)] == ["Vital: Opera"]
    assert queries.list_for(user.pk).count() == 2


def test_choice_made_after_the_notice_and_before_its_mail_counts(user_factory):
    user = user_factory()
    tell(user)

    choose(user=user, wishes=[{"group": "events", "mail": False}])

    assert mails_to(user.email) == []


def test_choices_that_can_not_be_are_refused_and_nothing_is_written(user_factory, settings):
    user = user_factory()
    off = {"group": "waitlist", "mail": False}
    for error, wish in (
        (UnknownChoice, {"group": "gossip", "mail": False}),
        (AlwaysMailed, {"group": "security", "mail": False}),
        (NoTextMessages, {"group": "events", "sms": True}),
    ):
        with pytest.raises(error):
            choose(user=user, wishes=[off, wish])
    settings.SMS_BACKEND = RECORDED
    with pytest.raises(NoTextMessages):
        choose(user=user, wishes=[off, {"group": "security", "sms": True}])
    with pytest.raises(PhoneNeeded):
        choose(user=user, wishes=[off, {"group": "events", "sms": True}])

    assert not NotificationChoice.objects.exists()
    assert next(choice for choice in choices_of(user) if choice.group == "waitlist").mail


def test_text_messages_are_off_unless_there_is_a_backend_and_the_person_asked(user_factory, settings):
    user = user_factory(phone=MOBILE)
    tell(user)
    settings.SMS_BACKEND = RECORDED
    tell(user, cause="2")
    outbox.deliver_due()
    assert not SentMail.objects.filter(subject="Text message").exists()

    choose(user=user, wishes=[{"group": "events", "sms": True}])
    tell(user, cause="3")
    tell(user, cause="3")
    outbox.deliver_due()

    (sent,) = SentMail.objects.filter(subject="Text message")
    assert (sent.to, sent.text) == ("+491701234567", f"Fairseat: News of Opera {settings.SITE_URL}/notifications")


@pytest.mark.parametrize("backend", [RECORDED, f"{__name__}.DyingSms"])
def test_text_message_never_leaves_twice(user_factory, settings, backend):
    settings.SMS_BACKEND = backend
    user = user_factory(phone=MOBILE)
    choose(user=user, wishes=[{"group": "events", "sms": True}])
    tell(user)
    outbox.deliver_due()

    again()
    again()

    assert SentMail.objects.filter(subject="Text message").count() == 1


def test_text_message_that_surely_did_not_leave_is_tried_again(user_factory, settings):
    settings.SMS_BACKEND = f"{__name__}.ClosedSms"
    user = user_factory(phone=MOBILE)
    choose(user=user, wishes=[{"group": "events", "sms": True}])
    tell(user)
    outbox.deliver_due()
    assert OutboxMessage.objects.get(topic="notification_sms").done_at is None
    settings.SMS_BACKEND = RECORDED

    again()

    assert SentMail.objects.filter(subject="Text message").count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_workers_with_one_text_message_send_it_once(user_factory, settings):
    settings.SMS_BACKEND = RECORDED
    user = user_factory(phone=MOBILE)
    choose(user=user, wishes=[{"group": "events", "sms": True}])
    tell(user)
    payload = OutboxMessage.objects.get(topic="notification_sms").payload

    outcomes = race([lambda: sms.send_sms("key", payload) for _ in range(6)], gate="accounts_notification")

    assert errors(outcomes) == []
    assert SentMail.objects.filter(subject="Text message").count() == 1


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("+49 170 1234567", "+491701234567"),
        ("0049 (170) 123-45.67", "+491701234567"),
        ("0170 1234567", ""),
        ("+0170 1234567", ""),
        ("+49", ""),
        ("+49170123456789012", ""),
        ("", ""),
    ],
)
def test_numbers_are_taken_only_with_their_country(typed, number):
    assert sms.normalise_phone(typed) == number


@pytest.mark.parametrize(("letter", "limit"), [("o", 160), ("ö", 160), ("Ж", 70)])
def test_text_message_is_one_message_and_keeps_its_link(letter, limit):
    link = "https://f.test/notifications"

    short, long = sms.fit(letter * 5, link), sms.fit(letter * 500, link)

    assert short == f"Fairseat: {letter * 5} {link}"
    assert len(long) == limit
    assert long.endswith(f"{letter}... {link}")


def test_mail_that_may_be_switched_off_carries_the_header_for_one_click(user_factory, settings, mailoutbox):
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    user = user_factory()
    tell(user)
    tell(user, kind="test_vital")
    outbox.deliver_due()
    news, vital = mailoutbox

    link = re.fullmatch(r"<(http\S+/unsubscribe/\S+)>", news.extra_headers["List-Unsubscribe"]).group(1)
    assert news.extra_headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert link in news.body
    assert "List-Unsubscribe" not in vital.extra_headers
    assert "unsubscribe" not in vital.body


def test_mailbox_unsubscribes_with_one_post_without_session_or_token(user_factory):
    from django.test import Client

    user = user_factory()
    path = "/unsubscribe/" + unsubscribe_url(user_id=user.pk, group="events").rpartition("/")[2]
    mailbox = Client(enforce_csrf_checks=True)

    looked = mailbox.get(path)
    assert looked.status_code == 200
    assert not NotificationChoice.objects.exists()
    answer = mailbox.post(path, "List-Unsubscribe=One-Click", content_type="application/x-www-form-urlencoded")

    assert answer.status_code == 200
    tell(user)
    assert mails_to(user.email) == []
    assert mailbox.post(path, {"again": "1"}).status_code == 200
    tell(user, cause="2")
    assert len(mails_to(user.email)) == 1


def test_link_of_another_or_of_nobody_does_nothing(user_factory, client):
    user = user_factory()
    token = unsubscribe_url(user_id=user.pk, group="events").rpartition("/")[2]

    for wrong in (token[:-2] + "xx", "nothing", token.replace(":", "")):
        assert client.post(f"/unsubscribe/{wrong}").status_code == 404
    services.erase_user(user_id=user.pk)
    with pytest.raises(LinkInvalid):
        unsubscribe(token=token)

    assert not NotificationChoice.objects.exists()


def test_read_notices_are_forgotten_after_their_time_and_unread_ones_never(user_factory, settings):
    settings.NOTIFICATION_DAYS = 30
    user = user_factory()
    for cause in "123":
        tell(user, cause=cause)
    Notification.objects.update(created_at=Now() - timedelta(days=400))
    Notification.objects.filter(cause="1").update(read_at=Now() - timedelta(days=31))
    Notification.objects.filter(cause="2").update(read_at=Now() - timedelta(days=29))

    jobs.run("accounts.forget_notifications")
    jobs.run("accounts.forget_notifications")

    assert sorted(Notification.objects.values_list("cause", flat=True)) == ["2", "3"]


def test_list_is_by_group_and_by_unread(user_factory):
    user = user_factory()
    tell(user)
    notifications.notify(user_id=user.pk, kind="password_changed", cause="1")
    mine = queries.list_for(user.pk)
    notifications.mark_read(user_id=user.pk, notification_id=mine.get(kind="test_news").pk)

    assert [told.kind for told in queries.list_for(user.pk, groups=["security"])] == ["password_changed"]
    assert [told.kind for told in queries.list_for(user.pk, unread=True)] == ["password_changed"]
    assert [told.kind for told in queries.list_for(user.pk, unread=False)] == ["test_news"]
    assert queries.count_unread(user.pk) == 1
    with pytest.raises(NotFound):
        notifications.mark_read(user_id=user_factory().pk, notification_id=mine[0].pk)


def test_every_kind_can_be_shown_and_mailed():
    assert KINDS.keys() >= REGISTERED
    for kind in KINDS.values():
        assert kind.group in GROUPS
        assert kind.title
        if kind.mail:
            get_template(f"mail/{kind.template or kind.name}.txt")
            get_template(f"mail/{kind.template or kind.name}.html")


def test_api_lists_marks_and_chooses(api, user_factory):
    user, other = user_factory(), user_factory()
    for cause in "123":
        tell(user, cause=cause)
    tell(other)
    mine = api.as_user(user)

    listed = mine.get("/api/v1/notifications?pageSize=2")
    assert listed.status == 200
    assert listed.body["pagination"]["count"] == 3
    first = listed.body["data"][0]
    assert (first["title"], first["body"], first["group"], first["url"]) == (
        "News of Opera", "It is new.", "events", "/profile",
    )  # fmt: skip
    read = mine.post(f"/api/v1/notifications/{first['id']}/read")
    assert read.status == 200
    assert mine.post(f"/api/v1/notifications/{first['id']}/read").body["data"]["readAt"] == read.body["data"]["readAt"]
    assert len(mine.get("/api/v1/notifications?unread=true").body["data"]) == 2
    assert len(mine.get("/api/v1/notifications?unread=false&group=events").body["data"]) == 1
    assert mine.get("/api/v1/notifications?group=waitlist").body["data"] == []
    assert mine.get("/api/v1/notifications?unread=maybe").status == 400
    assert mine.post("/api/v1/notifications/read-all").body["data"] == {"read": 2}
    assert mine.post("/api/v1/notifications/read-all").body["data"] == {"read": 0}
    stranger = api.as_user(other)
    assert stranger.post(f"/api/v1/notifications/{first['id']}/read").status == 404
    assert mine.post("/api/v1/notifications/nothing/read").status == 400
    assert api.get("/api/v1/notifications").status == 401

    chosen = mine.put("/api/v1/notifications/preferences", {"groups": [{"group": "waitlist", "mail": False}]})
    assert chosen.status == 200
    by_group = {group["group"]: group for group in mine.get("/api/v1/notifications/preferences").body["data"]["groups"]}
    assert by_group["waitlist"]["mail"] is False
    assert by_group["waitlist"]["someAlways"] is True
    assert by_group["security"]["mailAlways"] is True
    refused = mine.put("/api/v1/notifications/preferences", {"groups": [{"group": "security", "mail": False}]})
    assert (refused.status, refused.body["code"]) == (400, "always_mailed")


def test_pages_list_open_and_mark(client_for, user_factory):
    user = user_factory()
    for number in range(25):
        tell(user, cause=str(number))
    browser = client_for(user)

    page = browser.get("/notifications").content.decode()
    assert page.count("notice-row") == 20
    assert 'rel="next"' in page
    assert ">25<" in page
    told = queries.list_for(user.pk)[0]
    opened = browser.get(f"/notifications/{told.pk}")
    assert (opened.status_code, opened.url) == (302, "/profile")
    assert ">24<" in browser.get("/notifications?unread=1").content.decode()
    assert browser.post("/notifications/read-all").url == "/notifications"
    assert "unread</span>" not in browser.get("/notifications").content.decode()
    stranger = client_for(user_factory())
    assert stranger.get(f"/notifications/{told.pk}").status_code == 404


def test_bell_costs_no_statement(client_for, user_factory, django_assert_num_queries):
    user = user_factory()
    browser = client_for(user)
    with django_assert_num_queries(2):  # the session and the person
        browser.get("/profile")
    tell(user)

    with django_assert_num_queries(2):
        page = browser.get("/profile").content.decode()

    assert ">1</b>" in page


def test_list_costs_the_same_for_one_and_for_many(client_for, user_factory, django_assert_num_queries):
    user = user_factory()
    browser = client_for(user)
    for number in range(3):
        tell(user, cause=str(number))
        with django_assert_num_queries(4):  # session, person, count, rows
            browser.get("/notifications")


def test_preferences_page_saves_what_is_ticked(client_for, user_factory, settings):
    settings.SMS_BACKEND = RECORDED
    user = user_factory()
    browser = client_for(user)
    assert "disabled" in browser.get("/profile/notifications").content.decode()
    assert browser.post("/profile/notifications", {"events-sms": "on"}).status_code == 400
    services.update_profile(user_id=user.pk, phone=MOBILE)

    answer = browser.post("/profile/notifications", {"events-sms": "on", "waitlist-mail": "on"})

    assert answer.status_code == 302
    chosen = {choice.group: choice for choice in choices_of(user)}
    assert (chosen["events"].mail, chosen["events"].sms) == (False, True)
    assert (chosen["waitlist"].mail, chosen["waitlist"].sms) == (True, False)
    assert chosen["security"].mail


def test_staff_see_notices_and_change_none(client_for, user_factory):
    told_one = user_factory()
    tell(told_one)
    staff = client_for(user_factory(is_staff=True))

    assert "test_news" in staff.get("/admin/accounts/notification/").content.decode()
    pk = Notification.objects.get().pk
    assert staff.get(f"/admin/accounts/notification/{pk}/change/").status_code == 200
    assert staff.get("/admin/accounts/notification/add/").status_code == 403
    assert staff.post(f"/admin/accounts/notification/{pk}/delete/").status_code == 403
    assert staff.get("/admin/accounts/notificationchoice/").status_code == 200


def test_password_change_and_stolen_session_are_told_and_mailed_once(user_factory):
    user = user_factory(password=PASSWORD)
    services.change_password(user_id=user.pk, current_password=PASSWORD, new_password="another-otter-92")
    outbox.deliver_due()

    assert [told.kind for told in queries.list_for(user.pk)] == ["password_changed"]
    assert [mail.subject for mail in mails_to(user.email)] == ["Your password was changed"]


def test_unread_ones_are_counted_by_their_index(user_factory):
    user = user_factory()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(
            "EXPLAIN SELECT count(*) FROM accounts_notification WHERE user_id = %s AND read_at IS NULL", [user.pk]
        )
        plan = "\n".join(row[0] for row in cursor.fetchall())

    assert "notification_unread" in plan
