"""The form that may bring a file: its fields, and the file, from either encoding of a form."""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl

from python_multipart import FormParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, File, parse_options_header
from starlette.requests import Request

_MOST_FIELDS = 200

# What it says of broken forms is no news to us, and could quote a stranger.
logging.getLogger("python_multipart").setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class Sent:
    """What a form sent: the values of each field, and the bytes of its file, empty without one."""

    fields: Mapping[str, Sequence[str]]
    file: bytes = b""

    def last(self) -> dict[str, str]:
        """The last value of every field."""
        return {name: values[-1] for name, values in self.fields.items()}


def sent_in(request: Request) -> Sent:
    """Read a form, urlencoded or multipart (RFC 7578); what is no form has no fields."""
    said = request.headers.get("content-type", "").encode("latin-1")
    kind, options = parse_options_header(said)
    body: bytes = request.state.body
    try:
        if kind == b"multipart/form-data":
            return _parts(body, options.get(b"boundary", b""))
        text = body.decode("ascii", "replace")
        pairs = parse_qsl(text, max_num_fields=_MOST_FIELDS, keep_blank_values=True)
    except (FormParserError, ValueError):
        return Sent({})
    fields: defaultdict[str, list[str]] = defaultdict(list)
    for name, value in pairs:
        fields[name].append(value)
    return Sent(fields)


def _parts(body: bytes, boundary: bytes) -> Sent:
    fields: defaultdict[str, list[str]] = defaultdict(list)
    files: list[bytes] = []

    def on_field(field: Field) -> None:
        name = (field.field_name or b"").decode("utf-8", "replace")
        fields[name].append((field.value or b"").decode("utf-8", "replace"))

    def on_file(file: File) -> None:
        file.file_object.seek(0)
        files.append(file.file_object.read())
        file.close()

    parser = FormParser(
        "multipart/form-data",
        on_field,
        on_file,
        boundary=boundary,
        # Bodies are in memory as it is: nothing of a stranger's is put on the disk.
        config={"MAX_MEMORY_FILE_SIZE": len(body) + 1, "MAX_FIELDS": _MOST_FIELDS},
    )
    parser.write(body)
    parser.finalize()
    return Sent(fields, next(filter(None, files), b""))
