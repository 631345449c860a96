"""Two versions side by side, read from the registry and from their files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from superpose.errors import ModelFormatError
from superpose.service.catalogue.models import Models, VersionRef
from superpose.service.nouns import ModelVersion, Principal, Role

if TYPE_CHECKING:
    from superpose.learning import ModelFile

__all__ = ["VersionDiffs"]


class VersionDiffs:
    """Compares versions of models.

    Args:
        models: where they are registered.
    """

    def __init__(self, models: Models) -> None:
        self._models = models

    def between(
        self, principal: Principal, model: str, before: VersionRef, after: VersionRef, *, other: str | None = None
    ) -> dict[str, Any]:
        """What sets version ``after`` apart from version ``before``: see ``superpose.explain.diff_versions``.

        Args:
            principal: the caller.
            model: the model of ``before``.
            before: number, alias, or None for the newest.
            after: the same.
            other: the model of ``after``; by default the same one.

        Raises:
            NotFoundError: no such versions in the caller's project.
            ArtifactError, ModelFileCorruptError: a model file cannot be used.
        """
        from superpose.explain import diff_versions

        principal.require(Role.VIEWER)
        first = self._models.version(principal, model, before)
        second = self._models.version(principal, other or model, after)
        return {
            "before": {"model": first.model, "version": first.version, "digest": first.digest},
            "after": {"model": second.model, "version": second.version, "digest": second.digest},
            **diff_versions(
                (first.manifest, first.evaluation, self._file(first)),
                (second.manifest, second.evaluation, self._file(second)),
            ),
        }

    def _file(self, version: ModelVersion) -> ModelFile | None:
        """The model file, None where it is of a kind that has no circuit of its own to compare."""
        from superpose.learning import read_model

        try:
            return read_model(self._models.content(version), version.digest)
        except ModelFormatError:
            return None
