"""Goals, who is spared, rows on disk, growth exponents and their pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import inference
import new_circuit
import scaling
from results import Results, sources_key
from rivals import RIVALS
from rivals.circuit import Case
from rivals.families import FAMILIES
from rivals.goals import Patience, goal_of, judged

ENVIRONMENT = {"date": "2026-01-01", "threads": 2}


@pytest.mark.parametrize(
    ("case", "best_ms", "goal"),
    [
        ("8x4x64", 3.0, 10),
        ("8x4x64", 1.0, 10),
        ("8x4x64", 0.999, 4),
        ("4x2x32", 0.1, 4),
        ("4x2x32", 0.099, 1),
        ("16x4x1", 20.0, 5),
        ("20x2x1", 800.0, 5),
        ("20x2x2", 800.0, 10),
        ("21x2x1", 800.0, 10),
        ("15x2x1", 9.0, 10),
    ],
)
def test_the_goal_follows_the_fastest_rivals_time(case: str, best_ms: float, goal: float) -> None:
    assert goal_of(Case.parse(case), best_ms) == goal


def test_a_goal_is_met_or_not_or_unknown() -> None:
    case, rivals = Case(8, 4, 64), {"a": {"ms": 20.0}, "b": {"ms": 30.0}, "c": {"unavailable": "no"}}
    assert judged(case, {"ms": 2.0}, rivals)["met"] is True
    assert judged(case, {"ms": 2.1}, rivals)["met"] is False
    assert judged(case, {"ms": 19.0}, rivals, gradients=False)["met"] is True
    assert judged(case, {"unavailable": "no"}, rivals) == {
        "best_rival": "a",
        "best_rival_ms": 20.0,
        "ratio_to_best": None,
        "goal": 10.0,
        "met": None,
    }
    assert judged(case, {"ms": 2.0}, {"c": {"unavailable": "no"}})["met"] is None


def _row(case: Case, **times: float) -> dict[str, Any]:
    return {"rivals": {name: {"ms": ms} for name, ms in times.items()}, "best_rival_ms": min(times.values())}


def test_who_was_far_behind_is_spared_larger_cases_of_the_family_and_told_so() -> None:
    patience = Patience()
    for case in (Case(4, 2, 32), Case(8, 4, 64)):
        assert patience.reason("slow", case) is None
        patience.learn(case, _row(case, fast=1.0, slow=31.0, fair=30.0))
    assert patience.reason("slow", Case(12, 4, 64)) == (
        "not run: slower than the best rival by 31 times at 4x2x32 and 31 times at 8x4x64"
    )
    for name, case in (
        ("fair", Case(12, 4, 64)),
        ("slow", Case(12, 4, 1)),
        ("slow", Case(16, 4, 4)),
        ("slow", Case(12, 4, 64, "iqp")),
    ):
        assert patience.reason(name, case) is None
    patience.learn(Case(4, 2, 32, "iqp"), _row(Case(4, 2, 32, "iqp"), fast=1.0, slow=101.0))
    assert "101 times at 4x2x32" in str(patience.reason("slow", Case(12, 4, 64, "iqp")))


def test_the_strongest_at_some_size_are_never_spared() -> None:
    assert {rival.name for rival in RIVALS if rival.always} == {"jax", "torch", "qulacs"}


def test_who_took_too_long_to_build_is_spared_circuits_with_as_many_gates() -> None:
    patience, case = Patience(), Case(8, 4, 64)
    patience.learn(case, {"rivals": {"slow": {"unavailable": "setup took more than 40 s"}}, "best_rival_ms": 1.0})
    assert patience.reason("slow", Case(16, 2, 1)) == "not run: took too long to build at 8x4x64"
    assert patience.reason("slow", Case(6, 4, 64)) is None
    assert patience.reason("slow", Case(8, 4, 64, "iqp")) is None


def test_rows_survive_an_interruption_and_not_another_engine(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "rows.json"
    first = Results(path, ENVIRONMENT, "key")
    first.add({"case": "a", "ms": 1}, {"jax": "1"})
    again = Results(path, {**ENVIRONMENT, "date": "later"}, "key")
    assert again.has("a")
    assert not again.has("b")
    again.add({"case": "b", "ms": 2}, {"torch": "2"})
    assert again.rows(["b"]) == [{"case": "b", "ms": 2}]
    on_disk = json.loads(path.read_text())
    assert [row["case"] for row in on_disk["rows"]] == ["a", "b"]
    assert on_disk["environment"]["versions"] == {"jax": "1", "torch": "2"}
    assert on_disk["environment"]["resumed"] == ["2026-01-01"]
    assert not Results(path, ENVIRONMENT, "another key").has("a")
    assert not Results(path, ENVIRONMENT, "key", fresh=True).has("a")
    assert Results(None, ENVIRONMENT, "key").rows() == []
    assert sources_key(1) == sources_key(1) != sources_key(2)


def test_rows_that_a_new_file_does_not_take_over_stay_beside_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rows.json"

    def held(name: str = "rows.json") -> list[str]:
        return [row["case"] for row in json.loads((tmp_path / name).read_text())["rows"]]

    first = Results(path, ENVIRONMENT, "key")
    for case in ("a", "b"):
        first.add({"case": case}, {})
    assert not capsys.readouterr().err
    part = Results(path, ENVIRONMENT, "another key")
    assert held() == ["a", "b"], "nothing is dropped before there is something to write"
    for case in ("c", "d"):
        part.add({"case": case}, {})
    assert (held(), held("rows.before.json")) == (["c", "d"], ["a", "b"])
    assert capsys.readouterr().err == "rows.json is begun anew; what it held stays in rows.before.json\n"
    Results(path, ENVIRONMENT, "another key", fresh=True).add({"case": "e"}, {})
    assert (held(), held("rows.before.json"), held("rows.before-2.json")) == (["e"], ["a", "b"], ["c", "d"])
    Results(path, ENVIRONMENT, "another key").add({"case": "f"}, {})
    assert held() == ["e", "f"] and len(list(tmp_path.iterdir())) == 3


def test_an_exponent_is_the_slope_of_the_upper_half() -> None:
    sizes = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0]
    assert scaling.exponent(sizes, [5.0, 5.0, 5.0, 8.0, 16.0, 32.0]) == pytest.approx(1.0)
    assert scaling.exponent(sizes, [size**2 for size in sizes]) == pytest.approx(2.0)


@pytest.mark.slow
def test_growth_is_measured_and_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    results = Results(tmp_path / "scaling.json", ENVIRONMENT, "key")
    scaling.measure({"batch": (1, 2), "layers": (1, 2), "amplitudes": (2, 3)}, 1, results)
    rows = results.rows()
    assert len(rows) == 3 * len(scaling.FAMILIES)
    assert all(min(row["ms"]) > 0 for row in rows)
    for quantity in ("batch", "layers", "amplitudes"):
        scaling.plot(rows, quantity, tmp_path / f"{quantity}.png", "a machine")
        assert (tmp_path / f"{quantity}.png").read_bytes().startswith(b"\x89PNG")


def test_the_lists_of_the_benchmarks_are_readable() -> None:
    assert all(Case.parse(text).family in FAMILIES for text in (*inference.CASES, *inference.QUICK_CASES))
    assert {Case.parse(text).batch for text in inference.CASES} >= {1, 4096}
    names = {rival.name for rival in RIVALS}
    assert names == {*new_circuit.JITTED, *new_circuit.EAGER, "lightning"}
    assert inference.main(["--case", "nonsense"]) == 2


def test_a_new_circuits_row_tells_goal_and_best() -> None:
    reports = {"superpose": {"ms": 4.0}, "jax": {"ms": 900.0}, "torch": {"unavailable": "no"}}
    row = new_circuit._row("new structure", "4x2x32", 5.0, reports)
    assert (row["met"], row["best_rival"], row["best_rival_ms"]) == (True, "jax", 900.0)
    assert new_circuit._row("new process", "4x2x32", 3.0, reports)["met"] is False
