"""Bytes and documents that are almost right, and the one property of every parser: a refusal of ours, or a result."""

from __future__ import annotations

import io
import time
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from superpose.errors import SuperposeError

__all__ = ["JSON", "broken", "broken_document", "refused_or_read", "short", "within", "zipped"]


def short(n: int) -> settings:
    """The same examples every time, ``n`` of them."""
    return settings(
        max_examples=n, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )


def refused_or_read(read: Callable[[], Any], seconds: float = 10.0) -> Any:
    """What ``read`` gives, None where it refuses with a code; anything else is a failure, and so is much CPU time."""
    began = time.process_time()
    try:
        return read()
    except SuperposeError as error:
        assert error.code and error.message
        return None
    finally:
        assert time.process_time() - began < seconds


@contextmanager
def within(megabytes: float) -> Iterator[None]:
    """Fails if Python and NumPy take more memory at once within the block."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < megabytes * 2**20, f"{peak / 2**20:.0f} MB"


@st.composite
def broken(draw: st.DrawFn, content: bytes) -> bytes:
    """The content cut, with bytes changed, left out, doubled or put in, up to three times."""
    for _ in range(draw(st.integers(1, 3))):
        at, end = sorted((draw(st.integers(0, len(content))), draw(st.integers(0, len(content)))))
        how = draw(st.sampled_from(["cut", "flip", "flip", "put", "leave out", "double", "number"]))
        if how == "cut":
            content = content[:end]
        elif how == "flip" and at < len(content):
            content = content[:at] + bytes([content[at] ^ (1 << draw(st.integers(0, 7)))]) + content[at + 1 :]
        elif how == "put":
            content = content[:at] + draw(st.binary(max_size=12)) + content[at:]
        elif how == "leave out":
            content = content[:at] + content[min(end, at + 40) :]
        elif how == "double":
            content = content[:end] + content[at:]
        elif how == "number":  # a length or a count, perhaps
            value = draw(
                st.sampled_from([b"\xff" * 4, b"\x00" * 4, b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", b"\xff" * 8])
            )
            content = content[:at] + value + content[at + len(value) :]
    return content


def zipped(members: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip archive that is whole, whatever its members hold."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


NUMBERS = st.sampled_from(
    [0, 1, -1, 2, 7, 2**31, 2**63, -(2**63), 10**30, 10**400, 0.5, -0.0, 1e308, float("nan"), float("inf")]
)
TEXTS = st.sampled_from(["", "a", "x" * 300, "\0", "é", "\ud800", "../..", "q", "name", "1e3"])
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
"""Values of JSON, with the awkward ones."""


@st.composite
def broken_document(draw: st.DrawFn, document: Any) -> Any:
    """The document with a value somewhere in it changed, left out or added."""
    if isinstance(document, dict) and document and draw(st.integers(0, 5)):
        name = draw(st.sampled_from(sorted(document)))
        how = draw(st.sampled_from(["within", "within", "within", "without", "more"]))
        if how == "without":
            return {key: value for key, value in document.items() if key != name}
        if how == "more":
            return {**document, draw(TEXTS): draw(JSON)}
        return {**document, name: draw(broken_document(document[name]))}
    if isinstance(document, list) and document and draw(st.integers(0, 5)):
        at = draw(st.integers(0, len(document) - 1))
        return [*document[:at], draw(broken_document(document[at])), *document[at + 1 :]]
    return draw(JSON)
