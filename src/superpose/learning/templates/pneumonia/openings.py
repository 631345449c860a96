"""The test pictures under seal: what will be done is written down before they are looked at, and so is every look."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from superpose.datasets.picture_sets import Pictures
from superpose.errors import CheckpointError
from superpose.learning.canonical import digest_json
from superpose.learning.checkpoint import OPENINGS, read_sealed_json, write_sealed_json

__all__ = ["SealedTest"]


class SealedTest:
    """The test part of a set, given out only to whom the configuration's digest is known, each time with an entry.

    Args:
        pictures: the test part.
        configuration: everything that decides what is trained and how it is judged.
        directory: where ``configuration.json`` is, or is now written, and where ``openings.json`` grows.

    Raises:
        CheckpointError: the directory belongs to another configuration, or one of its files was changed.
    """

    def __init__(self, pictures: Pictures, configuration: Mapping[str, Any], directory: Path) -> None:
        self._pictures = pictures
        self.digest = digest_json(configuration)
        self._log = directory / OPENINGS
        stated = directory / "configuration.json"
        before: dict[str, Any] | None = read_sealed_json(stated)
        if before is None:
            before = {"configuration": dict(configuration), "digest": self.digest, "recorded_at": _now()}
            write_sealed_json(stated, before)
        if before["digest"] != self.digest:
            raise CheckpointError(
                f"{directory} holds a run of another configuration ({before['digest'][:12]}, this is "
                f"{self.digest[:12]}): other data, options or release. Give another --out, or the options of that run."
            )
        self.recorded_at = str(before["recorded_at"])

    @property
    def openings(self) -> list[dict[str, Any]]:
        """Every look at the test pictures so far, oldest first."""
        content = read_sealed_json(self._log)
        return [] if content is None else list(content["openings"])

    def open(self, purpose: str) -> Pictures:
        """The test pictures; the look is on disk before they are given out."""
        entry = {"at": _now(), "purpose": purpose, "configuration": self.digest, "n_pictures": len(self._pictures)}
        write_sealed_json(self._log, {"openings": [*self.openings, entry]})
        return self._pictures


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
