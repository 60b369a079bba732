"""Static files in production: named after their content, so that browsers may keep them for ever."""

from typing import Any

from whitenoise.storage import CompressedManifestStaticFilesStorage


class HashedStaticFiles(CompressedManifestStaticFilesStorage):
    """
    Also what one of our scripts imports from another is named after its content.

    Django's own switch for that rewrites every script; those of packages we serve as they are, so it is ours alone here.
    """

    patterns: Any = (
        *CompressedManifestStaticFilesStorage.patterns,
        (
            "js/*.js",
            (
                (r"""(?P<matched>from "(?P<url>\./.*?)";)""", """from "%(url)s";"""),
                (r"""(?P<matched>import\("(?P<url>\./.*?)"\))""", """import("%(url)s")"""),
            ),
        ),
    )
