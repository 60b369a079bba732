"""Who is staff and in which role: only owners decide, with a reason, and never about themselves."""

from uuid import UUID

from django.contrib.auth.models import Group, Permission
from django.db import transaction
from django.db.models import Q

from accounts import news
from accounts.models import User
from accounts.roles import ASSIGN, EXTRAS, ROLES, role_of
from accounts.services.audit import record_staff_action
from accounts.services.profiles import NotYours, OwnRights, load_user, lock_owners
from common.errors import Invalid


class UnknownRole(Invalid):
    code = "unknown_role"
    message = "There is no such role."


class NotForThisRole(Invalid):
    code = "not_for_this_role"
    message = "Only managers are given rights beyond their role; owners have them all."


class ReasonMissing(Invalid):
    code = "reason_required"
    message = "Write a reason: it is kept with your name."


@transaction.atomic
def assign_role(*, actor: User, user_id: UUID, role: str, extras: frozenset[str] = frozenset(), reason: str) -> User:
    """
    Make somebody staff with this role, or with "" no longer staff. `extras` are rights of accounts.roles.EXTRAS.

    Owners decide one after the other, each as who they are when their turn comes: two can not unmake one another.

    :raises NotYours: if `actor` is no owner
    :raises OwnRights: if it is about themselves
    :raises NotFound: if there is no such person
    :raises ReasonMissing: if there is no reason
    :raises UnknownRole: if there is no such role
    :raises NotForThisRole: if extras come with another role than the manager's
    """
    lock_owners()
    deciding = User.objects.filter(pk=actor.pk, is_active=True).first()
    if actor.lacks_second_factor or deciding is None or not deciding.has_perm(ASSIGN):
        raise NotYours
    if actor.pk == user_id:
        raise OwnRights
    reason = reason.strip()
    if not reason:
        raise ReasonMissing
    if role and role not in ROLES:
        raise UnknownRole
    if extras and role != "manager":
        raise NotForThisRole
    user = load_user(user_id)
    before = standing(user)
    User.objects.filter(pk=user_id).update(is_staff=bool(role), is_superuser=user.is_superuser and role == "owner")
    user.groups.remove(*Group.objects.filter(name__in=ROLES))
    if role:
        user.groups.add(Group.objects.get(name=role))
    user.user_permissions.remove(*permissions(EXTRAS))
    user.user_permissions.add(*permissions(extras))
    changed = User.objects.get(pk=user_id)
    record_staff_action(
        actor_id=actor.pk,
        action="assign_role",
        object_type="user",
        object_id=user_id,
        before=before,
        after=standing(changed),
        reason=reason,
    )
    if before["role"] != role:
        told = ROLES[role] if role else None
        news.role_changed(user_id=user_id, role=told.label if told else "", duty=told.duty if told else "")
    return changed


def permissions(names: frozenset[str] | tuple[str, ...]) -> list[Permission]:
    """Return the permissions of these names (`app.codename`)."""
    which = Q(pk__in=[])
    for name in names:
        app, _, codename = name.partition(".")
        which |= Q(content_type__app_label=app, codename=codename)
    return list(Permission.objects.filter(which))


def extras_of(user: User) -> list[str]:
    """Return the rights beyond the role that somebody was given."""
    given = user.user_permissions.select_related("content_type")
    return sorted({f"{one.content_type.app_label}.{one.codename}" for one in given} & set(EXTRAS))


def standing(user: User) -> dict[str, object]:
    """Return what the audit keeps of somebody's role."""
    return {"role": role_of(user), "extras": extras_of(user)}
