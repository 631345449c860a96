"""Networks that another run has trained under identical settings, taken over instead of trained again.

Taken over is what a network's training depends on, and no more: its weights. The threshold is chosen anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from superpose.errors import CheckpointError
from superpose.learning.checkpoint import read_sealed_json
from superpose.learning.templates.pneumonia.options import VARIANTS
from superpose.learning.templates.pneumonia.settings import CAME_LATER, HEADS_CAME_LATER, PREDICTING

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

    def checked(self, configuration: Mapping[str, Any]) -> list[str]:
        """What of this run does not fit another, in words, a line for each variant.

        Args:
            configuration: of the run that asks.

        Raises:
            CheckpointError: nothing fits: the data or the release are others, or the settings of every variant.
        """
        ours, theirs = (json.loads(json.dumps(one)) for one in (configuration, self.configuration))
        for key in ("template", "data", "release"):
            if ours[key] != theirs.get(key):
                raise CheckpointError(
                    f"Nothing can be taken over from {self.directory}: its {key} is {str(theirs.get(key))[:12]}, this "
                    f"run's is {str(ours[key])[:12]}. Leave it out, or give a run of the same {key}."
                )
        differing = {name: _differing(ours["settings"], theirs["settings"], _parts(name)) for name in ours["variants"]}
        lines = [f"{name}: {', '.join(found)}" for name, found in differing.items() if found]
        if len(lines) == len(differing):
            raise CheckpointError(
                f"Nothing can be taken over from {self.directory}: its settings are others ({'; '.join(lines)}). Leave "
                "it out, or give the options of that run."
            )
        return [f"not taken over from run {self.digest[:12]}: {line}" for line in lines]

    def network(self, name: str, seed: int, configuration: Mapping[str, Any]) -> tuple[Path, Mapping[str, Any]] | None:
        """The file of a network and what its run says of it, if it is what this run would train.

        Args:
            name: of the variant.
            seed: its seed.
            configuration: of the run that asks; data, release and all settings of the training must be equal. How
                pictures are looked at in predicting may differ.

        Raises:
            CheckpointError: its facts were changed.
        """
        ours, theirs = (json.loads(json.dumps(one)) for one in (configuration, self.configuration))
        parts = _parts(name)
        same = all(ours[key] == theirs[key] for key in ("template", "data", "release"))
        if not same or _differing(ours["settings"], theirs["settings"], parts):
            return None
        facts = read_sealed_json(self.directory / f"{name}-{seed}.json")
        weights = self.directory / f"{name}-{seed}.safetensors"
        return None if facts is None or not weights.exists() else (weights, facts)


def _parts(name: str) -> tuple[str, ...]:
    """The sections of the settings that decide a variant's training."""
    return (name,) if VARIANTS[name].trained == "whole" else ("hybrid", "heads")


def _differing(ours: Mapping[str, Any], theirs: Mapping[str, Any], parts: Sequence[str]) -> list[str]:
    """Settings of training that are not the same, such as "epochs 2 (there 1)"."""
    found = []
    for part in parts:
        usual = HEADS_CAME_LATER if part == "heads" else CAME_LATER  # said only where they are not these
        own, there = ({**usual, **(one.get(part) or {})} for one in (ours, theirs))
        keys = [key for key in dict.fromkeys((*own, *there)) if key not in PREDICTING]
        found += [f"{key} {own.get(key)} (there {there.get(key)})" for key in keys if own.get(key) != there.get(key)]
    return found
