"""Which rows of a table the parent of a fine-tuning had learnt from: figures on those flatter the child."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superpose.datasets import Split, Table
from superpose.errors import SuperposeError
from superpose.learning.fine_tuning.parent import Parent
from superpose.learning.spec import TrainingSpec
from superpose.learning.splitting import Groups, splits_of

__all__ = ["parents_rows", "seen_by_parent"]


def parents_rows(parent: Parent, table: Table, groups: Groups | None) -> tuple[NDArray[np.bool_], bool] | None:
    """Which rows the parent, or a model behind it, was trained on or stopped by, ``(n_rows,)``, with all rows of their
    groups where the split keeps groups together; and whether that is certain, or all rows may be. None where their
    data were others.

    Certain are training and validation rows of the first split of a spec of the parent's. Where its file has no spec,
    or one of the models behind it was trained on the same data, all rows may be. Of a table of pictures that the
    picture template had, rows of its training and validation parts may be.

    Args:
        parent: the model that training begins from.
        table: the rows of the child, before columns are left out.
        groups: which of them belong together.
    """
    earlier = table.digest in parent.earlier_data
    pictures = _rows_of_pictures(parent, table)
    if parent.dataset_digest != table.digest and not earlier:
        return None if pictures is None else (pictures, False)
    split = None if earlier else _first_split(parent.spec, table)
    if split is None:
        return np.ones(table.n_rows, dtype=np.bool_), False
    seen: NDArray[np.bool_] = np.zeros(table.n_rows, dtype=np.bool_)
    seen[np.concatenate([split.train, split.validation])] = True
    if groups is not None and groups.kept_together:
        seen = np.isin(groups.members, groups.members[seen])
    return (seen, True) if pictures is None else (seen | pictures, False)


def _rows_of_pictures(parent: Parent, table: Table) -> NDArray[np.bool_] | None:
    """Rows that the picture template may have trained on, whose files name the digest of pictures, not of a table."""
    from superpose.datasets.picture_tables import PART, pictures_of_table

    known = {parent.dataset_digest, *parent.earlier_data} - {None, table.digest}
    if not known:
        return None
    try:
        if pictures_of_table(table).digest not in known:
            return None
    except SuperposeError:  # no pictures
        return None
    if PART not in table.feature_names:
        return np.ones(table.n_rows, dtype=np.bool_)  # the template drew its parts
    return np.array([str(part) != "test" for part in table.features[PART]], dtype=np.bool_)


def seen_by_parent(
    parent: Parent, table: Table, groups: Groups | None, splits: Sequence[Split], cases: NDArray[np.integer]
) -> dict[str, Any] | None:
    """How many test rows the parent had learnt from, as JSON values; None where its data were others.

    Args:
        parent, table, groups: as for `parents_rows`.
        splits: of the child.
        cases: places of the rows that any of its splits tests.

    Returns:
        ``certain``; ``n_cases`` and, of those, ``n_seen``; ``test``, the numbers of the first split's test rows, which
        the registered model's own figures are of: ``[n_seen, n_rows]``.
    """
    found = parents_rows(parent, table, groups)
    if found is None:
        return None
    seen, certain = found
    own = splits[0].test
    return {
        "certain": certain,
        "n_seen": int(seen[cases].sum()),
        "n_cases": len(cases),
        "test": [int(seen[own].sum()), len(own)],
    }


def _first_split(spec: Mapping[str, Any] | None, table: Table) -> Split | None:
    """The split that the parent was registered from; None where its spec does not tell."""
    if not spec:
        return None
    try:
        return splits_of(TrainingSpec.from_dict(spec), table, at_most=1)[0]
    except SuperposeError:
        return None
