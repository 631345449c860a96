"""Server-sent events, cut at every place."""

from __future__ import annotations

import pytest

from superpose.client import ServerSentEvent, parse_events

TEXT = (
    "\ufeff: a comment\n"
    "retry: 1500\n"
    "id: 7\n"
    "event: progress\n"
    'data: {"a": 1}\n'
    "\n"
    "data:no space\r\n"
    "data:  two spaces\r\n"
    "\r\n"
    "id\n"
    "data\n"
    "\n"
    "event: nothing\n"
    "\n"
    "unknown: field\r"
    "id: bad\0id\r"
    "data: größer ⟨Z⟩\r"
    "\r"
    "data: cut off"
)
EXPECTED = [
    ServerSentEvent("progress", '{"a": 1}', "7", 1500),
    ServerSentEvent("message", "no space\n two spaces", "7", 1500),
    ServerSentEvent("message", "", "", 1500),
    ServerSentEvent("message", "größer ⟨Z⟩", "", 1500),
]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 64, 10_000])
def test_events_do_not_depend_on_how_the_stream_is_cut(size: int) -> None:
    content = TEXT.encode()
    chunks = [content[start : start + size] for start in range(0, len(content), size)]
    assert list(parse_events(chunks)) == EXPECTED


def test_an_empty_stream_and_empty_chunks_hold_no_event() -> None:
    assert list(parse_events([])) == []
    assert list(parse_events([b"", b"\n\n", b""])) == []
