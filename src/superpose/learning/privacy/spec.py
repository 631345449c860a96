"""The section of a spec that bounds what a model may tell about single rows."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, ClassVar

from superpose.errors import SpecError
from superpose.learning.spec_fields import Section, choice, integer, maybe_number, number

if TYPE_CHECKING:
    from superpose.learning.spec import TrainingSpec

__all__ = ["ATTACKS", "PrivacySpec", "admit_privacy"]

ATTACKS = ("loss", "shadow")
"""Attacks on the trained model that a report can tell of: by the loss of a row, and besides by shadow models."""


@dataclass(frozen=True)
class PrivacySpec(Section):
    """Differentially private training: with an ``epsilon`` the trained weights are ``(epsilon, delta)``-private.

    Whatever is learnt from the weights could, up to a factor ``exp(epsilon)`` in probability and ``delta`` besides,
    have been learnt had any one training row been left out. ``max_gradient_norm`` is the length to which each row's
    gradient is cut before noise is added. Without an ``epsilon`` training is the usual one.

    ``attack`` says how the trained model is attacked: "loss" takes no training; "shadow" trains ``shadow_models`` more
    models besides.
    """

    path: ClassVar[str] = "privacy"
    epsilon: float | None = maybe_number(0.01, 1_000.0)
    delta: float = number(1e-5, 0.0, 0.1, above=True)
    max_gradient_norm: float = number(1.0, 0.0, 1e6, above=True)
    attack: str = choice("loss", lambda: ATTACKS)
    shadow_models: int = integer(8, 4, 64)


def admit_privacy(spec: TrainingSpec, n_rows: int | None = None) -> None:
    """Refuse what would undo the promise of a spec with an epsilon, or cannot keep it.

    Args:
        spec: what is to be trained.
        n_rows: rows of the data, where they are known.

    Raises:
        SpecError: naming the field.
    """
    if spec.privacy.attack == "shadow":
        _admit_shadows(spec)
    if spec.privacy.epsilon is None:
        return
    if find_spec("opacus") is None:
        raise SpecError("needs the package Opacus: pip install 'superpose[privacy]'", "privacy.epsilon")
    if n_rows is not None and spec.privacy.delta >= 1.0 / n_rows:
        raise SpecError(
            f"is {spec.privacy.delta:g}, which would allow to publish a row as it is; with {n_rows} rows it must be "
            f"below {1.0 / n_rows:.2g}",
            "privacy.delta",
        )
    if spec.training.class_weights == "balanced":
        raise SpecError(
            "is 'balanced', which counts the training rows of each class; with privacy.epsilon give weights by class",
            "training.class_weights",
        )
    if spec.backend.name is not None:
        raise SpecError(
            "trains on a backend, which gives no gradient for each row; with privacy.epsilon leave it out",
            "backend.name",
        )
    if spec.training.gradient_method != "adjoint":
        raise SpecError(
            f"is {spec.training.gradient_method!r}; with privacy.epsilon it is 'adjoint'", "training.gradient_method"
        )


def _admit_shadows(spec: TrainingSpec) -> None:
    """Refuse shadow models where they would be paid for, or are not models of the same kind."""
    for given, field, why in (
        (spec.backend.name, "backend.name", "each of them would be trained on the backend"),
        (spec.fine_tune.parent, "fine_tune.parent", "an attacker has no models that begin from this parent"),
    ):
        if given is not None:
            raise SpecError(f"is {given}, and privacy.attack is 'shadow': {why}; take attack 'loss'", field)
