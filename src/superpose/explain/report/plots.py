"""The figures of a report, from the numbers of an evaluation: each says in its words what its lines say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from superpose.explain.report.blocks import Figure
from superpose.explain.report.drawing import COLOURS, GREY, plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "attribution_figure",
    "confusion_figure",
    "curves_figure",
    "heat_figure",
    "reliability_figure",
    "roc_figure",
    "seeds_figure",
]

_LONGEST = 36
_STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 2)))
"""Lines differ by style too, for those who do not see colours, and on paper."""


def short(text: str, longest: int = _LONGEST) -> str:
    """A name that has room in a drawing."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def legend_label(text: str) -> str:
    """A name for a legend, from which Matplotlib leaves out what begins with an underscore."""
    return f"\u2060{text}" if text.startswith("_") else text


def look(place: int) -> tuple[str, Any]:
    """Colour and style of a line: of as many lines as there are products of both no two look alike."""
    n_colours, n_styles = len(COLOURS), len(_STYLES)
    return COLOURS[place % n_colours], _STYLES[(place + place // n_colours) % n_styles]


def curves_figure(
    name: str,
    label: str,
    curves: Sequence[Mapping[str, Any]],
    *,
    loss: str = "cross entropy",
    split: str = "first split",
) -> Figure:
    """Losses by epoch, of one variant on some splits."""

    def draw(axes: Axes) -> None:
        from matplotlib.ticker import MaxNLocator

        for curve in curves:
            first = curve is curves[0]
            for place, (key, title) in enumerate((("loss", "training rows"), ("validation_loss", "validation rows"))):
                if curve.get(key) is not None:
                    axes.plot(
                        curve["epochs"], curve[key], color=COLOURS[place], linestyle=_STYLES[place],
                        linewidth=1.6 if first else 0.8, alpha=1.0 if first else 0.35, label=title if first else None,
                        marker="o" if len(curve["epochs"]) == 1 else None, markersize=4.5,
                    )  # fmt: skip
            if first:
                axes.axvline(curve["best_epoch"], color=GREY, linewidth=0.9, linestyle=":", label="epoch kept")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.set_xlabel("epoch")
        axes.set_ylabel(loss)
        axes.legend(frameon=False, fontsize=8)

    first = curves[0]
    said = [
        f"{title} from {first[key][0]:.3g} to {first[key][-1]:.3g}"
        for key, title in (("loss", "on training rows"), ("validation_loss", "on validation rows"))
        if first.get(key)
    ]
    more = f", the other splits ({len(curves) - 1}) in pale" if len(curves) > 1 else ""
    return Figure(
        plot(name, draw),
        f"Learning curve of the {label} on the {split}: loss {' and '.join(said) or 'not kept'} over "
        f"{first['epochs'][-1]} epoch{'s' if first['epochs'][-1] != 1 else ''}.",
        f"{label}: loss by epoch on the {split}{more}. Epoch {first['best_epoch']} was kept.",
    )


def seeds_figure(
    name: str, label: str, epochs: Sequence[int], losses: Sequence[Sequence[Sequence[float | None]] | None]
) -> Figure:
    """Training losses by epoch of one variant: the mean over seeds, in a band that holds all of them.

    Args:
        name: of the figure.
        label: of the variant.
        epochs: numbers from 1.
        losses: for each seed, of each member of its network a loss per epoch; None for what is not known. A seed counts
            by the mean of its members; an epoch that is not known of one of the seeds is left out.
    """
    known = [np.array(members, dtype=float) for members in losses if members is not None]  # None becomes nan
    seeds = np.stack(known).mean(axis=1)  # (seeds, members, epochs) -> (seeds, epochs)
    mean, n_seeds = seeds.mean(axis=0), len(known)
    told = np.isfinite(mean)

    def draw(axes: Axes) -> None:
        from matplotlib.ticker import MaxNLocator

        alone = "o" if told.sum() == 1 else None
        if n_seeds > 1:
            bounds = seeds.min(axis=0), seeds.max(axis=0)
            axes.fill_between(epochs, *bounds, color=COLOURS[0], alpha=0.22, linewidth=0, label=f"all {n_seeds} seeds")
        title = "training pictures" + (", mean over seeds" if n_seeds > 1 else "")
        axes.plot(epochs, mean, color=COLOURS[0], linewidth=1.6, marker=alone, markersize=4.5, label=title)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.set_xlabel("epoch")
        axes.set_ylabel("cross entropy")
        axes.legend(frameon=False, fontsize=8)

    over = f"mean over {n_seeds} seeds" if n_seeds > 1 else "one seed"
    shown, at = mean[told], np.asarray(epochs)[told]
    said = f"from {shown[0]:.3g} in epoch {at[0]} to {shown[-1]:.3g} in epoch {at[-1]}" if told.any() else "not known"
    notes = [f"{label}: loss by epoch on the training pictures, {over}"]
    notes += ["the band is from the least to the greatest seed"] if n_seeds > 1 else []
    notes += [f"a seed counts by the mean of its {known[0].shape[0]} networks"] if known[0].shape[0] > 1 else []
    notes += [f"not known of {len(losses) - n_seeds} more seed(s)"] if len(losses) > n_seeds else []
    if not told.all():
        notes.append(
            f"{int((~told).sum())} epoch(s) whose loss is not known of every seed, or is no finite number, left out"
        )
    return Figure(
        plot(name, draw), f"Learning curve of the {label}, {over}: loss on training pictures {said}.",
        f"{'; '.join(notes)}.",
    )  # fmt: skip


def roc_figure(name: str, curves: Sequence[tuple[str, Mapping[str, Any]]], caption: str) -> Figure:
    """ROC curves, each with its label."""

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=":")
        for place, (label, curve) in enumerate(curves):
            colour, style = look(place)
            axes.plot(
                curve["fpr"], curve["tpr"], color=colour, linestyle=style,
                linewidth=2.0 if place == 0 else 1.2, label=legend_label(f"{short(label, 60)} ({curve['auc']:.3f})"),
            )  # fmt: skip
        axes.set_xlabel("1 - specificity")
        axes.set_ylabel("sensitivity")
        axes.set_aspect("equal")
        axes.legend(frameon=False, fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.14))  # covers no curve

    said = "; ".join(f"{label} {curve['auc']:.3f}" for label, curve in curves)
    return Figure(plot(name, draw, (4.6, 4.2 + 0.17 * len(curves))), f"ROC curves. Areas under them: {said}.", caption)


def reliability_figure(name: str, series: Sequence[tuple[str, Sequence[Mapping[str, Any]]]], caption: str) -> Figure:
    """How often predictions of a stated probability are right."""

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=":")
        for place, (label, bins) in enumerate(series):
            axes.plot(
                [one["confidence"] for one in bins], [one["accuracy"] for one in bins], marker="os^"[place % 3],
                color=COLOURS[place], linestyle=_STYLES[place], linewidth=1.3, markersize=4.5, label=label,
            )  # fmt: skip
        low = min((one["confidence"] for _, bins in series for one in bins), default=0.5)
        axes.set_xlim(max(0.0, min(0.45, low - 0.05)), 1.02)
        axes.set_ylim(-0.02, 1.04)
        axes.set_xlabel("largest probability, mean of the bin")
        axes.set_ylabel("share that is right")
        axes.legend(frameon=False, fontsize=8, loc="lower right")

    said = "; ".join(
        f"{label}: "
        + ", ".join(f"{one['confidence']:.2f} stated, {one['accuracy']:.2f} right of {one['n_rows']}" for one in bins)
        for label, bins in series
    )
    return Figure(plot(name, draw, (4.6, 4.2)), f"Reliability by bins. {said}.", caption)


def confusion_figure(name: str, label: str, classes: Sequence[str], matrix: Sequence[Sequence[int]]) -> Figure:
    """Cases by true and predicted class."""
    counts = np.asarray(matrix)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)  # (true, predicted)

    def draw(axes: Axes) -> None:
        from matplotlib.colors import LinearSegmentedColormap

        blues = LinearSegmentedColormap.from_list("blues", ["#ffffff", COLOURS[0]])
        axes.pcolormesh(shares, cmap=blues, vmin=0.0, vmax=1.0, edgecolors="#d5dbe3", linewidth=0.6)
        size = 10.0 if len(classes) <= 6 else 6.5
        for row in range(len(classes)):
            for column in range(len(classes)):
                ink = "#ffffff" if shares[row, column] > 0.55 else "#1c2430"
                axes.text(
                    column + 0.5, row + 0.5, f"{counts[row, column]}", ha="center", va="center", color=ink, size=size
                )
        places = np.arange(len(classes)) + 0.5
        names = [short(text, 14) for text in classes]
        axes.set_xticks(places, names, rotation=90 if len(classes) > 4 else 0)
        axes.set_yticks(places, names)
        axes.tick_params(length=0)
        axes.invert_yaxis()
        axes.set_aspect("equal")
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")

    right = int(np.trace(counts))
    return Figure(
        plot(name, draw, (4.2, 4.0)),
        f"Confusion matrix of the {label}: {right} of {int(counts.sum())} cases are in their class.",
        f"{label}: cases by true class (rows) and predicted class (columns); {right} of {int(counts.sum())} are right. "
        "The darker, the larger the share of the true class.",
    )


def attribution_figure(name: str, columns: Sequence[tuple[str, float]], unit: str, caption: str) -> Figure:
    """Bars of mean absolute attributions, the largest on top, in units of ``unit``."""

    def draw(axes: Axes) -> None:
        labels = [short(column) for column, _ in columns]
        axes.barh(np.arange(len(columns)), [value for _, value in columns], color=COLOURS[0], height=0.7)
        axes.set_yticks(np.arange(len(columns)), labels)
        axes.invert_yaxis()
        axes.set_xlabel(f"mean absolute attribution ({unit})")

    said = ", ".join(f"{column} {value:.3g}" for column, value in columns)
    return Figure(
        plot(name, draw, (7.0, 0.9 + 0.26 * len(columns))), f"Attributions by column: {said}.", caption, wide=True
    )


def heat_figure(name: str, pixels: NDArray[np.float64], caption: str) -> Figure:
    """Mean absolute attributions of an image's pixels, ``(height, width)``."""

    def draw(axes: Axes) -> None:
        from matplotlib.colors import LinearSegmentedColormap

        heat = LinearSegmentedColormap.from_list("heat", ["#14181e", "#7a4fa3", "#c2560c", "#fff2c4"])
        shown = axes.imshow(pixels, cmap=heat, interpolation="nearest", vmin=0.0)
        axes.set_xlabel("column of pixels")
        axes.set_ylabel("row of pixels")
        axes.figure.colorbar(shown, ax=axes, shrink=0.85, label="mean absolute attribution")

    row, column = np.unravel_index(int(pixels.argmax()), pixels.shape)
    return Figure(
        plot(name, draw, (4.8, 4.0)),
        f"Map of attributions over {pixels.shape[0]} by {pixels.shape[1]} pixels; the most, {float(pixels.max()):.3g}, "
        f"at row {int(row)}, column {int(column)}.",
        caption,
    )
