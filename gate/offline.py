"""What a phone keeps of the site to scan without network: the shell of the gate's page, and the files it is made of."""

import json
import re
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import staticfiles_storage
from django.http import HttpRequest
from django.template.loader import get_template, render_to_string
from django.urls import reverse

from gate.lists import public_key
from gate.reasons import Reason

FILES = (
    "css/app.css",
    "fonts/inter-latin-wght-normal.woff2",
    "img/icon.svg",
    "js/page.js",
    "js/gate.js",
    "vendor/qr/decode.js",
)
IMPORT = re.compile(rb"""from ["']\./([\w.-]+\.js)["'];""")
OURS = "js/"  # scripts in which imports are named after their content in production; packages are served as they are


def worker(request: HttpRequest) -> str:
    """Return the service worker: its version, and what it keeps, are written into it."""
    files = {address: address != f"{settings.STATIC_URL}{name}" for name, address in addresses().items()}
    words = {"version": version(), "shell": reverse("gate-shell"), "files": json.dumps(files, indent=2)}
    return render_to_string("gate/worker.js", words)


def addresses() -> dict[str, str]:
    """Return where the shell's files are served, and those that its scripts import."""
    found = {name: staticfiles_storage.url(name) for name in FILES}
    waiting = [name for name in FILES if name.endswith(".js")]
    while waiting:
        script = waiting.pop()
        for imported in IMPORT.findall(content(script)):
            name = f"{script.rpartition('/')[0]}/{imported.decode()}"
            if name not in found:
                ours = script.startswith(OURS)
                found[name] = staticfiles_storage.url(name) if ours else f"{settings.STATIC_URL}{name}"
                waiting.append(name)
    return found


def shell_context(request: HttpRequest) -> dict[str, Any]:
    """Return what the shell shows, which is the same for everybody: it is made for nobody in particular."""
    request.user = AnonymousUser()
    return {
        "version": version(),
        "key": public_key(),
        "words": words(),
        "sight_seconds": settings.GATE_SIGHT_SECONDS,
    }


def words() -> dict[str, str]:
    """Return what to say for each reason, for the script."""
    return {reason.value: str(reason.label) for reason in Reason}


def version() -> str:
    """Return a name for what the gate's page is made of now; another deploy with other files has another one."""
    return made_version() if settings.DEBUG else kept_version()


@lru_cache(maxsize=1)
def kept_version() -> str:
    """Return the version of a process whose files do not change."""
    return made_version()


def made_version() -> str:
    """Return the hash of everything that a phone keeps."""
    parts = [public_key().encode(), json.dumps(words()).encode(), str(settings.GATE_SIGHT_SECONDS).encode()]
    parts += [content(name) for name in addresses()]
    for name in ("gate/worker.js", "gate/shell.html", "gate/scanner.html", "base.html"):
        parts.append(Path(get_template(name).origin.name).read_bytes())  # type: ignore[attr-defined]
    return sha256(b"\0".join(parts)).hexdigest()[:16]


def content(name: str) -> bytes:
    """Return a static file."""
    found = finders.find(name)
    if isinstance(found, str):
        return Path(found).read_bytes()
    with staticfiles_storage.open(name) as file:
        return bytes(file.read())
