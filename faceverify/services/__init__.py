"""
What can be done with faces. Nothing here knows of events or registrations.

A check, as the layer above does it: `claim_probe` and reserve an attempt in one transaction; in a worker, outside of any
transaction, `compare`; whatever that raises gives the attempt back; then `discard_image`, or leave the picture of a miss for
the review. When a registration is frozen to a reference, `keep_reference` until the event's end.
"""

from faceverify.services.consent import consent_of, give_consent, require_consent, withdraw_consent
from faceverify.services.deletion import Purged, discard_image, erase_faces, forget_reference, purge
from faceverify.services.liveness import finish_liveness, finish_pose_challenge, start_liveness, use_liveness
from faceverify.services.probes import (
    Comparison,
    analyse_probe,
    claim_probe,
    compare,
    presign_probe,
    store_probe,
)
from faceverify.services.references import (
    current_reference,
    default_threshold,
    enrol,
    keep_reference,
    require_reference,
)
from faceverify.services.review import crop_for_review, image_for_review

__all__ = [
    "Comparison",
    "Purged",
    "analyse_probe",
    "claim_probe",
    "compare",
    "consent_of",
    "crop_for_review",
    "current_reference",
    "default_threshold",
    "discard_image",
    "enrol",
    "erase_faces",
    "finish_liveness",
    "finish_pose_challenge",
    "forget_reference",
    "give_consent",
    "image_for_review",
    "keep_reference",
    "presign_probe",
    "purge",
    "require_consent",
    "require_reference",
    "start_liveness",
    "store_probe",
    "use_liveness",
    "withdraw_consent",
]
