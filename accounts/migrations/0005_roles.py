"""
The roles of staff as groups. Whoever was staff until now could see and change everything, and becomes a manager.

What each group may do is filled in when all apps have migrated (accounts.roles.fill_groups), because the permissions of other
apps may not exist yet at this point.
"""

from django.db import migrations
from django.db.models import Q

NAMES = ["owner", "manager", "box_office", "gate", "support", "organiser"]


def make(apps, schema_editor):
    Group, User = apps.get_model("auth", "Group"), apps.get_model("accounts", "User")
    Group.objects.bulk_create([Group(name=name) for name in NAMES], ignore_conflicts=True)
    manager = Group.objects.get(name="manager")
    staff = User.objects.filter(is_staff=True, is_superuser=False).filter(~Q(groups__name__in=NAMES))
    manager.user_set.add(*staff.values_list("pk", flat=True))


def unmake(apps, schema_editor):
    apps.get_model("auth", "Group").objects.filter(name__in=NAMES).delete()


class Migration(migrations.Migration):
    dependencies = [("accounts", "0004_second_factor"), ("auth", "0012_alter_user_first_name_max_length")]

    operations = [migrations.RunPython(make, unmake)]
