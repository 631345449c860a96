"""Reports of trainings, saved into files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from superpose.client.downloads import download, target_path
from superpose.client.transport import Transport
from superpose.errors import RequestError

__all__ = ["SavedReport", "report_format", "save_report"]

_FORMATS: Final = ("html", "pdf")


@dataclass(frozen=True)
class SavedReport:
    """A report in a file: where, in which form, how large, and its SHA-256."""

    path: Path
    format: str
    size_bytes: int
    sha256: str

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {**vars(self), "path": str(self.path)}


def report_format(path: str | Path | None, form: str | None) -> str:
    """Return the form of a report: the one asked for, else that of the file's name; "html" for a name without suffix.

    Raises:
        RequestError: another form, or a name that ends as neither's.
    """
    named = None if path is None or Path(path).is_dir() else Path(path).suffix.removeprefix(".").lower()
    wanted = form or named or "html"
    if wanted not in _FORMATS:
        cure = "" if form else " Name the file so, or say the format."
        raise RequestError(
            f"Reports are written as {' or '.join(_FORMATS)}, got {wanted[:20]!r}.{cure}", field="format"
        )
    return wanted


def save_report(transport: Transport, route: str, path: str | Path | None, form: str | None, stem: str) -> SavedReport:
    """Save the report behind a route.

    Args:
        transport: the connection.
        route: of the report.
        path: file or directory; ``STEM-report.FORMAT`` here where it is left out.
        form: "html" or "pdf"; by default what the file's name ends with, else "html".
        stem: of the file's name.

    Raises:
        RequestError: another form, or a file of another kind.
    """
    wanted = report_format(path, form)
    target = target_path(path, f"{stem}-report.{wanted}")
    digest = download(transport, route, target, {"format": wanted})
    return SavedReport(target, wanted, target.stat().st_size, digest)
