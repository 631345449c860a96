"""A template that measures, branches, resets or has noise, as the local engine runs it."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from superpose.backends.grouping import MeasurementGroup, group_terms
from superpose.backends.plan import Answer, Values, seed_of
from superpose.circuits import Template
from superpose.engine.dynamic import DynamicProgram, compile_dynamic
from superpose.errors import UnsupportedProgramError

__all__ = ["DynamicPlan"]

EXACT_TRAJECTORIES = 2000
"""How many trajectories stand in for exact expectations where those cannot be had."""


class DynamicPlan:
    """Everything about such a template that does not depend on values, made when first needed. For any number of
    threads."""

    def __init__(self, template: Template) -> None:
        self.template = template
        self.body, _ = template.circuit.without_final_measurements()

    @cached_property
    def measuring(self) -> DynamicProgram:
        """The circuit with the observables."""
        template = self.template
        return compile_dynamic(
            template.circuit, template.observables, inputs=template.input_names, dtype=template.dtype
        )

    @cached_property
    def bare(self) -> DynamicProgram:
        """The circuit alone."""
        template = self.template
        return compile_dynamic(template.circuit, inputs=template.input_names, dtype=template.dtype)

    @cached_property
    def settings(self) -> tuple[list[tuple[MeasurementGroup, DynamicProgram]], npt.NDArray[np.float64]]:
        """The measurement settings that estimate the observables, and the constants in those."""
        template = self.template
        groups, constants = group_terms(template.observables)
        rotated = [
            compile_dynamic(self.body.compose(group.rotation()), inputs=template.input_names, dtype=template.dtype)
            for group in groups
        ]
        return list(zip(groups, rotated, strict=True)), constants

    def answer(self, values: Values, shots: int | None, seed: int | None) -> Answer:
        """Return what template and shots ask for.

        Raises:
            UnsupportedProgramError: A state vector is asked for: there is none.
            StateTooLargeError: No method fits into memory.
        """
        if not self.template.observables:
            if shots is None:
                raise UnsupportedProgramError(
                    "A circuit that measures, resets or has noise ends in no single state vector; give observables or "
                    "shots, or take superpose.engine.dynamic.compile_dynamic(...).density_matrix."
                )
            counts = self.bare.counts(*values[:2], shots, seed, initial_state=values.initial_state)
            return Answer({"counts": tuple(counts)}, _notes(self.bare, shots, bits=True))
        return self._exact(values, seed) if shots is None else self._estimated(values, shots, seed)

    def _exact(self, values: Values, seed: int | None) -> Answer:
        """Return exact expectations; where none can be had, means over trajectories and their largest error."""
        program = self.measuring
        notes = _notes(program, None)
        if "n_trajectories" in notes:
            seed = int(np.random.default_rng().integers(2**63 - 1)) if seed is None else seed
        found, errors = program.expectation_and_error(
            *values[:2], initial_state=values.initial_state, n_trajectories=EXACT_TRAJECTORIES, seed=seed
        )
        if "n_trajectories" in notes:
            notes |= {"seed": seed, "largest_standard_error": float(errors.max())}
        return Answer({"expectations": found.astype(np.float64, copy=False)}, notes)

    def _estimated(self, values: Values, shots: int, seed: int | None) -> Answer:
        """Return expectations from ``shots`` measurements of each setting, ``(batch, n_observables)``."""
        settings, constants = self.settings
        out = np.tile(constants, (values.batch, 1))  # (batch, n_observables)
        notes: dict[str, Any] = {"measured_bases": [group.basis for group, _ in settings]}
        for number, (group, program) in enumerate(settings):
            samples = program.sample_qubits(
                *values[:2], shots, seed_of(seed, number, 0), initial_state=values.initial_state
            )  # (batch, shots)
            out += group.estimates(samples, len(self.template.observables))
            notes |= _notes(program, shots)
        return Answer({"expectations": out}, notes)


def _notes(program: DynamicProgram, shots: int | None, *, bits: bool = False) -> dict[str, Any]:
    """Return the method and its size."""
    method = program.choice(bits=bits, n_samples=shots).method
    if method == "trajectories":
        return {"method": method, "n_trajectories": EXACT_TRAJECTORIES if shots is None else shots}
    return {"method": method, "n_branches": program.n_branches(bits=bits, method=method)}
