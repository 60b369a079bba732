"""Roles of staff: what each may do, who gives them, who becomes what, and how far organisers see in the admin."""

from importlib import import_module

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.urls import reverse

from accounts.models import Notification, StaffAction, User
from accounts.roles import EXCEED_CAPACITY, REVIEW_FACES, ROLES, fill_groups, role_of
from accounts.services import assign_role, erase_user, update_user
from accounts.services.profiles import LastOwner, NotYours, OwnRights, owners
from accounts.services.roles import NotForThisRole, ReasonMissing, UnknownRole
from common.errors import NotFound
from tests.factories import OrganiserFactory, StaffFactory, TicketCategoryFactory, UserFactory
from tests.races import errors, race
from tests.waitlist.worlds import hold

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner():
    return StaffFactory(role="owner")


@pytest.mark.parametrize(
    ("permission", "roles"),
    [
        ("accounts.assign_roles", "owner"),
        ("accounts.every_event", "owner manager box_office gate support"),
        ("accounts.view_user", "owner manager box_office support"),
        ("accounts.change_user", "owner manager"),
        ("events.change_event", "owner manager organiser"),
        ("bookings.view_booking", "owner manager box_office support organiser"),
        ("bookings.change_booking", "owner manager box_office organiser"),
        ("bookings.view_ticket", "owner manager box_office gate support organiser"),
        ("payments.change_payment", "owner manager"),
        ("waitlist.change_waitlistentry", "owner manager box_office"),
        ("waitingroom.change_waitingroom", "owner manager organiser"),
        ("registrations.view_registration", "owner manager support organiser"),
        ("registrations.change_registration", "owner manager"),
        ("faceverify.review_faces", "owner"),
        ("registrations.exceed_capacity", "owner"),
        ("django_celery_beat.change_periodictask", "owner"),
        ("gate.scan", "owner manager gate"),
        ("gate.supervise", "owner manager"),
    ],
)
def test_permission_is_of_these_roles(permission, roles):
    held = [name for name in ROLES if StaffFactory(role=name).has_perm(permission)]

    assert held == [name for name in ROLES if name in roles.split()]
    assert not StaffFactory(role="").has_perm(permission)
    plain = UserFactory()
    plain.groups.add(Group.objects.get(name="owner"))
    assert not plain.has_perm(permission)


def test_every_pattern_names_a_permission_that_exists():
    known = {
        f"{app}.{codename}" for app, codename in Permission.objects.values_list("content_type__app_label", "codename")
    }
    exact = {pattern for role in ROLES.values() for pattern in role.permissions if "*" not in pattern}

    assert exact <= known


def test_groups_follow_the_table_again_after_a_migration():
    support = Group.objects.get(name="support")
    support.permissions.add(Permission.objects.get(codename="review_faces"))
    support.permissions.remove(Permission.objects.get(codename="view_booking"))
    Group.objects.filter(name="gate").delete()

    fill_groups()
    fill_groups()

    names = set(support.permissions.values_list("codename", flat=True))
    assert ("review_faces" in names, "view_booking" in names) == (False, True)
    assert StaffFactory(role="gate").has_perm("bookings.view_ticket")


def test_whoever_was_staff_becomes_a_manager():
    migration = import_module("accounts.migrations.0005_roles")
    staff, root, plain = StaffFactory(role=""), StaffFactory(is_superuser=True), UserFactory()
    gate = StaffFactory(role="gate")

    migration.make(apps, None)
    migration.make(apps, None)

    assert [role_of(User.objects.get(pk=one.pk)) for one in (staff, root, plain, gate)] == [
        "manager",
        "owner",
        "",
        "gate",
    ]
    migration.unmake(apps, None)
    assert not Group.objects.filter(name__in=ROLES).exists()


def test_owner_gives_a_role_with_a_reason(owner):
    person = UserFactory()

    assign_role(actor=owner, user_id=person.pk, role="manager", extras=frozenset([REVIEW_FACES]), reason=" Reviews ")

    held = User.objects.get(pk=person.pk)
    assert (role_of(held), held.has_perm(REVIEW_FACES), held.has_perm(EXCEED_CAPACITY)) == ("manager", True, False)
    kept = StaffAction.objects.get()
    assert (kept.actor, kept.reason, kept.before, kept.after) == (
        owner,
        "Reviews",
        {"role": "", "extras": []},
        {"role": "manager", "extras": [REVIEW_FACES]},
    )

    assign_role(actor=owner, user_id=person.pk, role="gate", reason="Moved to the door")
    held = User.objects.get(pk=person.pk)
    assert (role_of(held), held.has_perm(REVIEW_FACES), held.groups.count()) == ("gate", False, 1)

    assign_role(actor=owner, user_id=person.pk, role="", reason="Left")
    held = User.objects.get(pk=person.pk)
    assert (held.is_staff, role_of(held), held.has_perm("bookings.view_ticket")) == (False, "", False)


def test_people_are_told_what_they_have_become(owner):
    person = UserFactory()
    assign_role(actor=owner, user_id=person.pk, role="gate", reason="Door")
    assign_role(actor=owner, user_id=person.pk, role="gate", reason="Once more")
    assign_role(actor=owner, user_id=person.pk, role="", reason="Left")
    update_user(actor=owner, user_id=person.pk, is_organiser=True)
    update_user(actor=owner, user_id=person.pk, is_organiser=False)

    told = Notification.objects.filter(user=person).order_by("created_at", "id")
    assert sorted(told.values_list("kind", "url")) == [
        ("organiser", "/organiser"),
        ("staff_role", "/admin/"),
        ("staff_role_ended", "/profile"),
    ]
    assert told.get(kind="staff_role").context == {"role": "Gate", "duty": "tickets at the door"}


def test_administrator_made_a_manager_is_none_any_more(owner):
    root = StaffFactory(is_superuser=True)

    assign_role(actor=owner, user_id=root.pk, role="manager", reason="Handed over")

    assert not User.objects.get(pk=root.pk).has_perm("accounts.assign_roles")


def test_refusals(owner):
    person, manager = UserFactory(), StaffFactory()
    with pytest.raises(NotYours):
        assign_role(actor=manager, user_id=person.pk, role="gate", reason="x")
    with pytest.raises(OwnRights):
        assign_role(actor=owner, user_id=owner.pk, role="gate", reason="x")
    with pytest.raises(ReasonMissing):
        assign_role(actor=owner, user_id=person.pk, role="gate", reason=" ")
    with pytest.raises(UnknownRole):
        assign_role(actor=owner, user_id=person.pk, role="king", reason="x")
    with pytest.raises(NotForThisRole):
        assign_role(actor=owner, user_id=person.pk, role="box_office", extras=frozenset([REVIEW_FACES]), reason="x")
    with pytest.raises(NotFound):
        assign_role(actor=owner, user_id="00000000-0000-0000-0000-000000000000", role="gate", reason="x")
    assert not StaffAction.objects.exists()


def test_owner_unmade_a_moment_ago_decides_nothing(owner):
    other = StaffFactory(role="owner")
    assert other.has_perm("accounts.assign_roles")  # as its request knows it

    assign_role(actor=owner, user_id=other.pk, role="support", reason="First")

    with pytest.raises(NotYours):
        assign_role(actor=other, user_id=owner.pk, role="support", reason="Second")


def test_last_owner_can_not_be_taken_away(owner):
    gone = StaffFactory(role="owner", is_active=False)
    assert gone.is_staff

    with pytest.raises(LastOwner):
        erase_user(user_id=owner.pk)
    with pytest.raises(OwnRights):
        update_user(actor=owner, user_id=owner.pk, is_active=False)
    with pytest.raises(NotYours):
        update_user(actor=StaffFactory(), user_id=owner.pk, is_active=False)
    with pytest.raises(NotYours):
        erase_user(actor=StaffFactory(), user_id=owner.pk)

    second = StaffFactory(role="owner")
    update_user(actor=owner, user_id=second.pk, is_active=False)
    with pytest.raises(LastOwner):
        erase_user(user_id=owner.pk)
    erase_user(user_id=second.pk)
    StaffFactory(is_superuser=True)
    erase_user(user_id=owner.pk)


@pytest.mark.django_db(transaction=True)
def test_two_owners_who_close_one_another_leave_one():
    one, two = StaffFactory(role="owner"), StaffFactory(role="owner")
    closings = [
        lambda: update_user(actor=one, user_id=two.pk, is_active=False),
        lambda: update_user(actor=two, user_id=one.pk, is_active=False),
    ]

    outcomes = race(closings, gate="accounts_user")

    assert [type(error) for error in errors(outcomes)] == [LastOwner]
    assert owners().count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_owners_who_only_look_first_leave_none():
    one, two = StaffFactory(role="owner"), StaffFactory(role="owner")

    def naive(whom):
        if not owners().exclude(pk=whom.pk).exists():
            raise LastOwner
        return User.objects.filter(pk=whom.pk).update(is_active=False)

    race([lambda: naive(one), lambda: naive(two)], gate="accounts_user")

    assert owners().count() == 0


def test_manager_makes_nobody_an_owner_and_resets_nobody(client_for):
    manager, person = StaffFactory(), UserFactory()
    client = client_for(manager)

    for whom in (manager, person):
        dialog = reverse("admin:accounts_user_give_role", args=[whom.pk])
        wish = {"_form_submitted": "1", "role": "owner", "reason": "Because"}
        assert client.post(dialog, wish).status_code == 403
        assert client.post(reverse("admin:accounts_user_reset_mfa", args=[whom.pk]), wish).status_code == 403
    with pytest.raises(NotYours):
        assign_role(actor=manager, user_id=manager.pk, role="owner", reason="Because")
    assert not User.objects.filter(groups__name="owner").exists()


def test_organiser_in_the_admin_sees_their_own_events_alone(client_for):
    mine = OrganiserFactory(is_staff=True, role="organiser")
    own, others = TicketCategoryFactory(event__created_by=mine), TicketCategoryFactory()
    bookings = [hold(category, UserFactory()) for category in (own, others)]
    client = client_for(mine)

    events = client.get(reverse("admin:events_event_changelist")).content.decode()
    assert (own.event.name in events, others.event.name in events) == (True, False)
    shown = [client.get(reverse("admin:bookings_booking_change", args=[one.pk])).status_code for one in bookings]
    assert shown == [200, 404]
    dialog = "admin:events_event_change_details"
    assert [client.get(reverse(dialog, args=[one.event_id])).status_code for one in (own, others)] == [200, 404]
    search = client.get(reverse("admin:bookings_booking_changelist"), {"q": others.event.name}).content.decode()
    assert bookings[1].user.email not in search


def test_bulk_action_reaches_no_event_of_somebody_else(client_for):
    mine = OrganiserFactory(is_staff=True, role="organiser")
    others = TicketCategoryFactory().event

    client_for(mine).post(
        reverse("admin:events_event_changelist"), {"action": "cancel_selected", "_selected_action": [str(others.pk)]}
    )

    others.refresh_from_db()
    assert others.status == "published"
