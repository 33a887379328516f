"""What reading a body takes: run as a program of its own, so that nothing else is counted.

Prints a JSON object: name -> [peak of the resident memory above idle divided by the body's length, seconds of CPU].
"""

import ctypes
import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from app.errors import SubmissionInvalid
from app.intake.bodies import contents_of
from app.web.strict_json import JSONInvalid, parse_object

LENGTH = (10 if "CI" in os.environ else 5) * 1024 * 1024
Body = Callable[[], bytes]


def times(piece: bytes, before: bytes = b"", behind: bytes = b"") -> bytes:
    return before + piece * ((LENGTH - len(before) - len(behind)) // len(piece)) + behind


def part(name: bytes, content: bytes = b"1", head: bytes = b"") -> bytes:
    return b'--b\r\nContent-Disposition: form-data; name="' + name + b'"' + head + b"\r\n\r\n" + content + b"\r\n"


FILE = b'; filename="a"'
EMOJI = "🙂".encode()

JSON_BODIES: dict[str, Body] = {
    "empty objects": lambda: times(b"{},", b'{"a":[', b"{}]}"),
    "nested arrays": lambda: times(b"[[]],", b'{"a":[', b"[]]}"),
    "numbers": lambda: times(b"1,", b'{"a":[', b"1]}"),
    "empty texts": lambda: times(b'"",', b'{"a":[', b'""]}'),
    "spaced": lambda: times(b"{ } , ", b'{"a":[', b"{}]}"),
    "deep": lambda: times(b"[", b'{"a":'),
    "one text": lambda: times(b"a", b'{"a":"', b'"}'),
    "escaped slashes": lambda: times(b"\\/", b'{"a":"', b'"}'),
    "escaped quotes": lambda: times(b'\\"', b'{"a":"', b'"}'),
    "escaped backslashes": lambda: times(b"\\\\", b'{"a":"', b'"}'),
    "unended": lambda: times(b'\\"', b'{"a":"'),
    "small escapes": lambda: times(b"\\u002B", b'{"a":"', b'"}'),
    "pairs of surrogates": lambda: times(b"\\ud83d\\ude00", b'{"a":"', b'"}'),
    "one pair behind": lambda: times(b"a", b'{"a":"', b'\\ud83d\\ude00"}'),
    "one pair before": lambda: times(b"a", b'{"a":"\\ud83d\\ude00', b'"}'),
    "one emoji behind": lambda: times(b"a", b'{"a":"', EMOJI + b'"}'),
    "emoji beside a file": lambda: times(b"A", b'{"b":"' + EMOJI + b'","a":"', b'"}'),
    "pair beside a file": lambda: times(b"A", b'{"b":"\\ud83d\\ude00","a":"', b'"}'),
    "emoji in each of many": lambda: times(b'"' + b"a" * 2000 + EMOJI + b'",', b'{"a":[', b'""]}'),
    "emoji in each of some": lambda: times(b'"' + b"a" * 200_000 + EMOJI + b'",', b'{"a":[', b'""]}'),
    "pair in each of many": lambda: times(b'"' + b"a" * 2000 + b'\\ud83d\\ude00",', b'{"a":[', b'""]}'),
    "only emoji": lambda: times(EMOJI, b'{"a":"', b'"}'),
    "Chinese": lambda: times("字".encode(), b'{"a":"', b'"}'),
    "Chinese behind": lambda: times(b"a", b'{"a":"', "字".encode() + b'"}'),
    "Chinese and escapes": lambda: times("字\\n".encode(), b'{"a":"', b'"}'),
    "umlauts": lambda: times("ä".encode(), b'{"a":"', b'"}'),
    "digits": lambda: times(b"1", b'{"a":', b"}"),
    "decimals": lambda: times(b"1", b'{"a":1.', b"}"),
    "spaces": lambda: times(b" ", b'{"a":1', b"}"),
    "names": lambda: times(b'"%s":1,' % (b"n" * 1100), b"{", b'"a":1}'),
    "no UTF-8": lambda: times(b"a", b'{"a":"', b'\xff"}'),
    "a mark before": lambda: times(b"a", b'\xef\xbb\xbf{"a":"', b'"}'),
}

IN_FORMS = ("numbers", "one emoji behind", "emoji in each of some", "only emoji", "Chinese and escapes")
"""Those for which it may matter that a form's parser keeps the body."""

FORM_BODIES: dict[str, Body] = {
    f"form: {name}": lambda piece=piece, before=before, behind=behind: times(piece, before, behind)  # type: ignore[misc]
    for name, (piece, before, behind) in {
        "percent": (b"%", b"m=", b""),
        "escapes": (b"%41", b"m=", b""),
        "escapes apart": (b"%41a", b"m=", b""),
        "escapes in each": (b"a=" + b"%41" * 190_000 + b"&", b"", b""),
        "escapes apart in each": (b"a=" + b"%%41" * 190_000 + b"&", b"", b""),
        "half escapes": (b"%4", b"m=", b""),
        "escaped percent": (b"%25", b"m=", b""),
        "plus": (b"+", b"m=", b""),
        "ampersands": (b"&", b"m=", b""),
        "equals": (b"=", b"m", b""),
        "equal fields": (b"=&", b"", b""),
        "small fields": (b"a=1&", b"", b""),
        "one text": (b"a", b"m=", b""),
        "one name": (b"a", b"", b""),
        "emoji behind": (b"a", b"m=", EMOJI),
        "emoji in each": (b"a=" + b"a" * (LENGTH // 55) + EMOJI + b"&", b"", b""),
        "names with an emoji": (b"a" * (LENGTH // 55) + EMOJI + b"&", b"", b""),
        "latin": (b"\xe4", b"m=", b""),
        "controls": (b"\x81", b"m=", b""),
    }.items()
}

MULTIPART_BODIES: dict[str, Body] = {
    "parts": lambda: times(part(b"a"), b"", b"--b--"),
    "parts without a file": lambda: times(part(b"a", b"", b'; filename=""'), b"", b"--b--"),
    "files": lambda: times(part(b"a", b"1", FILE), b"", b"--b--"),
    "one file": lambda: part(b"a", b"\x00" * (LENGTH - 100), FILE) + b"--b--",
    "one field": lambda: part(b"a", b"a" * (LENGTH - 100)) + b"--b--",
    "one field with an emoji": lambda: part(b"a", b"a" * (LENGTH - 100) + EMOJI) + b"--b--",
    "fields with an emoji": lambda: times(part(b"a", b"a" * (LENGTH // 55) + EMOJI), b"", b"--b--"),
    "header lines": lambda: part(b"a", b"1", b"\r\nX: 1" * (LENGTH // 6)) + b"--b--",
    "header lines in parts": lambda: times(part(b"a", b"1", b"\r\nX: 1" * 2600), b"", b"--b--"),
    "one header": lambda: part(b"a", b"1", b"\r\nX: " + b"1" * (LENGTH - 100)) + b"--b--",
    "parameters": lambda: times(part(b"a", b"1", b"; a=" * 9), b"", b"--b--"),
    "quotes in a name": lambda: times(part(b'\\"' * 7000), b"", b"--b--"),
    "names with an emoji": lambda: times(part(b"a" * 16_000 + EMOJI), b"", b"--b--"),
    "a charset in each": lambda: times(part(b"a", b"1", b"\r\nContent-Type: text/plain; charset=x"), b"", b"--b--"),
    "escapes in a file name": lambda: times(part(b"a", b"1", b"; filename*=UTF-8''" + b"%41" * 5000), b"", b"--b--"),
    "almost boundaries": lambda: times(b"\r\n--", b"--b\r\n"),
    "no boundary": lambda: times(b"\r\n--"),
    "padding": lambda: times(b" ", b"--b"),
}


def _read_json(body: bytes) -> None:
    parse_object(body)


def _read_form(body: bytes) -> None:
    contents_of(body, "application/x-www-form-urlencoded", {})


def _read_form_json(body: bytes) -> None:
    contents_of(body, "application/json", {})


def _read_multipart(body: bytes) -> None:
    contents_of(body, "multipart/form-data", {"boundary": "b"})


READERS: tuple[tuple[str, dict[str, Body], Callable[[bytes], None]], ...] = (
    ("", JSON_BODIES, _read_json),
    ("form as JSON: ", {name: JSON_BODIES[name] for name in IN_FORMS}, _read_form_json),
    ("", FORM_BODIES, _read_form),
    ("multipart: ", MULTIPART_BODIES, _read_multipart),
)


def _status(name: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


def measure(make: Body, read: Callable[[bytes], None]) -> tuple[float, float]:
    """The peak includes the body itself."""
    ctypes.CDLL(None).malloc_trim(0)
    idle = _status("VmRSS")
    body = make()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    began = time.process_time()
    with suppress(JSONInvalid, SubmissionInvalid):
        read(body)
    return (_status("VmHWM") - idle) / len(body), time.process_time() - began


def main() -> None:
    figures = {
        f"{prefix}{name}": measure(make, read) for prefix, bodies, read in READERS for name, make in bodies.items()
    }
    json.dump(figures, sys.stdout)


if __name__ == "__main__":
    main()
