"""The figures of forecasts: against what came, what was left over, and how often intervals held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from superpose.explain.report.blocks import Figure
from superpose.explain.report.drawing import COLOURS, GREY, INK, plot
from superpose.explain.report.plots import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["against_truth_figure", "forecasts_figure", "held_figure", "residuals_figure"]

Facts = Mapping[str, Any]
Floats = NDArray[np.float64]
_MOST_TICKS = 8
_STYLES = ("-", "--", "-.")


def forecasts_figure(name: str, series: Facts, forecasts: Sequence[tuple[str, Facts]], horizon: int) -> Figure:
    """What came and what was forecast, period by period; of the first forecast the interval too.

    Args:
        name: of the figure.
        series: ``name``, ``periods`` and ``truth``.
        forecasts: label, and ``values``, ``low`` and ``high`` of the same periods.
        horizon: periods from one origin to the next.
    """
    periods, truth = list(series["periods"]), np.asarray(series["truth"], dtype=np.float64)
    places = np.arange(len(periods))
    label, first = forecasts[0]

    def draw(axes: Axes) -> None:
        axes.fill_between(
            places,
            first["low"],
            first["high"],
            color=COLOURS[0],
            alpha=0.16,
            linewidth=0,
            label=f"{short(label)}: interval",
        )
        axes.plot(places, truth, color=INK, linewidth=1.6, label="what came")
        for place, (told, one) in enumerate(forecasts):
            axes.plot(
                places,
                one["values"],
                color=COLOURS[place],
                linestyle=_STYLES[place % 3],
                linewidth=1.2,
                label=short(told),
            )
        for origin in range(0, len(periods), horizon):
            axes.axvline(origin - 0.5, color=GREY, linewidth=0.5, linestyle=":")
        _period_ticks(axes, periods)
        axes.set_ylabel("quantity")
        axes.legend(frameon=False, fontsize=7, ncols=2)

    said = ", ".join(f"{told} {_mae(truth, one):.4g}" for told, one in forecasts)
    whose = f"Series {series['name']}: forecasts" if series["name"] else "Forecasts"
    return Figure(
        plot(name, draw, (9.0, 3.6)),
        f"{whose} of {len(periods)} periods, {periods[0]} to {periods[-1]}. Mean absolute errors: {said}.",
        f"{whose} of all test origins, one after the other (dotted lines), beside what came. Mean absolute "
        f"error: {said}.",
        wide=True,
    )


def against_truth_figure(name: str, label: str, truth: Floats, values: Floats) -> Figure:
    """Predicted against true quantities."""

    def draw(axes: Axes) -> None:
        low, high = float(min(truth.min(), values.min())), float(max(truth.max(), values.max()))
        axes.plot([low, high], [low, high], color=GREY, linewidth=0.8, linestyle=":")
        axes.scatter(truth, values, color=COLOURS[0], s=12, alpha=0.7, linewidths=0)
        axes.set_xlabel("what came")
        axes.set_ylabel("forecast")

    related = float(np.corrcoef(truth, values)[0, 1]) if truth.std() > 0 and values.std() > 0 else float("nan")
    said = f"correlation {related:.3f}" if np.isfinite(related) else "one of them does not vary"
    return Figure(
        plot(name, draw, (4.4, 4.0)),
        f"{len(truth)} forecasts of the {label} against what came; {said}.",
        f"{label}: forecasts against what came, {len(truth)} periods ({said}). On the dotted line they agree.",
    )


def residuals_figure(name: str, label: str, periods: Sequence[str], residuals: Sequence[Floats]) -> Figure:
    """What came less what was forecast, by period, a mark per series."""
    joined = np.concatenate(list(residuals))

    def draw(axes: Axes) -> None:
        axes.axhline(0.0, color=GREY, linewidth=0.8)
        for place, one in enumerate(residuals):
            axes.plot(
                np.arange(len(one)), one, color=COLOURS[place % len(COLOURS)], marker="os^Dvx"[place % 6], markersize=3,
                linestyle="none",
            )  # fmt: skip
        _period_ticks(axes, periods)
        axes.set_ylabel("what came - forecast")

    mean, spread = float(joined.mean()), float(joined.std())
    above = 100 * float((joined > 0).mean())
    return Figure(
        plot(name, draw, (4.6, 4.0)),
        f"Residuals of the {label}: mean {mean:.4g}, standard deviation {spread:.4g}, {above:.0f} % above 0.",
        f"{label}: residuals by period, mean {mean:.4g}, standard deviation {spread:.4g}; {above:.0f}\u00a0% above 0.",
    )


def held_figure(name: str, shares: Sequence[tuple[str, Sequence[float]]], level: float, n: int) -> Figure:
    """How often intervals held what came, by steps ahead.

    Args:
        name: of the figure.
        shares: label, and the share of each step.
        level: what they are meant to hold.
        n: numbers behind each share.
    """

    def draw(axes: Axes) -> None:
        steps = np.arange(1, len(shares[0][1]) + 1)
        axes.axhline(level, color=GREY, linewidth=0.9, linestyle=":", label=f"meant: {100 * level:g} %")
        for place, (told, share) in enumerate(shares):
            axes.plot(
                steps, share, color=COLOURS[place], linestyle=_STYLES[place % 3], marker="os^"[place % 3], markersize=4,
                linewidth=1.2, label=short(told),
            )  # fmt: skip
        axes.set_ylim(-0.03, 1.05)
        axes.set_xlabel("steps ahead")
        axes.set_ylabel("share held")
        axes.legend(frameon=False, fontsize=7, loc="lower left")

    said = "; ".join(f"{told} {100 * float(np.mean(share)):.1f} % in all" for told, share in shares)
    return Figure(
        plot(name, draw, (4.6, 4.0)),
        f"Share of intervals that held what came, by steps ahead. {said}.",
        f"How often {100 * level:g}\u00a0% intervals held what came, by steps ahead ({n} numbers a step): {said}.",
    )


def _period_ticks(axes: Axes, periods: Sequence[str]) -> None:
    step = max(1, -(-len(periods) // _MOST_TICKS))
    places = np.arange(0, len(periods), step)
    axes.set_xticks(places, [periods[int(place)] for place in places], rotation=35, ha="right")


def _mae(truth: Floats, one: Facts) -> float:
    return float(np.abs(truth - np.asarray(one["values"])).mean())
