"""The promotion gate as the client sees it: what a model version has and lacks for a production endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from superpose.client.display import table_html
from superpose.client.json_fields import Fields
from superpose.client.nouns import Noun

__all__ = ["GateReport", "Override", "Requirement"]


@dataclass(frozen=True)
class Requirement(Noun):
    """One thing that production needs: ``found`` says what the version has of it, ``how`` what meets it."""

    name: str
    title: str
    met: bool
    found: str | None
    how: str | None

    @classmethod
    def from_json(cls, document: object) -> Self:
        """A requirement from the service's JSON."""
        f = Fields.of("requirement", document)
        return cls(
            name=f.text("name"),
            title=f.text("title"),
            met=f.maybe_text("found") is not None,
            found=f.maybe_text("found"),
            how=f.maybe_text("how"),
        )


@dataclass(frozen=True)
class Override(Noun):
    """What an admin let a version do without at a production endpoint, and why; ``overridden_by`` is the key's id."""

    missing: tuple[str, ...]
    reason: str
    overridden_at: datetime
    overridden_by: str
    endpoint: str | None = None

    @classmethod
    def from_json(cls, document: object) -> Self:
        """An override from the service's JSON."""
        f = Fields.of("override", document)
        return cls(
            missing=f.texts("missing"),
            reason=f.text("reason"),
            overridden_at=f.time("overridden_at"),
            overridden_by=f.text("overridden_by"),
            endpoint=f.maybe_text("endpoint"),
        )


@dataclass(frozen=True)
class GateReport(Noun):
    """Whether a model version may answer in production, requirement by requirement.

    ``statements`` are what people said of it, ``evidence`` what its training job left for its card, ``overrides`` what
    admins let pass, oldest first, ``notice`` the sentence that the model must carry.
    """

    model: str
    version: int
    ready: bool
    missing: tuple[str, ...]
    requirements: tuple[Requirement, ...]
    statements: Mapping[str, str]
    evidence: Mapping[str, Any]
    overrides: tuple[Override, ...]
    notice: str | None = None

    @classmethod
    def from_json(cls, document: object) -> Self:
        """A report from the service's JSON."""
        f = Fields.of("gate report", document)
        missing = f.texts("missing")
        return cls(
            model=f.text("model"),
            version=f.whole("version"),
            ready=not missing,
            missing=missing,
            requirements=tuple(map(Requirement.from_json, f.array("requirements"))),
            statements=f.object("statements"),
            evidence=f.object("evidence"),
            overrides=tuple(map(Override.from_json, f.array("overrides"))),
            notice=f.maybe_text("notice"),
        )

    def _repr_html_(self) -> str:
        rows = [(one.name, one.title, "yes" if one.met else "no", one.found or one.how) for one in self.requirements]
        title = f"{self.model} version {self.version}: {'ready' if self.ready else 'not ready'} for production"
        return table_html(("requirement", "what", "met", "found, or how to meet it"), rows, title)
