"""Reports of trainings, saved into files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from superpose.client.downloads import download, target_path
from superpose.client.transport import Transport
from superpose.errors import RequestError

__all__ = ["SavedReport", "save_report"]

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


def save_report(transport: Transport, route: str, path: str | Path | None, form: str | None, stem: str) -> SavedReport:
    """Save the report behind a route.

    Args:
        transport: the connection.
        route: of the report.
        path: file or directory; ``STEM-report.FORMAT`` here where it is left out.
        form: "html" or "pdf"; by default what the file's name ends with, else "html".
        stem: of the file's name.

    Raises:
        RequestError: another form.
    """
    suffix = "" if path is None else Path(path).suffix.removeprefix(".").lower()
    wanted = form or (suffix if suffix in _FORMATS else "html")
    if wanted not in _FORMATS:
        raise RequestError(f"Reports are written as {' or '.join(_FORMATS)}, got {wanted[:20]!r}.", field="format")
    target = target_path(path, f"{stem}-report.{wanted}")
    digest = download(transport, route, target, {"format": wanted})
    return SavedReport(target, wanted, target.stat().st_size, digest)
