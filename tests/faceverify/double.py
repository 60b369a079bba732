"""
A double of Rekognition on loopback: speaks its wire protocol (AWS JSON 1.1) to the real boto3 client and answers with the local
engine, so that the engine for AWS is tested end to end. moto is no help here: its CompareFaces finds everybody alike.
"""

import base64
import json
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from faceverify.engines.local import MODELS, Face, LocalEngine, distance, luma_of, sharpness_of, similarity
from faceverify.intake import normalise
from faceverify.refusals import ImageInvalid, ImageTooLarge

LIMIT = 5 * 1024 * 1024


class Fault(Exception):
    """An error as the service sends it."""

    def __init__(self, code: str, status: int = 400) -> None:
        self.code = code
        self.status = status
        super().__init__(code)


class Double:
    """The service: what it was asked, what it is told to fail with, and its liveness sessions."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.faults: list[Fault] = []
        self.answers: list[dict[str, Any]] = []
        self.delay = 0.0
        self.sessions: dict[str, dict[str, Any]] = {}
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler_for(self))
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def asked(self, operation: str) -> list[dict[str, Any]]:
        """What one operation was asked, in order."""
        return [body for name, body in self.calls if name == operation]

    def answer(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        self.calls.append((operation, body))
        time.sleep(self.delay)
        if self.faults:
            raise self.faults.pop(0)
        if self.answers:
            return self.answers.pop(0)
        return getattr(self, operation)(body)

    def DetectFaces(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"FaceDetails": [described(image, face) for image, face in faces_in(body["Image"])]}

    def CompareFaces(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        source, target = faces_in(body["SourceImage"]), faces_in(body["TargetImage"])
        if not source or not target:
            raise Fault("InvalidParameterException")
        known = MODELS.embed(source[0][1])
        matches, others = [], []
        for image, face in target:
            alike = similarity(distance(known, MODELS.embed(face)))
            if alike >= body.get("SimilarityThreshold", 80):
                matches.append({"Similarity": alike, "Face": described(image, face)})
            else:
                others.append(described(image, face))
        first = described(*source[0])
        return {
            "SourceImageFace": {"BoundingBox": first["BoundingBox"], "Confidence": first["Confidence"]},
            "FaceMatches": sorted(matches, key=lambda match: -match["Similarity"]),
            "UnmatchedFaces": others,
        }

    def CreateFaceLivenessSession(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        key = str(uuid.uuid5(uuid.NAMESPACE_URL, body["ClientRequestToken"]))
        self.sessions.setdefault(key, {"SessionId": key, "Status": "CREATED"})
        return {"SessionId": key}

    def GetFaceLivenessSessionResults(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        if body["SessionId"] not in self.sessions:
            raise Fault("SessionNotFoundException")
        return self.sessions[body["SessionId"]]

    def film(self, session_id: str, image: bytes, confidence: float) -> None:
        """Let a person have been before the camera."""
        self.sessions[session_id] |= {
            "Status": "SUCCEEDED",
            "Confidence": confidence,
            "ReferenceImage": {"Bytes": base64.b64encode(image).decode()},
        }


def faces_in(image: dict[str, Any]) -> list[tuple[Any, Face]]:
    """Every face in a picture as it came over the wire."""
    if "Bytes" not in image:
        raise Fault("InvalidS3ObjectException")
    content = base64.b64decode(image["Bytes"])
    if len(content) > LIMIT:
        raise Fault("ImageTooLargeException")
    try:
        taken = normalise(content, max_side=LocalEngine.max_side)
    except (ImageInvalid, ImageTooLarge):
        raise Fault("InvalidImageFormatException") from None
    return [(taken, face) for face in MODELS.find(taken.pixels)]


def described(image: Any, face: Face) -> dict[str, Any]:
    """A face as DetectFaces describes it."""
    luma = luma_of(face.chip)
    box = face.rectangle
    return {
        "BoundingBox": {
            "Left": box.left() / image.width,
            "Top": box.top() / image.height,
            "Width": box.width() / image.width,
            "Height": box.height() / image.height,
        },
        "Confidence": min(100.0, 90 + 10 * face.score),
        "Quality": {"Brightness": float(luma.mean() / 2.55), "Sharpness": sharpness_of(luma)},
        "Pose": {"Roll": face.pose.roll, "Yaw": 90 * (face.pose.turn or 0), "Pitch": 0.0},
        "EyesOpen": {"Value": True, "Confidence": 98.0},
        "MouthOpen": {"Value": False, "Confidence": 97.0},
        "FaceOccluded": {"Value": False, "Confidence": 99.0},
    }


def handler_for(double: Double) -> type[BaseHTTPRequestHandler]:
    """The HTTP side of a double."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            operation = self.headers["X-Amz-Target"].rpartition(".")[2]
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            try:
                status, answer = 200, double.answer(operation, body)
            except Fault as fault:
                status, answer = fault.status, {"__type": fault.code, "Message": fault.code}
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("x-amzn-RequestId", str(uuid.uuid4()))
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: Any) -> None:
            pass

    return Handler
