"""Data sets made by rule, for tests and comparisons: two classes, -1 and 1, everything decided by the arguments.

Every maker gives ``rows`` ``(n_rows, n_features)`` float64 and ``labels`` ``(n_rows,)`` int64 of -1 and 1, and the same
for the same arguments and seed. `DATA_FAMILIES` holds the ten families of a published comparison of classical and
quantum classifiers with their settings; `generate` makes one of their data sets, in a training and a test part.

Source: Bowles, Ahmed, Schuld 2024, arXiv 2403.07059, section 3 and appendix; the settings of its data repository,
XanaduAI/qml-benchmarks. Definitions are theirs, code and random numbers are not: a mean over several seeds compares
with theirs, a single data set does not. `published_draw` makes the very data sets of that comparison.
"""

from __future__ import annotations

from superpose.datasets.generated.digit_pairs import (
    DigitImages,
    digit_pair_parts,
    digit_pair_pca_parts,
    mnist_digits,
    shipped_digits,
)
from superpose.datasets.generated.families import DATA_FAMILIES, DataFamily, generate
from superpose.datasets.generated.parts import LabelledParts, split_parts
from superpose.datasets.generated.patterns import bars_and_stripes
from superpose.datasets.generated.published import published_draw
from superpose.datasets.generated.surfaces import hidden_manifold, hyperplanes_parity, linearly_separable, two_curves

__all__ = [
    "DATA_FAMILIES",
    "DataFamily",
    "DigitImages",
    "LabelledParts",
    "bars_and_stripes",
    "digit_pair_parts",
    "digit_pair_pca_parts",
    "generate",
    "hidden_manifold",
    "hyperplanes_parity",
    "linearly_separable",
    "mnist_digits",
    "published_draw",
    "shipped_digits",
    "split_parts",
    "two_curves",
]
