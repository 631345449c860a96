"""A model card in Markdown, from what the registry knows of a model version."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from superpose.cli.comparison import METRIC_TITLES, rows_of

if TYPE_CHECKING:
    from superpose.client import ModelVersion

__all__ = ["model_card"]


def model_card(version: ModelVersion) -> str:
    """The card: what the model is, what it was trained on, how it compares, what it is not for."""
    return "\n".join(_lines(version)) + "\n"


def _lines(version: ModelVersion) -> Iterator[str]:
    manifest, evaluation = version.manifest, version.evaluation
    yield f"# {version.model}, version {version.version}"
    yield ""
    yield "A hybrid quantum-classical classifier: classical layers around a simulated quantum circuit."
    yield ""
    yield "## Identity"
    yield ""
    yield f"- digest of the manifest: `{version.digest}`"
    yield f"- made by job `{version.job_id}` at {version.created_at.isoformat(timespec='seconds')}"
    yield from _facts("provenance", manifest.get("provenance"))
    yield ""
    yield "## How it compares"
    yield ""
    if evaluation.get("verdict"):
        yield str(evaluation["verdict"])
        yield ""
    yield from _table(evaluation)
    yield ""
    yield "Each number is the mean over paired test splits with its confidence interval. The registered model is the"
    yield "hybrid model of the first split; on that split's test rows, which it never saw, it scored:"
    yield ""
    yield from _metrics(version.metrics)
    yield ""
    yield "## Limits"
    yield ""
    yield "- The circuit is simulated; nothing here was run on quantum hardware."
    yield "- The numbers hold for rows drawn like those of the data set, not for other sites, devices or populations."
    yield "- It is no medical device: do not use it for decisions about people without a validation of your own."
    yield ""
    yield "## Training spec"
    yield ""
    yield "```json"
    yield json.dumps(manifest.get("spec") or (manifest.get("provenance") or {}).get("spec") or {}, indent=2)
    yield "```"


def _facts(title: str, document: object) -> Iterator[str]:
    if not isinstance(document, Mapping):
        return
    for name, value in document.items():
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            yield f"- {title}, {name.replace('_', ' ')}: {value}"


def _table(evaluation: Mapping[str, Any]) -> Iterator[str]:
    rows = rows_of(evaluation)
    metrics = [name for name in METRIC_TITLES if any(name in row.get("metrics", {}) for row in rows.values())]
    yield "| model | parameters | " + " | ".join(METRIC_TITLES[name] for name in metrics) + " |"
    yield "|---|---|" + "---|" * len(metrics)
    for row in rows.values():
        cells = [_metric(row.get("metrics", {}).get(name)) for name in metrics]
        yield f"| {row.get('label', '–')} | {row.get('n_params', '–')} | " + " | ".join(cells) + " |"


def _metric(metric: object) -> str:
    if not isinstance(metric, Mapping) or not isinstance(metric.get("mean"), int | float):
        return "–"
    return f"{metric['mean']:.3f} [{metric.get('low', 0):.3f}, {metric.get('high', 0):.3f}]"


def _metrics(metrics: Mapping[str, Any]) -> Iterator[str]:
    for name, title in METRIC_TITLES.items():
        if isinstance(metrics.get(name), int | float):
            yield f"- {title}: {metrics[name]:.3f}"
