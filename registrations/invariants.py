"""What must always be true of registrations, recounted from the rows; `manage.py check_invariants` names every breach."""

from collections.abc import Iterable

from django.conf import settings

from common.invariants import invariant, rows


@invariant("registrations.attempts")
def attempts_are_counted() -> Iterable[str]:
    """I7: as many tries are counted as were made in this epoch, and never more were scored than anybody may have."""
    yield from rows(
        """
        SELECT registration.id, registration.verification_attempts, count(attempt.id)
        FROM registrations_registration registration
        LEFT JOIN registrations_verificationattempt attempt ON attempt.registration_id = registration.id
            AND attempt.epoch = registration.attempts_epoch AND attempt.status IN ('reserved', 'passed', 'mismatch')
        GROUP BY registration.id HAVING registration.verification_attempts <> count(attempt.id)
        """,
        "registration {0} counts {1} tries and has {2}",
    )
    yield from rows(
        f"""
        SELECT registration_id, epoch, count(*) FROM registrations_verificationattempt
        WHERE status IN ('reserved', 'passed', 'mismatch')
        GROUP BY registration_id, epoch HAVING count(*) > {int(settings.MAX_VERIFICATION_ATTEMPTS)}
        """,  # noqa: S608
        "registration {0} had {2} tries in epoch {1}",
    )


@invariant("registrations.gate")
def tickets_have_a_pass() -> Iterable[str]:
    """
    I8: whoever has a ticket for an event that checks faces was verified by their face or by staff with a reason.

    A gift is somebody's before they were verified; its tickets open no door until somebody verified holds them.
    """
    yield from rows(
        """
        SELECT booking.reference FROM bookings_booking booking JOIN events_event event ON event.id = booking.event_id
        WHERE booking.status = 'confirmed' AND NOT booking.comp AND event.requires_face_verification AND NOT EXISTS (
            SELECT 1 FROM registrations_registration registration
            WHERE registration.user_id = booking.user_id AND registration.event_id = booking.event_id
                AND registration.status = 'verified'
        )
        """,
        "booking {0} is for an event that checks faces, and its buyer was not verified",
    )
    yield from rows(
        """
        SELECT booking.reference, ticket.number FROM bookings_ticket ticket
        JOIN bookings_booking booking ON booking.id = ticket.booking_id
        JOIN events_event event ON event.id = booking.event_id
        WHERE ticket.status IN ('active', 'used') AND (ticket.personal OR event.requires_face_verification) AND NOT EXISTS (
            SELECT 1 FROM registrations_registration registration
            WHERE registration.user_id = ticket.holder_id AND registration.event_id = booking.event_id
                AND registration.status = 'verified'
        )
        """,
        "ticket {1} of booking {0} opens the door of an event that checks faces, and its holder was not verified",
    )
    yield from rows(
        """
        SELECT registration.id FROM registrations_registration registration
        WHERE registration.passed_by = 'face' AND NOT EXISTS (
            SELECT 1 FROM registrations_verificationattempt attempt
            WHERE attempt.registration_id = registration.id AND attempt.status = 'passed'
        ) AND NOT EXISTS (
            SELECT 1 FROM registrations_reviewdecision decision
            WHERE decision.registration_id = registration.id AND decision.action = 'recheck'
        )
        """,
        "registration {0} says its face passed, and no comparison did",
    )
    yield from rows(
        """
        SELECT registration.id FROM registrations_registration registration
        WHERE registration.passed_by = 'staff' AND NOT EXISTS (
            SELECT 1 FROM registrations_reviewdecision decision
            WHERE decision.registration_id = registration.id AND decision.action IN ('approve', 'override')
        )
        """,
        "registration {0} was verified by staff, and nobody gave a reason",
    )


@invariant("registrations.audit")
def decisions_are_in_the_audit() -> Iterable[str]:
    """I9: every decision of staff is in their audit."""
    return rows(
        """
        SELECT decision.registration_id, decision.action, count(*)
        FROM registrations_reviewdecision decision
        GROUP BY decision.registration_id, decision.action
        HAVING count(*) <> (
            SELECT count(*) FROM accounts_staffaction noted
            WHERE noted.object_type = 'registration' AND noted.object_id = decision.registration_id::text
                AND noted.action = 'registration_' || decision.action
        )
        """,
        "registration {0} had {2} decisions to {1}, and the audit does not say the same",
    )
