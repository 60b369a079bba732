"""
The quality gate, at enrolment and at every check.

It is a security control: measured with the local engine, two different people whose pictures are both blurred pass as one in
up to 56 of 100 pairs, and in none once the gate has refused such pictures.
"""

from faceverify.engines.base import Analysis
from faceverify.refusals import QUALITY, QualityRefusal


class Gate:
    """Limits for one engine's figures; None: that engine does not measure it."""

    def __init__(
        self,
        *,
        confidence: float,
        brightness: tuple[float, float],
        sharpness: float,
        contrast: float | None = None,
        turn: float | None = None,
        yaw: float | None = None,
    ) -> None:
        self.confidence = confidence
        self.brightness = brightness
        self.sharpness = sharpness
        self.contrast = contrast
        self.turn = turn
        self.yaw = yaw

    def reasons(self, seen: Analysis, *, turned_is_fine: bool = False) -> tuple[str, ...]:
        """Return the codes for which a picture with exactly one face will not do, worst first."""
        darkest, brightest = self.brightness
        pose = seen.pose
        checks = {
            "face_dark": seen.brightness < darkest,
            "face_bright": seen.brightness > brightest,
            "face_flat": self.contrast is not None and seen.contrast is not None and seen.contrast < self.contrast,
            "face_blurry": seen.sharpness < self.sharpness,
            "face_covered": seen.occluded is not None and seen.occluded.value and seen.occluded.confidence >= 90,
            "face_turned": not turned_is_fine and pose is not None and self.is_turned(pose.turn, pose.yaw),
            "face_unclear": seen.confidence < self.confidence,
        }
        return tuple(code for code, wrong in checks.items() if wrong)

    def is_turned(self, turn: float | None, yaw: float | None) -> bool:
        """Whether the head is turned too far away, in whichever way the engine measures it."""
        far = self.turn is not None and turn is not None and abs(turn) > self.turn
        return far or (self.yaw is not None and yaw is not None and abs(yaw) > self.yaw)


def refuse_unusable(seen: Analysis) -> None:
    """
    Let a picture pass that has nothing against it.

    :raises QualityRefusal: the class of its worst reason, with all of them in `reasons`
    """
    if seen.reasons:
        kind: type[QualityRefusal] = QUALITY[seen.reasons[0]]
        raise kind(reasons=list(seen.reasons))
