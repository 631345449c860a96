"""Folders ``train``, ``val`` and ``test`` above the folders of classes: the official split of a set of pictures."""

from __future__ import annotations

from collections.abc import Sequence

from superpose.errors import DatasetFormatError

__all__ = ["PART", "PARTS", "check_parts"]

PART = "part"
"""Column that says which part of an official split a picture is in: train, val or test."""

PARTS = ("train", "val", "test")


def check_parts(given: Sequence[str]) -> None:
    """Refuse parts that are no split.

    Args:
        given: part of each picture, "" where its folder says nothing.

    Raises:
        DatasetFormatError: others than train, test and perhaps val, or pictures outside of them.
    """
    stated = set(given)
    if stated not in ({"train", "test"}, set(PARTS)):
        outside = " and pictures outside" if "" in stated else ""
        raise DatasetFormatError(
            f"Folders of parts must be train, val (may be absent) and test, and hold all pictures; got "
            f"{', '.join(sorted(stated - {''}))}{outside}. Rename or move them, or give one part's folder alone."
        )
