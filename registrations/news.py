"""What people are told about decisions of staff on their face check, each once per decision."""

from accounts.notifications import Kind, notify, register
from registrations.models import Registration, ReviewDecision

Action = ReviewDecision.Action
APPROVED = register(
    Kind(
        name="verification_approved",
        title="You are verified for {event}",
        body="A person looked at your face check and approved it. See what comes next.",
        group="verification",
        template="notice",
    )
)
REJECTED = register(
    Kind(
        name="verification_rejected",
        title="Your face check for {event} was not approved",
        body="A person looked at it and decided that it can not be approved. If you think that is wrong, answer this mail or"
        " write to us.",
        group="verification",
        template="notice",
    )
)
RETRY = register(
    Kind(
        name="verification_retry",
        title="Please try your face check for {event} again",
        body="A person looked at it and gave you new tries. Good light and a picture from the front help most.",
        group="verification",
        template="notice",
    )
)
OVERRIDDEN = register(
    Kind(
        name="verification_overridden",
        title="Your ticket for {event} comes without a face check",
        body="Our staff answered for you: nothing more is to be checked.",
        mail=False,  # the ticket's own says it all
        group="verification",
    )
)
KINDS = {
    Action.APPROVE: APPROVED,
    Action.RECHECK: APPROVED,
    Action.REJECT: REJECTED,
    Action.REQUEST_RETRY: RETRY,
    Action.OVERRIDE: OVERRIDDEN,
}


def decided(registration: Registration, decision: ReviewDecision) -> None:
    """Tell somebody what staff decided; the staff's reason is a note among them and stays there."""
    notify(
        user_id=registration.user_id,
        kind=KINDS[Action(decision.action)].name,
        cause=str(decision.pk),
        url=f"/registrations/{registration.pk}",
        event=registration.event.name,
    )
