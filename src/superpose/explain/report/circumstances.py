"""The sections of a report on everything but scores: data, explanation, circuit, privacy, cost, promotion, machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from superpose.errors import ExplanationError, SuperposeError
from superpose.explain.finding_words import finding_words
from superpose.explain.limit_words import limit_words
from superpose.explain.pictures.grid import named_image_grid
from superpose.explain.privacy_words import (
    alarm_words,
    bound_words,
    more_than_one_row,
    of_groups,
    parent_had_rows,
    parent_words,
    shadow_words,
)
from superpose.explain.promotion import check_promotion
from superpose.explain.report.blocks import Block, Figure, Points, Section, Table, Text
from superpose.explain.report.drawing import circuit_svg
from superpose.explain.report.facts import ReportFacts
from superpose.explain.report.origin import OUTSIDE, came_as_file
from superpose.explain.report.plots import attribution_figure, heat_figure
from superpose.explain.samples import strongest_first
from superpose.explain.series_words import series_words
from superpose.explain.validation_words import VALIDATION_NOTE, validation_points, validation_table
from superpose.learning.card import stated

__all__ = [
    "circuits",
    "cost",
    "data",
    "environment",
    "explanation",
    "machine_and_job",
    "privacy",
    "promotion",
    "study_cost",
]

Facts = Mapping[str, Any]
_MOST_CIRCUITS = 4
_MOST_OPERATIONS = 400
_MOST_BARS = 15
_MOST_CLASSES = 20
_PARTS = {"train": "training", "validation": "validation", "test": "test"}


def _place(part: str) -> int:
    """Where a part of the data stands; files keep their own order."""
    return list(_PARTS).index(part) if part in _PARTS else len(_PARTS)


def data(facts: ReportFacts) -> Section:
    """What was trained on, and how it was split."""
    known = facts.known_manifest.get("data") or {}
    if not known:
        why = "the model file does not tell of its data" if facts.known_manifest else "there is no model file that does"
        columns = ((facts.known_manifest.get("pipeline") or {}).get("preprocessing") or {}).get("columns")
        count = f" It takes {len(columns)} columns." if columns else ""
        return Section("data", "Data and splits", [Text(f"Left out: {why}.{count}")])
    if "split" not in known:  # a template's: series, which it splits by time
        return Section("data", "Data and splits", [Points(series_words(known))])
    split = {part: known["split"][part] for part in sorted(known["split"], key=_place)}
    counts = list((known.get("class_counts") or {}).items())
    more = [[f"and {len(counts) - _MOST_CLASSES} more", ""]] if len(counts) > _MOST_CLASSES else []
    chosen = known.get("split_by") or {}
    column = f" by column {chosen['column']}" if chosen.get("column") else ""
    blocks: list[Block] = [
        Points(
            [
                f"{known.get('name') or 'Unnamed data'}: {known['n_rows']} rows, {known['n_missing']} missing values; "
                f"target {known['target']}.",
                "The registered model: "
                + ", ".join(f"{count} {_PARTS.get(part, part)} rows" for part, count in split.items())
                + "; test rows were never seen in training.",
                f"Kind of split: {str(chosen.get('kind') or 'random').replace('_', ' ')}{column}.",
                *finding_words(facts.known_manifest),
                f"Digest of the data (SHA-256): {known['digest']}",
            ]
        )
    ]
    if counts:
        blocks.append(Table("Rows by class", ["class", "rows"], [*([str(k), str(n)] for k, n in counts[:20]), *more]))
    return Section("data", "Data and splits", blocks)


def explanation(facts: ReportFacts) -> Section:
    """Which columns or pixels moved predictions."""
    sample = facts.evidence.get("explanation") or {}
    if not sample.get("columns"):
        why = sample.get("refused") or "the training job left no explanation sample."
        said = OUTSIDE if came_as_file(facts) and not sample else f"Left out: {why}"
        return Section("explanation", "Explanation", [Text(said)])
    columns, unit = strongest_first(sample), str(sample.get("unit", "probability"))
    told = (
        f"Mean absolute attributions by {str(sample['method']).replace('_', ' ')} over {sample['n_rows']} "
        f"{sample.get('rows_are', 'test rows')}, in units of {unit}. They speak of "
        "the model, not of causes; of the rows themselves nothing is kept."
    )
    picture = _picture(facts, dict(columns))
    shown = columns[:_MOST_BARS]
    rest = f" The {len(columns) - len(shown)} others have no more." if len(columns) > len(shown) else ""
    most = f"The {len(shown)} columns that moved predictions most.{rest}" if len(columns) > 1 else "The only column."
    bars = attribution_figure("attributions", shown, unit, most)
    return Section("explanation", "Explanation", [Text(told), *([picture] if picture else [bars])])


def _picture(facts: ReportFacts, columns: Mapping[str, float]) -> Figure | None:
    """The attributions where the model's pixels are; None for a model whose columns are no pixels."""
    if facts.predictor is None:
        return None
    try:
        grid = named_image_grid(facts.predictor.model.preprocessor)
    except ExplanationError:
        return None
    names = facts.predictor.feature_names
    values = np.array([columns.get(name, 0.0) for name in names])
    pixels = values[grid.places].sum(axis=0)  # (height, width)
    return heat_figure(
        "pixels",
        pixels,
        "Where predictions look: mean absolute attributions of the pixels, summed over channels. Single pictures are "
        "not shown, since they are the data; see superpose explain --png.",
    )


def circuits(facts: ReportFacts) -> Section:
    """The circuits, drawn."""
    title = "Circuit"
    if facts.predictor is None:
        return Section("circuit", title, [Text("Left out: the model file is gone.")])
    blocks = facts.predictor.model.blocks
    if not blocks:
        return Section("circuit", title, [Text("Left out: this model has no circuit.")])
    shown: list[Block] = []
    for place, block in enumerate(blocks[:_MOST_CIRCUITS]):
        circuit = block.circuit
        said = (
            f"{circuit.n_qubits} qubits, {len(block.weight_names)} trained angles, {block.n_outputs} observables, "
            f"{circuit.n_instructions} operations"
        )
        if circuit.n_instructions > _MOST_OPERATIONS:
            shown.append(Text(f"{said}: too many to draw here; superpose draw draws it into a file."))
            continue
        try:
            svg = circuit_svg(circuit, f"circuit-{place}")
        except SuperposeError as error:
            shown.append(Text(f"{said}. Not drawn: {error.message}"))
            continue
        shown.append(Figure(svg, f"Circuit of {said}.", f"{said}.", wide=True))
    if len(blocks) > _MOST_CIRCUITS:
        shown.append(Text(f"{len(blocks) - _MOST_CIRCUITS} more circuits are left out."))
    return Section("circuit", title, shown)


def privacy(facts: ReportFacts) -> Section:
    """What an attacker could tell of training rows."""
    evaluation, provenance = facts.known_evaluation, facts.known_manifest.get("provenance") or {}
    private, attack = evaluation.get("privacy") or provenance.get("privacy"), evaluation.get("membership")
    lines = []
    if private:
        lines.append(
            f"Trained with differential privacy: epsilon {private['epsilon']:.3g}, delta {private['delta']:.3g} for "
            f"{private['covers']}, towards {private['protects']}. Not covered: {'; '.join(private['does_not_cover'])}."
        )
        lines += [*parent_words(facts.known_manifest), *more_than_one_row(private)]
    elif evaluation:
        lines.append("Trained without differential privacy: no epsilon bounds what the model tells of a training row.")
    else:
        lines.append("Nothing tells of differential privacy; take it that the model was trained without.")
    if attack:
        lines.append(
            f"Membership inference ({attack['attack']}): an attacker tells training rows from unseen ones with AUC "
            f"{attack['auc']:.3f} ({attack['low']:.3f} to {attack['high']:.3f}; 0.5 is guessing) and finds "
            f"{alarm_words(attack)} of {attack['n_trained']} training rows "
            f"({attack['n_unseen']} unseen{of_groups(attack)})."
        )
        if attack.get("bound") is not None and not parent_had_rows(facts.known_manifest):
            lines.append(bound_words(attack))
        lines.append(shadow_words(attack.get("shadow")))
    else:
        lines.append(
            "Membership inference is left out: the document does not hold it, or training or test rows were fewer than "
            "20, or of one group."
        )
    return Section("privacy", "Privacy", [Points(lines)])


def cost(facts: ReportFacts) -> Section:
    """What the training took."""
    energy = facts.evidence.get("energy") or {}
    provenance = facts.known_manifest.get("provenance") or {}
    measured = facts.known_evaluation.get("measured") or provenance.get("measured") or {}
    lines = []
    if energy:
        price = energy["worker_second_usd"]
        lines += [
            f"Processor time: {energy['cpu_s']:.1f} s in {energy['worker_s']:.1f} s of a worker (measured; attempts "
            "that were killed are not in it).",
            f"Energy: about {energy['energy_wh']:.3g} Wh, estimated from {energy['cpu_watts']:g} W for a busy thread.",
            f"Cost: {energy['cost_usd']:.2f} US dollars, an estimate: "
            + (f"{price:g} US dollars per worker's second" if price else "no price is set for workers' seconds")
            + f", and {energy['provider_usd']:.2f} US dollars at a provider.",
        ]
    if measured:
        everything = measured.get("in_all") or measured
        lines.append(
            f"Circuits in training were measured on {measured['backend']}: {everything['shots_spent']:,} shots in "
            f"{everything['n_submissions']:,} submissions."
        )
    return Section(
        "cost",
        "Cost and energy",
        [Points(lines)]
        if lines
        else [Text(OUTSIDE if came_as_file(facts) else "Left out: the training job left no record of its effort.")],
    )


def study_cost(training_s: float, facts: ReportFacts, table: Table) -> Section:
    """What the run of a template took: ``table`` has its parts; energy and money where it was a job.

    Args:
        training_s: seconds of all trainings together.
        facts: what a registry knows of the job; nothing of a run outside of a service.
        table: seconds of each variant.
    """
    said = f"Training took {training_s:.0f} s in all"
    if not facts.evidence.get("energy"):
        return Section("cost", "Cost and energy", [Text(f"{said}; energy and money were not measured."), table])
    return Section("cost", "Cost and energy", [*cost(facts).blocks, Text(f"{said}, by the clock."), table])


def external_validations(facts: ReportFacts) -> list[Section]:
    """How the version did on rows of other sites; no section where nobody has recorded any."""
    if not facts.validations:
        return []
    head, rows = validation_table(facts.validations)
    told = [[cell.replace(" to ", "\u00a0to\u00a0") for cell in row] for row in rows]
    table = [Table("Figures with their intervals, each record by itself", head, told)] if rows else []
    points = Points(validation_points(facts.validations, facts.known_manifest))
    return [Section("external", "External validation", [Text(VALIDATION_NOTE), *table, points])]


def promotion(facts: ReportFacts) -> Section:
    """What the version has and lacks for production, and what people stated and overrode."""
    manifest = facts.known_manifest
    if not manifest:
        return Section("promotion", "Promotion and limits", [Text("Left out: there is no model version to promote.")])
    report = check_promotion(manifest, facts.evidence, facts.statements)
    said = stated(manifest, facts.statements)
    titles = {"intended_use": "Intended use", "limits": "Limits", "no_subgroups": "No subgroups were compared"}
    ready = "Ready for production." if report.ready else f"Not ready for production: {len(report.missing)} missing."
    lines = [
        *(f"{title}: {said[name]}" for name, title in titles.items() if name in said),
        *limit_words(manifest),
        *(
            f"Overridden at endpoint {one['endpoint']} by key {one['overridden_by']}, without "
            f"{', '.join(one['missing'])}: {one['reason']}"
            for one in facts.overrides
        ),
    ]
    return Section(
        "promotion",
        "Promotion and limits",
        [
            Text(ready, strong=True),
            Table(
                "The promotion gate, requirement by requirement",
                ["requirement", "state", "found, or how to meet it"],
                [[one.title, "met" if one.met else "missing", one.found or one.how] for one in report.requirements],
                words=True,
            ),
            Points(lines),
        ],
    )


def _of_job(facts: ReportFacts, job: Facts) -> list[tuple[str, Any]]:
    """The job; of an import, that it was one, since its times are not the training's."""
    if came_as_file(facts):
        return [("imported by job", job.get("id")), ("imported", job.get("finished_at"))]
    return [
        ("job", job.get("id")),
        ("kind of job", job.get("kind")),
        ("attempts", job.get("attempt")),
        ("submitted", job.get("created_at")),
        ("started", job.get("started_at")),
        ("finished", job.get("finished_at")),
    ]


def machine_and_job(facts: ReportFacts) -> list[list[str]]:
    """Rows of what a registry knows beside a run's own document: the worker's machine, and the job."""
    machine = {k.replace("_", " "): v for k, v in (facts.evidence.get("environment") or {}).items() if k != "python"}
    rows = [*machine.items(), *(_of_job(facts, facts.job) if facts.job else [])]
    return [[name, str(value)] for name, value in rows if value is not None]


def environment(facts: ReportFacts) -> Section:
    """Versions, machine, seeds and digests: what it takes to get the same again."""
    manifest, job = facts.known_manifest, facts.job
    provenance = manifest.get("provenance") or {}
    training = (provenance.get("spec") or {}).get("training") or {}
    machine = facts.evidence.get("environment") or {}
    rows = [
        *((str(name), str(value)) for name, value in (provenance.get("versions") or {}).items()),
        *((str(name).replace("_", " "), str(value)) for name, value in machine.items()),
        ("seed", training.get("seed")),
        ("circuits in training", provenance.get("backend")),
        *_of_job(facts, job),
        ("spec (SHA-256)", provenance.get("spec_digest")),
        ("model (SHA-256)", None if facts.predictor is None else facts.predictor.digest),
        *((f"{name} (SHA-256)", member["sha256"]) for name, member in (manifest.get("members") or {}).items()),
    ]
    told = [[name, str(value)] for name, value in rows if value is not None]
    missing: list[Block] = []
    if not machine:
        missing.append(Text("What machine trained it was not recorded."))
    if not told:
        return Section(
            "environment", "Environment", [Text("Left out: neither job nor model file tells of it."), *missing]
        )
    return Section(
        "environment",
        "Environment",
        [Table("Versions, machine, seeds and digests", ["what", "value"], told, words=True), *missing],
    )
