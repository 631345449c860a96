"""Plain batched PyTorch, eager, autograd: whole states as in ``whole_state.py``, einsum over a reshaped state, rings as
index_select. Single gates are tried beside groups of four, since an eager call has its price."""

from __future__ import annotations

import torch

from rivals.circuit import Task
from rivals.protocol import Candidate, Step
from rivals.whole_state import Form, Library, forms, forward

__all__ = ["PACKAGES", "candidates"]

PACKAGES = ("torch",)


def _gather(permutation):
    index = torch.from_numpy(permutation)
    return lambda state, axis: state.index_select(axis, index)


def _complex(array):
    return array if array.is_complex() else array.to(torch.complex64)


_LIBRARY = Library(torch, torch.from_numpy, _gather, _complex)


def _build(task: Task, form: Form) -> Step:
    torch.set_num_threads(task.threads)
    expectations = forward(task.case, _LIBRARY, form)
    inputs, weights = torch.from_numpy(task.inputs), torch.from_numpy(task.weights)
    if not task.gradients:

        def look():
            with torch.inference_mode():
                return (expectations(inputs, weights),)

        return Step(look, lambda results: tuple(result.numpy() for result in results))
    inputs.requires_grad_()
    weights.requires_grad_()
    upstream = torch.from_numpy(task.upstream)

    def run():
        values = expectations(inputs, weights)
        return values.detach(), *torch.autograd.grad(values, (inputs, weights), upstream)

    return Step(run, lambda results: tuple(result.numpy() for result in results))


def candidates(task: Task) -> list[Candidate]:
    """All forms, and for layers that are not real single gates in the first layout."""
    found = forms(task.case)
    if task.case.n_qubits > 6:
        found.append(Form(True, 1))
    return [Candidate(str(form), "complex64", lambda form=form: _build(task, form)) for form in found]
