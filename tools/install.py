"""
Makes `.venv` and puts into it what the project needs; `make` calls it with nothing but Python's standard library.

    python3.11 tools/install.py [dev] [browser]

What was installed is remembered by a hash of the requirement files, so a second call returns at once.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
FILES = {"runtime": "requirements.txt", "dev": "requirements-dev.txt"}
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def main(wanted: list[str]) -> None:
    if sys.version_info[:2] != (3, 11):
        stop(
            f"Fairseat runs on Python 3.11, this is {sys.version.split()[0]}. Say where it is: make PYTHON=/…/python3.11 run"
        )
    with (ROOT / ".venv.lock").open("a") as lock:  # two copies started at once install once
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_whole():
            make_venv()
        install("dev" if "dev" in wanted else "runtime")
        if "browser" in wanted:
            get_browser()


def is_whole() -> bool:
    """Whether `.venv` is a finished virtual environment of this very directory."""
    script = "import sys, pip; sys.exit(sys.prefix != sys.argv[1])"
    return PYTHON.exists() and works(PYTHON, "-c", script, VENV)


def make_venv() -> None:
    """Create the virtual environment, also where Debian has split `venv` off and left it out."""
    say("Creating .venv")
    shutil.rmtree(VENV, ignore_errors=True)
    if works(sys.executable, "-m", "venv", VENV):
        return
    package = "python3.11-venv"
    if not apt_install(package):
        stop(f"Python's venv module is incomplete on this machine. Run: sudo apt-get install -y {package}")
    shutil.rmtree(VENV, ignore_errors=True)
    if not works(sys.executable, "-m", "venv", VENV, quiet=False):
        stop("The virtual environment could not be made; the reason is above.")


def install(kind: str) -> None:
    """Install the packages of one kind unless exactly those are installed already."""
    # Whoever has the development packages has the runtime packages.
    if any(is_installed(other) for other in {kind, "dev"}):
        return
    say(f"Installing {FILES[kind]}")
    pip = [PYTHON, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    if not works(*pip, "-r", ROOT / FILES[kind], "-c", ROOT / "constraints.txt", quiet=False):
        stop("pip could not install everything; its message is above.")
    stamp(kind).write_text(digest(kind))


def is_installed(kind: str) -> bool:
    """Whether the packages of one kind were installed from the files as they are now."""
    return stamp(kind).is_file() and stamp(kind).read_text() == digest(kind)


def stamp(kind: str) -> Path:
    """Return the file that remembers what was installed."""
    return VENV / f"installed-{kind}"


def digest(kind: str) -> str:
    """Return a hash of everything that decides what `kind` installs."""
    names = sorted({"constraints.txt", FILES["runtime"], FILES[kind]})
    return hashlib.sha256(b"\0".join((ROOT / name).read_bytes() for name in names)).hexdigest()


def get_browser() -> None:
    """See that the browser tests find a Chromium: the machine's own, Debian's package, or Playwright's download."""
    if not driver_works():
        say("Playwright's driver needs a library")
        if not (apt_install("libatomic1") and driver_works()):
            stop("The browser tests need Chromium and a library. Run: sudo apt-get install -y chromium libatomic1")
    if browser_works():
        return
    say("Getting Chromium for the browser tests")
    if apt_install("chromium") and browser_works():
        return
    if works(PYTHON, "-m", "playwright", "install", "chromium", quiet=False) and browser_works():
        return
    stop("The browser tests need Chromium. Run: sudo apt-get install -y chromium")


def driver_works() -> bool:
    """Whether Playwright's own process starts."""
    return works(PYTHON, "-m", "playwright", "--version")


def browser_works() -> bool:
    """Whether a Chromium is there and starts."""
    script = (
        "from playwright.sync_api import sync_playwright\n"
        "with sync_playwright() as p: print(p.chromium.executable_path)"
    )
    own = subprocess.run([str(PYTHON), "-c", script], capture_output=True, text=True, check=False).stdout.strip()
    return any(works(path, "--version") for path in [*map(shutil.which, BROWSERS), own] if path and Path(path).exists())


def apt_install(package: str) -> bool:
    """Install a Debian package if we may."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return False
    say(f"Installing the Debian package {package}")
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    apt = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", package]
    return works(*apt) or (works("apt-get", "update", "-qq") and works(*apt, quiet=False))


def works(*command: object, quiet: bool = True) -> bool:
    """Run a command; whether it succeeded."""
    output = subprocess.DEVNULL if quiet else None
    done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False)
    return done.returncode == 0


def say(message: str) -> None:
    sys.stderr.write(f"{message} …\n")


def stop(message: str) -> None:
    sys.exit(message)


if __name__ == "__main__":
    main(sys.argv[1:])
