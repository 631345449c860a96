"""What commands print: one JSON document, or calm tables; errors and progress on stderr."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from superpose.errors import RequestError

if TYPE_CHECKING:
    import typer
    from rich.console import Console, RenderableType

__all__ = [
    "age",
    "check_room",
    "console",
    "note",
    "paragraph",
    "print_json",
    "print_table",
    "removed",
    "report_error",
    "saved",
    "section",
    "show",
    "table",
    "unwritten",
]

MAX_WIDTH: Final = 100
PIPE_WIDTH: Final = 240
TEXT_WIDTH: Final = 92
_SECRET_BYTES: Final = 512
"""More than any file of a secret has."""


def console(stream: IO[str] | None = None) -> Console:
    """A console on stdout (or another stream): at most 100 columns on a terminal, no colour and no cuts in a pipe."""
    from rich.console import Console

    made = Console(file=stream, highlight=False, soft_wrap=False, emoji=False)
    if made.is_terminal:
        made.width = min(made.width, MAX_WIDTH)
    else:
        made = Console(file=stream, highlight=False, emoji=False, width=PIPE_WIDTH, color_system=None)
    return made


def print_json(document: object) -> None:
    """Print one JSON document on stdout."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """Say something on stderr."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def show(out: Console, thing: RenderableType, *, indent: int = 0) -> None:
    """Print a table or the like, without blanks at the ends of its lines."""
    with out.capture() as captured:
        out.print(thing, width=out.width - indent)
    lines = (line.rstrip() for line in captured.get().rstrip("\n").split("\n"))
    out.file.write("".join(f"{' ' * indent}{line}\n" if line else "\n" for line in lines))
    out.file.flush()


def paragraph(out: Console, text: str, *, indent: int = 0, style: str = "") -> None:
    """Print running text, wrapped to a readable width."""
    for line in textwrap.wrap(
        text, min(out.width, TEXT_WIDTH) - indent, break_long_words=False, break_on_hyphens=False
    ):
        out.print(" " * indent + line, style=style, markup=False, soft_wrap=True)


def table(header: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[str] = ()) -> RenderableType:
    """A table without lines; the columns named in ``right`` are aligned to the right."""
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in header:
        made.add_column(name, justify="right" if name in right else "left", overflow="fold")
    for row in rows:
        made.add_row(*(Text(cell_text(cell)) for cell in row))
    return made


def print_table(header: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[str] = ()) -> None:
    """Print a table on stdout."""
    show(console(), table(header, rows, right=right))


def section(members: Mapping[str, object]) -> None:
    """Print names and values, one below the other."""
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    made.add_column(style="dim")
    made.add_column(overflow="fold")
    for name, value in members.items():
        made.add_row(Text(name), Text(cell_text(value)))
    show(console(), made)


def cell_text(value: object) -> str:
    """A value as it stands in a table."""
    if value is None:
        return "–"
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return ", ".join(cell_text(item) for item in value)
    return str(value)


def age(moment: datetime) -> str:
    """How long ago a moment was, in its largest unit."""
    seconds = max(0, int((datetime.now(UTC) - moment).total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def removed(name: str, what: str, *, as_json: bool) -> None:
    """Say that ``name`` is gone; ``what`` says it for people."""
    if as_json:
        print_json({"removed": name})
    else:
        sys.stdout.write(f"removed {what}\n")


def saved(
    save: Callable[[], Path],
    output: Path | None,
    facts: Mapping[str, object],
    *,
    as_json: bool,
    sized: bool = False,
) -> None:
    """Save a file and say where it is.

    Args:
        save: writes it and returns where.
        output: what the user gave as --output.
        facts: what stands beside path and size in the JSON document.
        as_json: whether to print that.
        sized: whether people are told the size as well.

    Raises:
        RequestError: it cannot be written.
    """
    try:
        path = save().absolute()
    except OSError as error:
        place = str(output or Path.cwd())
        message = f"The file cannot be written to {place}: {error.strerror}. Choose another --output."
        raise RequestError(message, path=place) from error
    n_bytes = path.stat().st_size
    if as_json:
        print_json({**facts, "path": str(path), "size_bytes": n_bytes})
    else:
        sys.stdout.write(f"{path} ({n_bytes / 1024:.0f} KiB)\n" if sized else f"{path}\n")


def check_room(path: Path) -> None:
    """Refuse, before a secret is made that cannot be told again, a place where no file can be written.

    Raises:
        RequestError: none can.
    """
    import tempfile

    try:
        with tempfile.TemporaryFile(dir=path.parent) as file:
            file.write(bytes(_SECRET_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}. Nothing was changed; choose another --output."
        raise RequestError(message, path=str(path)) from error


def unwritten(path: Path, error: OSError, told: str) -> typer.Exit:
    """The end of a command whose answer is printed, but a file beside it is not written; says so on stderr.

    Args:
        path: the file, as the user gave it.
        error: why it is not written.
        told: where what would have been in it is found.
    """
    import typer

    report_error("cli.file", f"{path} cannot be written: {error.strerror}. {told}", {}, as_json=False)
    return typer.Exit(1)


def report_error(code: str, message: str, details: Mapping[str, Any], *, as_json: bool, quiet: bool = False) -> None:
    """Tell an error: one line on stderr, and with ``as_json`` an object on stdout."""
    if not quiet:
        console(sys.stderr).print(f"[bold red]error[/]\\[{code}]: ", end="", soft_wrap=True)
        note(message)
    if as_json:
        error = {"code": code, "message": message, "details": json.loads(json.dumps(dict(details), default=str))}
        print_json({"error": error})
