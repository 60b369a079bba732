"""Uploads: multipart bodies, with names in camelCase or snake_case like everywhere else."""

import re
from typing import Any

from django.conf import settings
from django.http import QueryDict
from django.utils.datastructures import MultiValueDict
from rest_framework.parsers import DataAndFiles, MultiPartParser

from faceverify.refusals import ImageTooLarge
from faceverify.services.references import MOST_PHOTOS

ROOM = 64 * 1024  # for what is not a picture


class UploadParser(MultiPartParser):
    """Reads a multipart body that is no larger than the pictures it may hold."""

    most_files = MOST_PHOTOS

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> DataAndFiles:
        length = int(parser_context["request"].META.get("CONTENT_LENGTH") or 0)
        if length > self.most_files * settings.FACE_MAX_BYTES + ROOM:
            raise ImageTooLarge
        body = super().parse(stream, media_type, parser_context)
        return DataAndFiles(with_snake_keys(body.data), with_snake_keys(body.files))


class FramesParser(UploadParser):
    """Reads the frames of a head-turn check, which are small."""

    most_files = 4


def with_snake_keys(values: MultiValueDict) -> MultiValueDict:
    """Return the same values under names in snake_case."""
    renamed: MultiValueDict = QueryDict(mutable=True) if isinstance(values, QueryDict) else MultiValueDict()
    for name, items in values.lists():
        renamed.setlist(re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower(), items)
    return renamed
