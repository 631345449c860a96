"""External validations over HTTP: what cannot be is refused by the field's name."""

from __future__ import annotations

import copy
from typing import Any

from .matrix import VALIDATION

PATH = "/v1/models/nothing/versions/1/validations/north"


def test_figures_that_cannot_be_are_refused_by_name(api: Any) -> None:
    whole = {**VALIDATION, "digest": "0" * 64}
    assert api.call("PUT", PATH, whole).code == "service.not_found"  # the body is right
    share = {"share": 0.9, "low": 0.8, "high": 0.95}
    for place, value, told in (
        (("metrics", "accuracy"), {"value": 0.8, "low": 0.9, "high": 0.7}, "low must not be above high"),
        (("metrics", "accuracy"), {"value": 0.8, "low": None, "high": 0.9}, "both be null"),
        (("metrics", "auc"), {"value": None, "low": 0.7, "high": 0.9}, "has no interval"),
        (("metrics", "<b>"), {"value": 0.8, "low": None, "high": None}, "<b>"),
        (("metrics", "accuracy", "value"), "0.8", "metrics.accuracy"),
        (("metrics",), {}, "metrics"),
        (("digest",), "0" * 63, "digest"),
        (("n_rows",), 0, "n_rows"),
        (("n_rows",), True, "n_rows"),
        (("confidence",), 1, "confidence"),
        (("confidence",), 1.0 - 1e-16, "confidence"),  # no quantile is finite
        (("words",), "Better than all others.", "words"),
        (("subgroups",), [{"column": "sex", "group": "f", "n_rows": -1, "metrics": {}}], "subgroups"),
        (("calibration", "novelty"), {"novel": {**share, "high": 1.5}, "expected_share": 0.1}, "calibration.novelty"),
        (("drift",), {"n_columns": 4, "drifted": 3, "shifted": 0, "farthest": []}, "must add up"),
        (("drift",), {"n_columns": 4, "drifted": 3, "shifted": 2, "farthest": [{"name": "a", "psi": 1.0}]}, "add up"),
        (("unknown_categories",), {f"column {n}": 1 for n in range(21)}, "unknown_categories"),
    ):
        body: Any = copy.deepcopy(whole)
        holder = body
        for name in place[:-1]:
            holder = holder[name]
        holder[place[-1]] = value
        reply = api.call("PUT", PATH, body)
        assert reply.status in (400, 422) and told in reply.body.decode(), (place, reply.body)
