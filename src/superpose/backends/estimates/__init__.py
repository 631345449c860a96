"""Estimates before anything runs: how good, how dear and how soon a program's results will be on a backend."""

from __future__ import annotations

from superpose.backends.estimates.estimating import Knowledge, calibrated_estimate, estimate_program, usage_of
from superpose.backends.estimates.fidelity import SuccessProbability, Tariff, success_probability
from superpose.backends.estimates.placement import Placed, Placer
from superpose.backends.estimates.pricing import PriceRow, PriceTable, Usage, published_prices
from superpose.backends.estimates.recording import WaitRecorder, recording_waits
from superpose.backends.estimates.table import BackendEstimate, estimate_backends, pareto_front
from superpose.backends.estimates.waiting import SeenWait, WaitEstimate, estimate_wait, read_waits, write_wait

__all__ = [
    "BackendEstimate",
    "Knowledge",
    "Placed",
    "Placer",
    "PriceRow",
    "PriceTable",
    "SeenWait",
    "SuccessProbability",
    "Tariff",
    "Usage",
    "WaitEstimate",
    "WaitRecorder",
    "calibrated_estimate",
    "estimate_backends",
    "estimate_program",
    "estimate_wait",
    "pareto_front",
    "published_prices",
    "read_waits",
    "recording_waits",
    "success_probability",
    "usage_of",
    "write_wait",
]
