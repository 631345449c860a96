"""Rows on disk as they come: a long benchmark survives interruption and goes on where it stopped.

A file holds ``{"environment", "rows"}`` as ``--json`` prints it. Its environment has a ``key`` of the engine's sources,
the rivals' locks and the options that change what a row means; a file with another key is begun anew. Rows that a new
file would drop stay beside it, in ``NAME.before.json``, ``NAME.before-2.json`` and so on, which git does not track.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["RESULTS", "Results", "sources_key"]

RESULTS = Path(__file__).resolve().parent / "results"
_SOURCES = ("src/superpose/engine", "src/superpose/circuits", "benchmarks/rivals")


def sources_key(*further: object) -> str:
    """Digest of the engine, the circuits, the contestants with their locks, and what else is given."""
    root, digest = Path(__file__).resolve().parents[1], hashlib.sha256(repr(further).encode())
    for folder in _SOURCES:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in (".py", ".txt"):
                digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]


class Results:
    """The rows of one benchmark, in a file when ``path`` is given, by the text of their ``case``."""

    def __init__(self, path: Path | None, environment: Mapping[str, Any], key: str, *, fresh: bool = False) -> None:
        self.path, self.environment = path, {**environment, "key": key}
        self._rows: dict[str, dict[str, Any]] = {}
        self._begins_anew = path is not None and path.exists()  # until its rows are taken over
        if path is None or fresh or not path.exists():
            return
        found = json.loads(path.read_text())
        if found["environment"].get("key") == key:
            self._begins_anew = False
            self.environment["versions"] = found["environment"].get("versions", {})
            self.environment["resumed"] = [*found["environment"].get("resumed", []), found["environment"]["date"]]
            self._rows = {row["case"]: row for row in found["rows"]}

    def has(self, case: str) -> bool:
        """Whether the file held this case already."""
        return case in self._rows

    def add(self, row: dict[str, Any], versions: Mapping[str, Any]) -> None:
        """Takes a row, in place of one for the same case, and writes the file."""
        self._rows[row["case"]] = row
        self.environment["versions"] = {**self.environment.get("versions", {}), **versions}
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self._begins_anew:
                self._keep_beside(self.path)
            beside = self.path.with_suffix(".part")
            report = {"environment": self.environment, "rows": list(self._rows.values())}
            beside.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
            beside.replace(self.path)

    def _keep_beside(self, path: Path) -> None:
        """Give the file that is there another name, with the rows that the new one does not take over."""
        place, number = path.with_name(f"{path.stem}.before.json"), 2
        while place.exists():
            place, number = path.with_name(f"{path.stem}.before-{number}.json"), number + 1
        path.rename(place)
        print(f"{path.name} is begun anew; what it held stays in {place.name}", file=sys.stderr)
        self._begins_anew = False

    def rows(self, cases: Iterable[str] | None = None) -> list[dict[str, Any]]:
        """The rows, all or those of the cases."""
        wanted = None if cases is None else set(cases)
        return [row for case, row in self._rows.items() if wanted is None or case in wanted]
