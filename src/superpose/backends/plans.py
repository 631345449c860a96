"""The plans of this process: one per template, of the kind that its circuit needs."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from superpose.backends.plan import Plan
from superpose.circuits import Template

if TYPE_CHECKING:
    from superpose.backends.dynamic_plan import DynamicPlan

__all__ = ["plan_of"]

KEPT_PLANS = 256
_plans: OrderedDict[Any, Plan | DynamicPlan] = OrderedDict()
_plans_lock = threading.Lock()


def plan_of(template: Template) -> Plan | DynamicPlan:
    """Return the plan of a template; equal ones get the same, as long as it is among the last 256."""
    with _plans_lock:
        found = _plans.get(template.key)
        if found is None:
            found = _plans[template.key] = _made(template)
            if len(_plans) > KEPT_PLANS:
                _plans.popitem(last=False)
        else:
            _plans.move_to_end(template.key)
    return found


def _made(template: Template) -> Plan | DynamicPlan:
    """Return the plan for the engine's tapes where the circuit has gates alone in front of exact measurements."""
    circuit = template.circuit
    if circuit.is_unitary or (not circuit.has_noise and circuit.without_final_measurements()[0].is_unitary):
        return Plan(template)
    from superpose.backends.dynamic_plan import DynamicPlan  # a room that most processes never enter

    return DynamicPlan(template)


def _after_fork() -> None:
    """Another thread may have held the lock when the process forked."""
    global _plans_lock
    _plans_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
