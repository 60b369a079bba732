"""Static files as production serves them."""

import re
from pathlib import Path

from django.contrib.staticfiles.storage import StaticFilesStorage

from config.static_files import HashedStaticFiles

STATIC = Path(__file__).resolve().parents[2] / "static"


def test_a_script_imports_the_hashed_names_of_others(tmp_path):
    storage = HashedStaticFiles(location=tmp_path, base_url="/static/")
    (tmp_path / "js").mkdir()
    for name in ("js/clock.js", "js/gate-store.js", "js/page.js"):
        (tmp_path / name).write_bytes((STATIC / name).read_bytes())
    ours = StaticFilesStorage(location=tmp_path, base_url="/static/")

    scripts = {f"js/{name}.js": (ours, f"js/{name}.js") for name in ("clock", "gate-store", "page")}
    named = {name: hashed for name, hashed, _ in storage.post_process(scripts) if hashed.endswith(".js")}

    script = (tmp_path / named["js/page.js"]).read_text()
    assert re.findall(r'"\./(.*?)"', script) == [Path(named[f"js/{name}.js"]).name for name in ("clock", "gate-store")]


def test_every_import_of_a_script_is_one_that_is_renamed():
    imports = {
        line.strip()
        for script in (STATIC / "js").glob("*.js")
        for line in script.read_text().splitlines()
        if re.search(r"^\s*(import|export)\b.*[\"']\./|import\([\"']", line)
    }

    assert imports
    assert all(re.search(r'from "\./[\w-]+\.js";$|import\("\./[\w-]+\.js"\)', line) for line in imports)
