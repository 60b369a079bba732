"""Uploads as a client makes them: multipart, by the Api of the tests."""

from faceverify.drawings import photo
from tests.client import Api, Reply
from tests.registrations.scenes import shot

BOUNDARY = "----fairseat-test"


def upload(api: Api, method: str, path: str, name: str, content: bytes, **fields: str) -> Reply:
    """Send one file and some fields as a form."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
        for key, value in fields.items()
    ]
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="me.jpg"\r\n'
    parts.append(head.encode() + b"Content-Type: image/jpeg\r\n\r\n" + content + b"\r\n")
    body = b"".join([*parts, f"--{BOUNDARY}--\r\n".encode()])
    return api.send(method, path, body, **{"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"})


def put_profile_photo(api: Api, drawn: int) -> Reply:
    """Agree to the text in force and enrol a drawn person."""
    text = api.get("/api/v1/auth/profile/photo").body["data"]
    return upload(
        api,
        "PUT",
        "/api/v1/auth/profile/photo",
        "photo",
        photo(drawn),
        consent="true",
        textVersion=text["policy"]["textVersion"],
    )


def face_image_key(api: Api, drawn: int, variant: int) -> str:
    """Upload a picture of a drawn person and return its key."""
    status, body = upload(api, "POST", "/api/v1/face-images", "image", shot(drawn, variant))
    assert status == 201, body
    return body["data"]["faceImageKey"]
