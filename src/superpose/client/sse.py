"""Server-sent events, as the HTML standard's section 9.2.6 parses them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

__all__ = ["ServerSentEvent", "parse_events"]


@dataclass(frozen=True)
class ServerSentEvent:
    """One dispatched event; ``id`` is the last id seen, ``retry_ms`` the last reconnection time asked for."""

    event: str
    data: str
    id: str
    retry_ms: int | None


def parse_events(chunks: Iterable[bytes]) -> Iterator[ServerSentEvent]:
    """The events in a byte stream cut anywhere; an event that the end of the stream cuts off is left out.

    >>> [event.data for event in parse_events([b"data: a", b"\\n\\ndata: b\\ndata: c\\n\\ndata: lost"])]
    ['a', 'b\\nc']
    """
    kind, data, last_id, retry_ms = "", list[str](), "", None
    for line in _lines(chunks):
        if not line:
            if data:
                yield ServerSentEvent(kind or "message", "\n".join(data), last_id, retry_ms)
            kind, data = "", []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            data.append(value)
        elif name == "event":
            kind = value
        elif name == "id" and "\0" not in value:
            last_id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            retry_ms = int(value)


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Complete lines, ended by LF, CR or CRLF; a leading byte order mark is dropped."""
    rest, first = b"", True
    for chunk in chunks:
        rest += chunk
        while True:
            ends = [at for at in (rest.find(b"\n"), rest.find(b"\r")) if at >= 0]
            if not ends:
                break
            end = min(ends)
            if rest[end : end + 1] == b"\r" and end + 1 == len(rest):
                break  # whether LF follows stands in the next chunk
            line, rest = rest[:end], rest[end + (2 if rest[end : end + 2] == b"\r\n" else 1) :]
            text = line.decode("utf-8", "replace")
            yield text.removeprefix("\ufeff") if first else text
            first = False
