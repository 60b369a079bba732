"""Consent: given to the exact text, withdrawn with everything that depends on it."""

from uuid import UUID

import structlog
from django.db import transaction
from django.db.models.functions import Now

from faceverify.models import BiometricConsent
from faceverify.policy import current_policy
from faceverify.refusals import ConsentOutdated, ConsentRequired
from faceverify.services import deletion
from faceverify.signals import consent_withdrawn

log = structlog.get_logger(__name__)


@transaction.atomic
def give_consent(*, user_id: UUID, policy_version: str, language: str = "en", method: str) -> BiometricConsent:
    """
    Write down that a person agrees to the text in force, and return the record; agreeing again changes nothing.

    :raises ConsentOutdated: if `policy_version` is not the text in force
    """
    policy = current_policy(language)
    if policy_version != policy.version:
        raise ConsentOutdated(text_version=policy.version)
    live = lock_consent(user_id)
    if live is not None and live.policy_version == policy.version:
        return live
    if live is not None:
        BiometricConsent.objects.filter(pk=live.pk).update(withdrawn_at=Now())
    # Of two that agree at once the unique constraint lets one in; the other finds its row.
    BiometricConsent.objects.bulk_create(
        [
            BiometricConsent(
                user_id=user_id,
                policy_version=policy.version,
                text_sha256=policy.sha256,
                language=policy.language,
                method=method,
            )
        ],
        ignore_conflicts=True,
    )
    return require_consent(user_id)


@transaction.atomic
def withdraw_consent(*, user_id: UUID) -> None:
    """Withdraw a person's consent: their faces are forgotten in the same transaction, their tickets stay."""
    BiometricConsent.objects.filter(user_id=user_id, withdrawn_at=None).update(withdrawn_at=Now())
    deletion.forget_everything(user_id=user_id, why="consent_withdrawn")
    consent_withdrawn.send(BiometricConsent, user_id=user_id)
    log.info("faces.consent_withdrawn", user=str(user_id))


def consent_of(*, user_id: UUID) -> BiometricConsent | None:
    """Return a person's consent if it is in force."""
    return BiometricConsent.objects.filter(user_id=user_id, withdrawn_at=None).first()


def require_consent(user_id: UUID) -> BiometricConsent:
    """
    Return a person's consent.

    :raises ConsentRequired: if there is none in force
    """
    consent = consent_of(user_id=user_id)
    if consent is None:
        raise ConsentRequired
    return consent


def lock_consent(user_id: UUID) -> BiometricConsent | None:
    """Return a person's consent, locked, so that it is not withdrawn while something is stored under it."""
    return BiometricConsent.objects.select_for_update(no_key=True).filter(user_id=user_id, withdrawn_at=None).first()
