"""Circuits as SVG and PNG files."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from tests.full_disk import room_for

import superpose
from superpose.circuits import CHANNELS, GATES, Circuit, Parameter
from superpose.errors import CircuitFormatError, DrawingError

pytest.importorskip("matplotlib", reason="needs superpose[plots]")


def everything() -> Circuit:
    """Every gate and channel of the tables, and each other kind of operation."""
    names = iter(f"p{k}" for k in itertools.count())
    circuit = Circuit(4, n_bits=3)
    for row in GATES.values():
        circuit.append(row.name, (3, 1, 0)[: row.n_qubits], [Parameter(next(names)) / 2 for _ in row.angle_names])
    for row in CHANNELS.values():
        circuit.channel(row.name, [0.01] * len(row.value_names), (2, 0)[: row.n_qubits])
    circuit.kraus(np.eye(2)[None], 1).delay(120, 0).barrier(0, 2).reset(3).measure(0, 2)
    inner = Circuit(4, n_bits=3).x(1).if_((0, 1), 2, Circuit(4).y(0).cx(1, 2), Circuit(4).h(1))
    return circuit.if_(2, 1, inner)


def words(path: Path) -> list[str]:
    """Texts of an SVG, which Matplotlib notes beside their outlines."""
    return re.findall(r"<!-- (.*?) -->", path.read_text(encoding="utf-8"))


def test_an_svg_shows_every_operation(tmp_path: Path) -> None:
    circuit = everything()
    picture = superpose.draw(circuit, tmp_path / "all.svg")
    root = ElementTree.parse(picture.path).getroot()
    assert float(root.get("width", "0pt")[:-2]) == pytest.approx(72 * picture.width_in, abs=0.1)
    seen = words(picture.path)
    assert set(circuit.parameters) <= {word for text in seen for word in re.findall(r"p\d+", text)}
    for row in GATES.values():
        assert all(symbol in seen for symbol in row.symbols if symbol not in "●×X"), row.name
    assert {row.name.replace("_", " ") for row in CHANNELS.values()} <= set(seen)
    assert {"delay", "120 ns", "|0⟩", "c2", "if c2=1", "if c0=1, c1=0", "else", "Kraus"} <= set(seen)
    assert picture.n_rows > 1 and seen.count("q0") == picture.n_rows


def test_a_png_is_as_large_as_it_says_and_not_blank(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image", reason="needs superpose[images]")
    picture = superpose.draw(everything(), tmp_path / "all.png", width=8)
    with image.open(picture.path) as opened:
        pixels = np.asarray(opened.convert("RGB"))
    assert pixels.shape[:2] == pytest.approx((200 * picture.height_in, 200 * picture.width_in), abs=2)
    assert (pixels == 255).all(axis=2).mean() > 0.5
    for colour in ((0xFD, 0xEE, 0xD9), (0xE3, 0xEC, 0xFB), (0x7A, 0x5B, 0xB8)):  # angles, no angles, conditions
        assert (pixels == colour).all(axis=2).sum() > 1000
    assert (pixels[:, -5:] == 255).all() and (pixels[-5:] == 255).all()  # nothing is cut off


def test_equal_circuits_give_equal_files(tmp_path: Path) -> None:
    for form in ("svg", "png"):
        one, other = (superpose.draw(everything(), tmp_path / f"{k}.{form}").path.read_bytes() for k in range(2))
        assert one == other


@pytest.mark.parametrize("form", ["svg", "png"])
def test_a_picture_that_finds_no_room_leaves_the_one_that_was_there(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"a.{form}"
    before = superpose.draw(Circuit(1).h(0), path).path.read_bytes()
    with room_for(100), pytest.raises(DrawingError, match=f"{path} cannot be written: File too large"):
        superpose.draw(Circuit(1).x(0), path)
    assert path.read_bytes() == before and [*tmp_path.iterdir()] == [path]


def test_folding(tmp_path: Path) -> None:
    circuit = Circuit(3, n_bits=1).measure(0, 0)
    for k in range(10):
        circuit.if_(0, 1, Circuit(3).rx(k * Parameter("θ"), 1).cx(1, 2))
    n_columns = 41
    shown = [superpose.draw(circuit, tmp_path / "a.svg", fold=fold) for fold in (0, 1, 7, None)]
    assert [one.n_columns for one in shown] == [n_columns] * 4
    assert [one.n_rows for one in shown[:3]] == [1, n_columns, 6]
    assert shown[3].width_in <= 12 < shown[0].width_in
    narrow = superpose.draw(circuit, tmp_path / "b.svg", width=4)
    assert narrow.width_in <= 4 and narrow.n_rows > shown[3].n_rows
    assert sum("θ" in text for text in words(narrow.path)) == 9  # 0*θ is 0


def test_names_in_any_script_are_drawn_without_complaint(tmp_path: Path) -> None:
    circuit = Circuit(1).rx(Parameter("角"), 0).ry(Parameter("φ_1") * 2, 0)
    seen = words(superpose.draw(circuit, tmp_path / "a.svg").path)
    assert "U+89D2" in seen and "2·φ_1" in seen


def test_what_cannot_be_drawn_says_why(tmp_path: Path) -> None:
    with pytest.raises(DrawingError, match=r"\.svg or \.png, got a\.pdf"):
        superpose.draw(Circuit(1), tmp_path / "a.pdf")
    with pytest.raises(DrawingError, match="cannot be written: No such file"):
        superpose.draw(Circuit(1), tmp_path / "missing" / "a.svg")
    with pytest.raises(DrawingError, match="5,001 operations to draw; a picture holds 5,000"):
        superpose.draw(Circuit(2).extend(Circuit(2).x(0).instructions * 5001), tmp_path / "a.svg")
    with pytest.raises(DrawingError, match="inches"):
        superpose.draw(Circuit(1000).x(0), tmp_path / "a.svg")
    with pytest.raises(DrawingError, match="fold"):
        superpose.draw(Circuit(1), tmp_path / "a.svg", fold=-1)
    with pytest.raises(CircuitFormatError):
        superpose.draw("nothing.qasm", tmp_path / "a.svg")
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib_the_error_says_how_to_get_it(tmp_path: Path) -> None:
    code = """
import sys
from importlib.abc import MetaPathFinder
class Missing(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] == "matplotlib":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Missing())
import superpose
print(superpose.draw(superpose.Circuit(1).h(0)))
try:
    superpose.draw(superpose.Circuit(1), sys.argv[1])
except superpose.errors.ExtraMissingError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.svg")], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["q0: ──H──", "Pictures need Matplotlib: pip install 'superpose[plots]'"]
