"""Networks that another run has trained under identical settings, taken over instead of trained again.

Taken over is what a network's training depends on, and no more: its weights. The threshold is chosen anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from superpose.errors import CheckpointError
from superpose.learning.checkpoint import read_sealed_json
from superpose.learning.templates.pneumonia.variants import VARIANTS

__all__ = ["OtherRun"]


@dataclass(frozen=True)
class OtherRun:
    """A run's directory, as far as another run may take networks from it.

    Attributes:
        directory: of that run.
        digest: of its configuration.
        configuration: data, release, settings and seeds.
    """

    directory: Path
    digest: str
    configuration: Mapping[str, Any]

    @classmethod
    def at(cls, directory: Path) -> OtherRun:
        """The run in a directory.

        Raises:
            CheckpointError: there is none, or its configuration was changed.
        """
        found = read_sealed_json(directory / "configuration.json")
        if found is None:
            raise CheckpointError(f"{directory} holds no run to take networks from: it has no configuration.json.")
        return cls(directory, str(found["digest"]), found["configuration"])

    def network(self, name: str, seed: int, configuration: Mapping[str, Any]) -> tuple[Path, float] | None:
        """The file of a network and the seconds that its training took, if it is what this run would train.

        Args:
            name: of the variant.
            seed: its seed.
            configuration: of the run that asks; data, release and all settings of the training must be equal.

        Raises:
            CheckpointError: its facts were changed.
        """
        ours, theirs = (json.loads(json.dumps(one)) for one in (configuration, self.configuration))
        parts = (name,) if VARIANTS[name].trained == "whole" else ("hybrid", "heads")
        same = all(ours[key] == theirs[key] for key in ("template", "data", "release"))
        if not same or any(ours["settings"][part] != theirs["settings"].get(part) for part in parts):
            return None
        facts = read_sealed_json(self.directory / f"{name}-{seed}.json")
        weights = self.directory / f"{name}-{seed}.safetensors"
        return None if facts is None or not weights.exists() else (weights, float(facts["seconds"]))
