"""Server-sent events, as the HTML standard's section 9.2.6 parses them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from superpose.errors import ProtocolError

__all__ = ["ServerSentEvent", "parse_events"]

_LINE_END = re.compile(rb"\r\n|\n|\r(?!\Z)")  # after a CR at the end an LF may follow in the next chunk
_LONGEST_LINE = 16 * 1024 * 1024


@dataclass(frozen=True)
class ServerSentEvent:
    """One dispatched event; ``id`` is the last id seen, ``retry_ms`` the last reconnection time asked for."""

    event: str
    data: str
    id: str
    retry_ms: int | None


def parse_events(chunks: Iterable[bytes]) -> Iterator[ServerSentEvent]:
    """The events in a byte stream cut anywhere; an event that the end of the stream cuts off is left out.

    Raises:
        ProtocolError: a line of more than 16 MiB.

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
        elif name == "retry" and value.isascii() and value.isdigit() and len(value) < 10:
            retry_ms = int(value)


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Complete lines, ended by LF, CR or CRLF; a leading byte order mark is dropped. Time is linear in the bytes.

    Raises:
        ProtocolError: a line of more than 16 MiB.
    """
    parts, n_bytes, first = list[bytes](), 0, True
    for chunk in chunks:
        parts.append(chunk)
        n_bytes += len(chunk)
        if n_bytes > _LONGEST_LINE + len(chunk):
            raise ProtocolError(f"The stream of events has a line of more than {_LONGEST_LINE:,} bytes.")
        if b"\n" not in chunk and b"\r" not in chunk and not parts[0].endswith(b"\r"):
            continue
        content, start = b"".join(parts), 0
        for end in _LINE_END.finditer(content):
            text = content[start : end.start()].decode("utf-8", "replace")
            yield text.removeprefix("\ufeff") if first else text
            start, first = end.end(), False
        parts, n_bytes = [content[start:]], len(content) - start
