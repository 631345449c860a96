"""Templates as jobs: whole studies of one kind of data, on a registered data set, that end with a model version.

For pictures of two classes (`superpose.learning.templates.pneumonia`) and for demand
(`superpose.learning.templates.demand`). A template is a row of ``TEMPLATES``: what a submission may say, and what a
worker does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from superpose.errors import RequestError, SpecError
from superpose.service.nouns import Job
from superpose.service.work.evidence import evidence_of_rows, measured_effort
from superpose.service.work.how_far import TRAINED, OnEvent, all_done, while_training
from superpose.service.work.runs import Outcome, RunContext, manifest_of
from superpose.trust import sha256_bytes

if TYPE_CHECKING:
    from superpose.datasets import Table
    from superpose.learning.effort import EstimatedEffort
    from superpose.learning.templates.demand.series import SeriesSet
    from superpose.learning.templates.watching import Watch

__all__ = ["REPORT", "TEMPLATES", "admit_template", "train_template"]

REPORT = "report.json"
"""The file with the study's whole document that a job leaves."""

_FIELDS = {"template", "options"}


@dataclass(frozen=True)
class Template:
    """A row of `TEMPLATES`.

    Attributes:
        admit: all options, defaults included, of those that a submission gives, if they and the data can be trained,
            and what that is expected to take.
        run: what a worker does.
    """

    admit: Callable[[Mapping[str, object], Table], tuple[dict[str, object], EstimatedEffort]]
    run: Callable[[Job, RunContext], Outcome]


def admit_template(payload: Mapping[str, object], table: Table) -> tuple[dict[str, object], EstimatedEffort]:
    """The payload in full, if the template can be trained on the table, and what that is expected to take.

    Raises:
        RequestError: an unknown field or template.
        SpecError: an option that the template does not take; names it.
        DatasetError: the data are not what the template needs.
    """
    name, options = str(payload.get("template", "")), payload.get("options", {})
    unknown = sorted(set(payload) - _FIELDS)
    if unknown or not isinstance(options, Mapping):
        raise RequestError(f"A template's training takes template and options; got also {unknown}.", unknown=unknown)
    if name not in TEMPLATES:
        raise RequestError(
            f"template must be one of {', '.join(TEMPLATES)}, got {name[:40]!r}.",
            field="template",
            allowed=list(TEMPLATES),
        )
    full, effort = TEMPLATES[name].admit(options, table)
    return {"template": name, "options": full}, effort


def train_template(job: Job, context: RunContext) -> Outcome:
    """Train the job's template, and make its model a version; goes on from checkpoints if there are any.

    Raises:
        Stopped: ``should_stop`` said so; a checkpoint is there.
        SuperposeError: training is not possible.
    """
    return TEMPLATES[str(job.payload["template"])].run(job, context)


def _admit_pictures(options: Mapping[str, object], table: Table) -> tuple[dict[str, object], EstimatedEffort]:
    from superpose.datasets.picture_sets import learnable
    from superpose.datasets.picture_tables import pictures_of_table
    from superpose.learning.templates.pneumonia.estimate import PictureCounts, estimated_effort
    from superpose.learning.templates.pneumonia.options import check_options, default_variants

    full: dict[str, object] = {"preset": "chest", "seeds": 5, "epochs": None, "variants": None}
    for name in options:
        if name not in full:
            raise SpecError(f"is no option of this template; it takes {', '.join(full)}", str(name)[:40])
    full |= options
    seeds, epochs, variants = full["seeds"], full["epochs"], full["variants"]
    if not isinstance(full["preset"], str):
        raise SpecError(f"must be a name, got {full['preset']!r}", "preset")
    if isinstance(seeds, bool) or not isinstance(seeds, int):
        raise SpecError(f"must be a whole number, got {seeds!r}", "seeds")
    if epochs is not None and (isinstance(epochs, bool) or not isinstance(epochs, int)):
        raise SpecError(f"must be a whole number, got {epochs!r}", "epochs")
    if variants is None:
        variants = full["variants"] = list(default_variants(full["preset"]))
    if not isinstance(variants, list) or not all(isinstance(one, str) for one in variants):
        raise SpecError(f"must be a list of names, got {variants!r}", "variants")
    check_options(full["preset"], seeds, epochs, variants)
    found = pictures_of_table(table)
    learnt = learnable(found)
    counts = PictureCounts(len(learnt.train), len(learnt.validation), len(found.parts["test"]), found.side)
    effort = estimated_effort(counts, preset=full["preset"], seeds=seeds, epochs=epochs, variants=variants)
    return full, effort


def _train_pictures(job: Job, context: RunContext) -> Outcome:
    from superpose.datasets.picture_tables import picture_table, pictures_of_table
    from superpose.learning.templates.pneumonia import train_pneumonia
    from superpose.learning.templates.pneumonia.estimate import most_explained

    options: Any = job.payload["options"]
    trained = min(TRAINED, 1.0 - _share_explained(job))
    pictures = pictures_of_table(context.training_table())
    with measured_effort(context.directory):
        report = train_pneumonia(
            pictures,
            context.directory,
            preset=options["preset"],
            seeds=options["seeds"],
            epochs=options["epochs"],
            variants=options["variants"],
            tell=lambda line: None if ": epoch " in line else context.on_event("log", {"message": line}),
            watch=_watch(context.on_event, context, trained),
            exclusive=False,  # a directory of an attempt, which no other attempt finds under its name
        )
    looked_at = picture_table(pictures.name, pictures.parts["val"], pictures.classes)  # the test part stays closed
    told = {name: report[name] for name in ("configuration_sha256", "test_openings", "verdict")}

    def tell(done: int, of: int) -> None:
        fraction = trained + (1.0 - trained) * done / of
        stage = f"explaining validation pictures: {done} of {of} done"
        context.on_event("progress", {"stage": stage, "fraction": fraction})

    most = most_explained(options["preset"])
    return _outcome(context, report, told, looked_at.features, "validation pictures", most, tell)


def _admit_demand(options: Mapping[str, object], table: Table) -> tuple[dict[str, object], EstimatedEffort]:
    from superpose.learning.templates.demand.estimate import estimated_effort
    from superpose.learning.templates.demand.options import VARIANTS, check_length, check_options

    full: dict[str, Any] = check_options(options)
    if full["variants"] is None:
        full["variants"] = list(VARIANTS)
    data = _series(table, full)
    full["frequency"] = data.frequency
    if full["horizon"] is None:
        full["horizon"] = data.calendar.horizon
    check_length(data, full["horizon"], n_calibration=full["calibration"], n_test=full["origins"])
    counted = ("horizon", "origins", "calibration", "seeds", "epochs", "variants")
    return full, estimated_effort(data, **{name: full[name] for name in counted})


def _series(table: Table, options: Mapping[str, Any]) -> SeriesSet:
    from superpose.learning.templates.demand.dataset_series import series_of_table

    return series_of_table(table, frequency=options["frequency"], gaps=options["gaps"])


def _train_demand(job: Job, context: RunContext) -> Outcome:
    from superpose.explain.samples import MOST_SAMPLED_ROWS
    from superpose.learning.templates.demand import train_demand
    from superpose.learning.templates.demand.forecasting import known_rows

    options: Any = job.payload["options"]
    data = _series(context.training_table(), options)
    with measured_effort(context.directory):
        report = train_demand(
            data,
            context.directory,
            tell=lambda line: context.on_event("log", {"message": line}),
            watch=_watch(while_training(context.on_event), context),
            exclusive=False,  # as above
            **{name: value for name, value in options.items() if name != "gaps"},
        )
    told = {name: report[name] for name in ("configuration_sha256", "horizon", "baseline", "verdict")}
    looked_at = known_rows(data, options["horizon"], options["origins"])
    rows_are = "rows of the test periods, of which the model has learnt since"
    return _outcome(context, report, told, looked_at, rows_are, MOST_SAMPLED_ROWS)


def _share_explained(job: Job) -> float:
    """What share of the job is expected to go into its explanation sample, 0 to 1; 0 where nobody estimated it."""
    from superpose.learning.effort import EXPLANATION

    estimate: Any = job.estimate or {"cpu_s": 0.0, "parts": {}}
    return float(estimate["parts"].get(EXPLANATION, 0.0)) / float(estimate["cpu_s"] or 1.0)


def _watch(on_event: OnEvent, context: RunContext, trained: float = 1.0) -> Watch:
    """Who looks on; ``trained`` is the share that training is of what ``on_event`` hears."""
    from superpose.learning.templates.watching import Watch

    return Watch(
        lambda stage, fraction: on_event("progress", {"stage": stage, "fraction": trained * fraction}),
        context.should_stop,
    )


def _outcome(
    context: RunContext,
    report: Mapping[str, Any],
    told: Mapping[str, Any],
    looked_at: Any,
    rows_are: str,
    most_rows: int,
    tell: Callable[[int, int], None] | None = None,
) -> Outcome:
    """What a template leaves: its report as a file, its model as a version, and ``told`` of it in the job's result.

    ``looked_at`` are rows of which a sample of ``most_rows`` at most is explained, ``rows_are`` what they are; ``tell``
    hears how many are.
    """
    from superpose.learning.predictor import Predictor

    if context.ledger is not None:
        context.ledger.file(context.directory / REPORT, REPORT)
    content = (context.directory / report["model"]["file"]).read_bytes()
    digest = str(report["model"]["sha256"])
    manifest = manifest_of(content, digest)
    evidence = evidence_of_rows(
        Predictor.load(content, digest),
        looked_at,
        context,
        seed=0,
        evaluation=manifest["evaluation"],
        most_rows=most_rows,
        tell=tell,
    )
    version = {
        "digest": digest,
        "artifact": sha256_bytes(content),
        "metrics": dict(manifest["evaluation"]["model_metrics"]),
        "evaluation": manifest["evaluation"],
        "manifest": manifest,
        "evidence": evidence,
    }
    if "columns" in evidence["explanation"]:
        evidence["explanation"]["rows_are"] = rows_are
    all_done(context.on_event, evidence)
    return Outcome({"digest": digest, "evaluation": manifest["evaluation"], "study": dict(told)}, content, version)


#: name -> what it takes and does.
TEMPLATES: Mapping[str, Template] = {
    "pneumonia": Template(_admit_pictures, _train_pictures),
    "demand": Template(_admit_demand, _train_demand),
}
