"""Faces of tests lie in a folder of each test's own."""

import pytest


@pytest.fixture(autouse=True)
def store(settings, tmp_path):
    """The private store of this test."""
    folder = tmp_path / "faces"
    settings.STORAGES = settings.STORAGES | {
        "faces": {"BACKEND": "faceverify.storage.PrivateFiles", "OPTIONS": {"location": folder}}
    }
    return folder


@pytest.fixture
def ana(db, user_factory):
    return user_factory(email="ana@example.test", name="Ana")


@pytest.fixture
def ben(db, user_factory):
    return user_factory(email="ben@example.test", name="Ben")


@pytest.fixture
def reviewer(db, user_factory):
    """Staff who may look at faces."""
    from django.contrib.auth.models import Permission

    staff = user_factory(email="reviewer@example.test", is_staff=True)
    staff.user_permissions.add(Permission.objects.get(codename="review_faces"))
    return staff
