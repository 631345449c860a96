"""What the circuits of a trained model can do, and which of its labels are shot noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from superpose.circuits import to_qasm
from superpose.errors import ExplanationError
from superpose.explain.diagnosis import CircuitDiagnosis, diagnose
from superpose.explain.effective_dimension import DATA
from superpose.explain.shot_noise import ShotNoise, shot_noise

if TYPE_CHECKING:
    from superpose.learning.predictor import Predictor

__all__ = ["ModelDiagnosis", "diagnose_model"]


@dataclass(frozen=True)
class ModelDiagnosis:
    """What `diagnose_model` found.

    Attributes:
        circuits: of each different circuit of the model its diagnosis, with random parameters, not the trained ones,
            and the observables of its block: those that the model measures, but Z on each qubit where it measures
            overlaps or Bloch vectors (quantum kernels). Inputs are the circuit's angles, drawn one by one even where
            a feature map makes some of products of others.
        shot_noise: of the rows that were given; None without rows.
    """

    circuits: tuple[CircuitDiagnosis, ...]
    shot_noise: ShotNoise | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        noise = None if self.shot_noise is None else self.shot_noise.to_dict()
        return {"circuits": [circuit.to_dict() for circuit in self.circuits], "shot_noise": noise}


def diagnose_model(
    predictor: Predictor,
    rows: Any = None,
    shots: int | None = None,
    *,
    n_samples: int = 2_000,
    n_data: int = DATA,
    seed: int = 0,
    tell: Callable[[str], None] | None = None,
) -> ModelDiagnosis:
    """Diagnose a trained model: hybrid, a family's, or a user's module with quantum layers.

    Args:
        predictor: the loaded model.
        rows: whatever `Predictor.predict_proba` takes, for the band of those whose label is shot noise.
        shots: of each measurement setting; needed with rows. Without rows it gives the share of random inputs and
            weights for which an expectation's sign is shot noise.
        n_samples, n_data, seed, tell: see `superpose.explain.diagnose`.

    Raises:
        ExplanationError: the model has no circuit; rows without shots, or none of them; its shot noise is not known.
        FeatureMismatchError: the rows do not fit the model.

    Cost: that of `diagnose` for each different circuit, and of `shot_noise` for the rows.
    """
    blocks = {(to_qasm(b.circuit), b.angle_names, repr(b.observables)): b for b in predictor.model.blocks}.values()
    if not blocks:
        raise ExplanationError("This model has no circuit, so there is nothing to diagnose.")
    if rows is not None and shots is None:
        raise ExplanationError("Rows need a number of shots, such as 1,000, to tell which labels are noise.")
    noise = None if rows is None or shots is None else shot_noise(predictor, rows, shots)
    if noise is not None and not noise.rows:
        raise ExplanationError("There are no rows to tell about; give one at least, or leave them out.", field="rows")
    circuits = tuple(
        diagnose(
            block.circuit,
            block.observables or None,
            inputs=block.angle_names,
            n_samples=n_samples,
            n_data=n_data,
            seed=seed,
            shots=shots,
            tell=tell,
        )
        for block in blocks
    )
    return ModelDiagnosis(circuits, noise)
