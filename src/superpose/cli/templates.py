"""`superpose train pneumonia` and `superpose train demand`: templates trained here, or told to the service."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import typer

from superpose.cli.demand import print_demand
from superpose.cli.output import console, note, paragraph, print_json, show, table
from superpose.errors import ExtraMissingError
from superpose.learning.canonical import write_whole

__all__ = ["TEMPLATES", "Template", "train_template"]

TEMPLATES: Final = ("pneumonia", "demand")

_OWN: Final = {"pneumonia": ("preset", "reuse"), "demand": ("frequency", "horizon", "origins", "gaps")}
"""What only one of them takes."""

_SHOWN: Final = ("auc", "accuracy", "balanced_accuracy", "sensitivity", "specificity", "brier", "ece")


@dataclass(frozen=True)
class Template:
    """What the command says about a template; None where it says nothing."""

    data: Path | None
    out: Path | None
    preset: str | None
    seeds: int | None
    epochs: int | None
    beside: str | None
    frequency: str | None = None
    horizon: int | None = None
    origins: int | None = None
    gaps: str | None = None
    reuse: tuple[Path, ...] | None = None

    @property
    def variants(self) -> list[str] | None:
        """What is to be trained beside the hybrid model; None for the template's own choice."""
        if self.beside is None:
            return None
        return [] if self.beside == "none" else [piece.strip() for piece in self.beside.split(",")]

    def refuse_others(self, name: str) -> None:
        """Stop if something was said that belongs to another template.

        Raises:
            typer.BadParameter: something was.
        """
        for other, own in _OWN.items():
            said = [f"--{field}" for field in own if other != name and getattr(self, field) is not None]
            if said:
                raise typer.BadParameter(f"{', '.join(said)} belong(s) to template {other}, not to {name}.")

    def check_beside(self, name: str) -> None:
        """Stop if something is to be trained beside the hybrid model that the template does not know.

        Raises:
            typer.BadParameter: it is; with what there is.
        """
        known = _all_variants(name, self.preset) if self.beside not in (None, "all", "none") else []
        for variant in self.variants or []:
            if known and variant not in known:  # of an unknown preset nothing is known, and that is told later
                near = difflib.get_close_matches(variant, known, 1)
                hint = f" Did you mean {near[0]}?" if near else ""
                with_preset = f" with the preset {self.preset or 'chest'}" if name == "pneumonia" else ""
                raise typer.BadParameter(
                    f"--beside takes all, none, or names out of {', '.join(known)}{with_preset}; got "
                    f"{variant!r:.80}.{hint}"
                )

    def options_of_job(self, name: str) -> dict[str, Any]:
        """What the service is told of a template that it trains.

        Raises:
            typer.BadParameter: something was said that only a run here takes, or another template.
        """
        self.refuse_others(name)
        self.check_beside(name)
        here = [f"--{field}" for field in ("data", "out", "reuse") if getattr(self, field) is not None]
        if here:
            raise typer.BadParameter(
                f"{', '.join(here)} belong(s) to a run on this machine; with --dataset the service trains what it has."
            )
        said: dict[str, Any] = {"seeds": self.seeds, "epochs": self.epochs, "variants": self.variants}
        said |= {field: getattr(self, field) for field in _OWN[name] if field != "reuse"}
        if self.beside == "all":
            said["variants"] = _all_variants(name, self.preset)
        return {field: value for field, value in said.items() if value is not None}

    def refuse(self, spec: str) -> None:
        """Stop if anything was said although no template is trained.

        Raises:
            typer.BadParameter: something was.
        """
        said = [f"--{name}" for name, value in vars(self).items() if value is not None]
        if said:
            raise typer.BadParameter(
                f"{', '.join(said)} belong(s) to templates ({', '.join(TEMPLATES)}), and {spec!r} is none; a spec "
                "takes --dataset."
            )


def _all_variants(name: str, preset: str | None) -> list[str]:
    if name == "demand":
        from superpose.learning.templates.demand.options import VARIANTS

        return list(VARIANTS)
    from superpose.learning.templates.pneumonia.options import all_variants

    return list(all_variants(preset or "chest"))


def train_template(name: str, options: Template, *, as_json: bool) -> None:
    """Train a template here and show its report.

    Raises:
        typer.BadParameter: no data.
    """
    options.refuse_others(name)
    options.check_beside(name)
    if name == "pneumonia" and options.data is None:
        raise typer.BadParameter(
            "Template pneumonia takes --data FILE, to train here, or --dataset NAME, to train as a job of the service."
        )
    place = options.out or Path(f"{name}-run")
    if name == "demand":
        found = _demand(options, place)
        page = _write_page(found, place)
        if as_json:
            print_json({**found, "page": None if page is None else str(page.absolute())})
        else:
            print_demand(found, place, page)
        return
    report = _pneumonia(options, place, as_json=as_json)
    page = _write_page(report, place)
    if as_json:
        print_json({**report, "page": None if page is None else str(page.absolute())})
    else:
        _print(report, place, page)


def _pneumonia(options: Template, place: Path, *, as_json: bool) -> dict[str, Any]:
    from superpose.learning.templates.pneumonia import NOTICE, train_pneumonia

    def tell(line: str) -> None:
        if as_json or line != NOTICE:  # else it stands under the report
            note(line)

    variants = _all_variants("pneumonia", options.preset) if options.beside == "all" else options.variants
    return train_pneumonia(
        options.data or Path(),
        place,
        preset=options.preset or "chest",
        seeds=5 if options.seeds is None else options.seeds,
        epochs=options.epochs,
        variants=variants,
        reuse=options.reuse or (),
        tell=tell,
    )


def _demand(options: Template, place: Path) -> dict[str, Any]:
    from superpose.learning.templates.demand import train_demand

    return train_demand(
        options.data,
        place,
        frequency=options.frequency,
        horizon=options.horizon,
        origins=8 if options.origins is None else options.origins,
        seeds=3 if options.seeds is None else options.seeds,
        epochs=options.epochs,
        variants=None if options.beside == "all" else options.variants,
        gaps=options.gaps or "refuse",
        tell=note,
    )


def _write_page(report: Mapping[str, Any], place: Path) -> Path | None:
    """Write ``report.html`` beside ``report.json``; None, and a word on stderr, where nothing can draw it."""
    from superpose.explain import demand_report, study_report
    from superpose.learning.predictor import Predictor

    page_of = demand_report if report["template"] == "demand" else study_report
    try:
        content = page_of(report, Predictor.load(place / report["model"]["file"]))
    except ExtraMissingError as error:
        note(f"No report.html was written. {error.message}")
        return None
    page = place / "report.html"
    write_whole(page, content)
    return page


def _print(report: Mapping[str, Any], place: Path, page: Path | None) -> None:
    out = console()
    rows = [
        (row["label"], row["n_seeds"], *(_figure(row["metrics"][name]) for name in _SHOWN))
        for row in report["variants"].values()
    ]
    header = ("on the test pictures", "seeds", *(name.replace("_", " ") for name in _SHOWN))
    show(out, table(header, rows, right=header[1:]))
    for sentence in report["verdict"].split(". "):
        paragraph(out, sentence.removesuffix(".") + ".")
    looks = f"opened {len(report['test_openings'])} time(s)"
    digest = report["configuration_sha256"][:12]
    paragraph(out, f"Configuration {digest} was recorded before the test pictures were opened; {looks}.")
    if page is not None:
        paragraph(out, f"{page} shows it on one page.")
    paragraph(out, f"{place / 'report.json'} has everything, {place / report['model']['file']} is the model.")
    paragraph(out, report["notice"])


def _figure(measure: Mapping[str, Any]) -> str:
    if measure["mean"] is None:
        return "-"
    spread = "" if measure["sd"] is None else f" ±{measure['sd']:.3f}"
    return f"{measure['mean']:.3f}{spread}"
