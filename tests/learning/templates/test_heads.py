"""Heads of the chest X-ray template, trained alone on cached features."""

from __future__ import annotations

import pytest
import torch

from superpose.learning.templates.pneumonia.networks import DressedHead
from superpose.learning.templates.pneumonia.settings import HeadSettings
from superpose.learning.templates.pneumonia.variants import Features, fit_head

N_FEATURES, N_TRAIN = 12, 101


def cached() -> Features:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(3, N_TRAIN, N_FEATURES, generator=generator)
    labels = (rows[0, :, 0] + rows[0, :, 1] > 0.5).long()  # classes of unequal size
    return Features(rows, labels, rows[0, :10], labels[:10])


@pytest.mark.parametrize("kind", ["hybrid", "unentangled", "frozen"])
def test_heads_train_in_compiled_code_as_in_torch(kind: str) -> None:
    features, settings = cached(), HeadSettings(epochs=3, batch_size=16)  # six steps an epoch, of 17 or 16 rows
    compiled, plain = (fit_head(features, kind, settings, 1, compiled=found) for found in (True, False))  # type: ignore[arg-type]  # a name from above
    with torch.no_grad():
        found, wanted = compiled(features.train[0]), plain(features.train[0])
        torch.manual_seed(1)
        untrained = DressedHead(N_FEATURES, kind, 1)(features.train[0])  # type: ignore[arg-type]  # as above
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=0.0)
    assert float((untrained - wanted).abs().max()) > 0.05
    assert all(parameter.grad is None for parameter in compiled.parameters())
