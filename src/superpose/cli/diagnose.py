"""`superpose diagnose`: what a parametrised circuit can do, and whether it will train."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from superpose.cli.connection import JsonOption
from superpose.cli.output import print_json, print_table
from superpose.cli.predict import column_names, loaded_model
from superpose.cli.rows import read_rows
from superpose.cli.run_program import parse_observable, read_program

if TYPE_CHECKING:
    from superpose.explain import CircuitDiagnosis, NoisyRow

__all__ = ["diagnose"]

_SHOWN = 10
_SILENT_S = 2.0
"""What takes longer says what it is doing."""


def diagnose(  # noqa: PLR0913  # one parameter per option
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="A circuit (.qasm, .json), a program (.json) or a model (.superpose).",
            show_default=False,
        ),
    ],
    observable: Annotated[
        list[str] | None,
        typer.Option(help='Pauli sum such as "ZZ", repeatable [default: Z of each qubit].', metavar="PAULIS"),
    ] = None,
    input_: Annotated[
        list[str] | None,
        typer.Option("--input", help="Parameter whose Fourier spectrum is wanted, repeatable.", metavar="NAME"),
    ] = None,
    samples: Annotated[int, typer.Option(help="Random parameter sets.", metavar="N", min=16)] = 2_000,
    data: Annotated[int, typer.Option(help="Data that the effective dimension is for.", metavar="N", min=2)] = 10_000,
    seed: Annotated[int, typer.Option(help="Seed of the parameters.", metavar="N", min=0)] = 0,
    shots: Annotated[
        int | None, typer.Option(help="Tell which labels so many shots leave to chance.", metavar="N", min=1)
    ] = None,
    rows: Annotated[
        str | None, typer.Option(help="Rows of a model: .csv, .json, .parquet; - is stdin.", metavar="FILE")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Tell what a circuit can express and whether it trains.

    Expressibility, entangling capability, gradient variance (barren plateaus), effective
    dimension, Fourier spectra of inputs, what leaving out a gate or a qubit changes, and
    the shares of gates and qubits in what it does. With --shots, how often the sign of an
    expectation is shot noise; of a model with --rows, which of their labels. Needs no
    service.
    """
    from superpose.errors import CircuitFormatError, RequestError
    from superpose.explain import diagnose as diagnosed
    from superpose.facade import load
    from superpose.frontends.text_forms import TEXTS, text_form

    if file.suffix.lower() == ".superpose":
        if observable or input_:
            raise RequestError("A model has its own observables and inputs: leave --observable and --input out.")
        _diagnose_model(file, rows, shots, samples, data, seed, as_json)
        return
    if rows is not None:
        raise RequestError("--rows are of a model (.superpose); a circuit has none.", field="rows")
    program = read_program(file)
    if program is None and text_form(file.suffix) is None:
        known = ", ".join(suffix for row in TEXTS.values() for suffix in row.suffixes)
        raise CircuitFormatError(
            f"{file} is named neither as a circuit ({known}) nor as a model (.superpose); rename it."
        )
    circuit = load(file) if program is None else program.circuit
    observables = tuple(parse_observable(text) for text in observable or ()) or (program.observables if program else ())
    inputs = tuple(dict.fromkeys(input_ or ()))
    with _Parts() as tell:
        found = diagnosed(
            circuit,
            observables or None,
            inputs=inputs,
            n_samples=samples,
            n_data=data,
            seed=seed,
            shots=shots,
            tell=tell,
        )
    if as_json:
        print_json(found.to_dict())
        return
    _show(found)


def _diagnose_model(
    file: Path, rows: str | None, shots: int | None, samples: int, data: int, seed: int, as_json: bool
) -> None:
    from superpose.explain import diagnose_model
    from superpose.explain.shot_noise import FLIPPING

    model = loaded_model(file)
    wanted = None if rows is None else read_rows(rows, lambda: column_names(model))
    with _Parts() as tell:
        found = diagnose_model(model, wanted, shots, n_samples=samples, n_data=data, seed=seed, tell=tell)
    if as_json:
        print_json(found.to_dict())
        return
    for place, circuit in enumerate(found.circuits):
        if place:
            typer.echo("")
        if len(found.circuits) > 1:
            typer.echo(f"Circuit {place + 1} of {len(found.circuits)}:")
        _show(circuit)
    if found.shot_noise is not None:
        noise = found.shot_noise
        typer.echo("")
        print_table(
            ("row", "class", "rival", "flips", "shots to settle"),
            [
                (str(i), str(row.label), str(row.rival), f"{row.flip_probability:.4f}", _settled(row))
                for i, row in enumerate(noise.rows)
            ],
        )
        typer.echo(
            f"{100 * noise.share:.1f} % of {len(noise.rows)} labels flip more often than {100 * FLIPPING:g} % with "
            f"{noise.shots:,} shots."
        )


class _Parts:
    """Names on stderr what is being computed, where all of it takes longer than some seconds."""

    def __init__(self) -> None:
        self._part: str | None = None
        self._late = threading.Event()
        self._timer = threading.Timer(_SILENT_S, self.grow_impatient)
        self._timer.daemon = True

    def __enter__(self) -> Callable[[str], None]:
        self._timer.start()
        return self.tell

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def grow_impatient(self) -> None:
        """Name the part that is under way, and from now on each part that begins."""
        self._late.set()
        if self._part is not None:
            self._say(self._part)

    def tell(self, part: str) -> None:
        """Note that a part begins."""
        self._part = part
        if self._late.is_set():
            self._say(part)

    @staticmethod
    def _say(part: str) -> None:
        typer.echo(f"... {part}", err=True)


def _settled(row: NoisyRow) -> str:
    return "no number" if row.shots_to_settle is None else f"{row.shots_to_settle:,}"


def _show(found: CircuitDiagnosis) -> None:
    rows = [
        ("qubits", f"{found.n_qubits}"),
        ("parameters", f"{found.n_params}"),
        ("expressibility, nats from Haar (0 is best)", f"{found.expressibility:.4f}"),
        (
            "entangling capability, 0 to 1",
            f"{found.entangling_capability:.4f} ± {found.entangling_error:.4f}",
        ),
    ]
    if found.gradient is not None:
        rows.append(("variance of a derivative", f"{found.gradient.variance:.3g}"))
        rows.append(("the same of the flattest parameter", f"{found.gradient.smallest:.3g}"))
    if found.effective_dimension is not None:
        one = found.effective_dimension
        rows.append((f"effective dimension at {one.n_data:,} data", f"{one.value:.2f} of {one.n_params}"))
    print_table(("", f"{found.n_samples:,} random parameter sets"), rows)
    for name, lines in found.spectra.items():
        typer.echo("")
        print_table(
            (f"frequency of {name}", "magnitude"), [(f"{one.frequency:g}", f"{one.magnitude:.4f}") for one in lines]
        )
    typer.echo("")
    heads = ("left out", "infidelity", "change of expectations")
    worst = [*found.gates[:_SHOWN], *found.qubits[:_SHOWN]]
    print_table(heads, [(one.left_out, f"{one.infidelity:.4f}", f"{one.change:.4f}") for one in worst])
    for name, shares in (("gates", found.gate_shares), ("qubit", found.qubit_shares)):
        if shares:
            typer.echo("")
            print_table((name, "share of what it does"), [(s.part, f"{s.share:+.3f} ± {s.error:.3f}") for s in shares])
    if found.sign_noise:
        typer.echo("")
        heads = (f"sign of expectation, {found.sign_noise[0].shots:,} shots", "in the band", "flips on average")
        signs = [(f"{o.observable}", f"{o.share_in_band:.4f}", f"{o.expected_flips:.4f}") for o in found.sign_noise]
        print_table(heads, signs)
    for warning in found.warnings:
        typer.echo(warning, err=True)
