"""What a report is made of beside the model file: what a registry knows about job and version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from superpose.learning.predictor import Predictor

__all__ = ["ReportFacts"]


@dataclass(frozen=True)
class ReportFacts:
    """What `training_report` may use; whatever is empty, its section says that nothing is known.

    Attributes:
        predictor: the loaded model file; None where it is gone.
        manifest: of the model file; where it is empty, the predictor's.
        evaluation: what the job found; where it is empty, the manifest's.
        job: the job as the API shows it: ``id``, ``kind``, ``attempt``, times.
        model, version: where the model is registered.
        evidence: what the job left beside the model file: ``explanation``, ``energy``, ``environment``.
        statements: what was stated at the version.
        overrides: of the promotion gate, oldest first.
        validations: how the version did on rows of other sites, oldest first.
    """

    predictor: Predictor | None = None
    manifest: Mapping[str, Any] = field(default_factory=dict)
    evaluation: Mapping[str, Any] = field(default_factory=dict)
    job: Mapping[str, Any] = field(default_factory=dict)
    model: str | None = None
    version: int | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    statements: Mapping[str, Any] = field(default_factory=dict)
    overrides: Sequence[Mapping[str, Any]] = ()
    validations: Sequence[Mapping[str, Any]] = ()

    @property
    def known_manifest(self) -> Mapping[str, Any]:
        """The manifest, from wherever there is one; empty where there is none."""
        if self.manifest or self.predictor is None:
            return self.manifest
        return self.predictor.manifest

    @property
    def known_evaluation(self) -> Mapping[str, Any]:
        """The evaluation, from wherever there is one; empty where there is none."""
        found: Mapping[str, Any] = self.evaluation or self.known_manifest.get("evaluation") or {}
        return found
