"""Which pictures unlike those in training a picture model's safeguards notice: singly, and as a stream to an endpoint.

    python benchmarks/picture_novelty.py pneumoniamnist.npz --other breastmnist.npz
    python benchmarks/picture_novelty.py breastmnist.npz --preset breast --json

A model is trained for one epoch, since neither its novelty score nor its drift baseline depends on the network; what it
makes of the test part is not told. The test part's pictures are changed in the ways that the table names. Told of each:
the share that is novel by the model's score, and after how many pictures, drawn with repetition, each alarm of an
endpoint is raised (windows, verdicts and patience are those of endpoints), or "no" where it is not within ``--stream``.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from harness import environment_facts, print_json, print_table, say
from watching import raised

Floats = NDArray[np.float64]


def main() -> None:
    """Train, change pictures, ask and watch."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="pictures, as for superpose train pneumonia --data")
    parser.add_argument("--other", type=Path, help="pictures of another sort, of the same size")
    parser.add_argument("--preset", default="chest")
    parser.add_argument("--stream", type=int, default=2_000, help="pictures that an alarm may take")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    from superpose.datasets.picture_sets import read_pictures
    from superpose.learning import Predictor
    from superpose.learning.templates.pneumonia import train_pneumonia

    with tempfile.TemporaryDirectory() as place:
        report = train_pneumonia(given.data, Path(place), preset=given.preset, seeds=1, epochs=1, variants=(), tell=say)
        predictor = Predictor.load(Path(place) / str(report["model"]["file"]))
    pictures = read_pictures(given.data)
    drawn = np.random.default_rng(given.seed)
    sorts = changed(pictures.parts["test"].pixels.astype(np.float64), pictures.side, drawn)
    if given.other is not None:
        other = read_pictures(given.other, side=pictures.side)
        sorts[other.name] = np.concatenate([part.pixels for part in other.parts.values()]).astype(np.float64)
    score = predictor.safeguards.novelty
    rows = []
    for name, pixels in sorts.items():
        alarms = {kind: rings_after(predictor, pixels, given.stream, drawn, kind) for kind in ("drift", "novelty")}
        novel = 100 * float((score.scores(pixels) > score.threshold).mean())
        rows.append({"pictures": name, "different": len(pixels), "novel_percent": round(novel, 1), **alarms})
    facts = environment_facts(1, data=given.data.name, validation_pictures=score.n_rows, stream=given.stream)
    if given.json:
        print_json(facts, rows)
        return
    print_table("", rows, {name: (lambda row, name=name: str(row[name])) for name in rows[0]})


def changed(pixels: Floats, side: int, drawn: np.random.Generator) -> dict[str, Floats]:
    """The pictures, ``(n, side * side)``, in each of the ways, and pictures without any content."""
    square = pixels.reshape(-1, side, side)
    half = square.copy()
    half[:, side // 2 :] = 0.0

    def noisy(deviation: float) -> Floats:
        return np.clip(pixels + deviation * drawn.standard_normal(pixels.shape), 0.0, 1.0)

    sorts: Mapping[str, Any] = {
        "as they are": square,
        "inverted": 1.0 - square,
        "0.6 times as bright": 0.6 * square,
        "0.8 times as bright": 0.8 * square,
        "1.4 times as bright": np.minimum(1.4 * square, 1.0),
        "blurred (1.5 pixels)": gaussian_filter(square, (0, 1.5, 1.5)),
        "with noise of 0.05": noisy(0.05),
        "with noise of 0.1": noisy(0.1),
        "nothing but noise": drawn.random(pixels.shape),
        "black": np.zeros((1, side * side)),
        "white": np.ones((1, side * side)),
        "grey": np.full((1, side * side), 0.5),
        "lower half black": half,
        "moved by a quarter": np.roll(square, side // 4, axis=2),
        "turned by 90 degrees": np.rot90(square, axes=(1, 2)),
        "turned by 180 degrees": square[:, ::-1, ::-1],
        "mirrored": square[:, :, ::-1],
    }
    return {name: np.asarray(one, dtype=np.float64).reshape(len(one), -1) for name, one in sorts.items()}


def rings_after(predictor: Any, pixels: Floats, n_rows: int, drawn: np.random.Generator, kind: str) -> int | str:
    """After how many pictures of a stream an alarm is raised, or "no"."""
    from superpose.service.serving.watching import Watch

    now, told = [0.0], []  # type: list[float], list[str]
    watch = Watch(lambda found: told.extend(f.verdict for f in found if f.kind == kind), lambda: now[0])
    for seen in range(20, n_rows + 1, 20):
        now[0] += 1.0
        if watch.offer(list(pixels[drawn.integers(0, len(pixels), 20)])):
            watch.count(predictor)
        if raised(told):
            return seen
    return "no"


if __name__ == "__main__":
    main()
