"""What must always be true of faces."""

from collections.abc import Iterable

from common.invariants import invariant, rows


@invariant("faces.none_overdue")
def nothing_overdue() -> Iterable[str]:
    """Every face is gone a day after its time at the latest; the purge runs every hour."""
    yield from rows(
        """
        SELECT id, 'reference' FROM faceverify_facereference
        WHERE forgotten_at IS NULL AND delete_after < statement_timestamp() - interval '1 day'
        UNION ALL
        SELECT id, 'picture' FROM faceverify_faceimage
        WHERE deleted_at IS NULL AND delete_after < statement_timestamp() - interval '1 day'
        """,
        "{1} {0} should have been deleted",
    )


@invariant("faces.only_with_consent")
def only_with_consent() -> Iterable[str]:
    """A face is kept only of people whose consent is in force and whose account exists."""
    yield from rows(
        """
        SELECT face.id, face.what FROM (
            SELECT id, user_id, 'reference' AS what FROM faceverify_facereference WHERE forgotten_at IS NULL
            UNION ALL
            SELECT id, owner_id, 'picture' FROM faceverify_faceimage WHERE deleted_at IS NULL
        ) AS face
        JOIN accounts_user person ON person.id = face.user_id
        WHERE person.erased_at IS NOT NULL OR NOT EXISTS (
            SELECT FROM faceverify_biometricconsent consent
            WHERE consent.user_id = face.user_id AND consent.withdrawn_at IS NULL
        )
        """,
        "{1} {0} is kept without consent",
    )
