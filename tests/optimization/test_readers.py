"""Files of problems: published instances with their published optima, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from superpose.errors import ProblemError, ProblemFormatError
from superpose.optimization import Knapsack, MaxCut, TravellingSalesman, VehicleRouting, read_problem
from superpose.optimization.readers import read_text
from superpose.optimization.readers.tsplib import read_cvrp

DATA = Path(__file__).parents[3] / "shared" / "data" / "logistics"
LOW = DATA / "knapsack" / "pisinger_instances_01_KP" / "low-dimensional"

needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the published instances are not on this machine")


@needs_data
def test_knapsacks_f1_to_f10_have_their_published_optima() -> None:
    optima = {}
    for path in LOW.iterdir():
        model = read_problem(path)
        assert isinstance(model, Knapsack)
        found = model.classical(10.0, 1)
        assert found.bound == pytest.approx(model.value(found.solution))
        assert model.reference == pytest.approx(model.value(found.solution), abs=1e-4)
        optima[path.name.split("_")[0]] = round(model.value(found.solution), 4)
    assert [optima[f"f{k}"] for k in range(1, 11)] == [295, 1024, 35, 23, 481.0694, 52, 107, 9767, 130, 1025]


@needs_data
def test_burma14_is_3323_and_all_of_tsplib_reads() -> None:
    pytest.importorskip("ortools", reason="OR-Tools solves it")
    for path in sorted((DATA / "tsplib").glob("*.tsp")):
        model = read_problem(path)
        assert isinstance(model, TravellingSalesman)
        assert model.reference is not None
        assert np.array_equal(model.distances, model.distances.T)
        assert model.value(np.arange(model.n_places)) >= model.reference
    burma = read_problem(DATA / "tsplib" / "burma14.tsp")
    found = burma.classical(120.0, 1)
    assert burma.value(found.solution) == found.bound == burma.reference == 3323


@needs_data
@pytest.mark.parametrize("name", ["gr17", "ulysses16"])
def test_other_forms_of_distances_have_their_published_optima(name: str) -> None:
    pytest.importorskip("ortools", reason="OR-Tools solves it")
    model = read_problem(DATA / "tsplib" / f"{name}.tsp")
    found = model.classical(120.0, 1)  # proven within a second, at which it ends
    assert model.value(found.solution) == found.bound == model.reference


@needs_data
def test_published_routes_of_cvrplib_cost_what_is_published() -> None:
    n_checked = 0
    for path in sorted((DATA / "cvrplib").glob("*.vrp")):
        if path.stem in ("CMT6", "Golden_1", "Li_21"):
            with pytest.raises(ProblemFormatError, match="limits the duration"):
                read_problem(path)
            continue
        model = read_problem(path)
        assert isinstance(model, VehicleRouting)
        lines = path.with_suffix(".sol").read_text().splitlines()
        routes = tuple(tuple(map(int, line.split(":")[1].split())) for line in lines if line.startswith("Route"))
        assert model.value(routes) == pytest.approx(model.reference, abs=0.01)
        assert len(routes) <= model.n_vehicles  # 26 of X-n101-k25
        n_checked += 1
    assert n_checked == 9
    small = read_problem(DATA / "cvrplib" / "E-n13-k4.vrp")
    assert isinstance(small, VehicleRouting)
    assert (small.n_vehicles, small.reference, small.name) == (4, 247, "E-n13-k4")


@needs_data
def test_g48_is_cut_whole_and_no_cut_is_larger() -> None:
    model = read_problem(DATA / "gset" / "G48.txt")
    assert isinstance(model, MaxCut)
    found = model.classical(10.0, 1)
    assert model.value(found.solution) == found.bound == 6000


TSP = """NAME : square
TYPE : TSP
DIMENSION : 4
EDGE_WEIGHT_TYPE : {kind}
{rest}
EOF
"""
CORNERS = "NODE_COORD_SECTION\n1 0 0\n2 0 10\n3 10 10\n4 10 0"


@pytest.mark.parametrize(
    ("kind", "rest", "diagonal"),
    [
        ("EUC_2D", CORNERS, 14),
        ("CEIL_2D", CORNERS, 15),
        ("ATT", CORNERS, 5),
        (
            "EXPLICIT",
            "EDGE_WEIGHT_FORMAT : FULL_MATRIX\nEDGE_WEIGHT_SECTION\n0 10 14 10\n10 0 10 14\n14 10 0 10\n10 14 10 0",
            14,
        ),
        ("EXPLICIT", "EDGE_WEIGHT_FORMAT : UPPER_ROW\nEDGE_WEIGHT_SECTION\n10 14 10 10 14 10", 14),
        ("EXPLICIT", "EDGE_WEIGHT_FORMAT : LOWER_ROW\nEDGE_WEIGHT_SECTION\n10\n14 10\n10 14 10", 14),
        ("EXPLICIT", "EDGE_WEIGHT_FORMAT : LOWER_DIAG_ROW\nEDGE_WEIGHT_SECTION\n0 10 0 14 10 0 10 14 10 0", 14),
        ("EXPLICIT", "EDGE_WEIGHT_FORMAT : UPPER_DIAG_ROW\nEDGE_WEIGHT_SECTION\n0 10 14 10 0 10 14 0 10 0", 14),
    ],
)
def test_every_form_of_distances(tmp_path: Path, kind: str, rest: str, diagonal: float) -> None:
    path = tmp_path / "square.tsp"
    path.write_text(TSP.format(kind=kind, rest=rest))
    model = read_problem(path, reference=40)
    assert isinstance(model, TravellingSalesman)
    assert model.distances[0, 2] == model.distances[2, 0] == diagonal
    assert model.distances[0, 1] == model.distances[2, 3]
    assert (model.name, model.reference) == ("square", 40)


@pytest.mark.parametrize(
    ("form", "numbers"),
    [
        ("FULL_MATRIX", "0 1 2 3 1 0 4 5 2 4 0 6 3 5 6 0"),
        ("UPPER_ROW", "1 2 3 4 5 6"),
        ("UPPER_COL", "1 2 4 3 5 6"),
        ("LOWER_ROW", "1 2 4 3 5 6"),
        ("LOWER_COL", "1 2 3 4 5 6"),
        ("UPPER_DIAG_ROW", "0 1 2 3 0 4 5 0 6 0"),
        ("UPPER_DIAG_COL", "0 1 0 2 4 0 3 5 6 0"),
        ("LOWER_DIAG_ROW", "0 1 0 2 4 0 3 5 6 0"),
        ("LOWER_DIAG_COL", "0 1 2 3 0 4 5 0 6 0"),
    ],
)
def test_every_form_of_explicit_distances_is_read_place_by_place(form: str, numbers: str) -> None:
    rest = f"EDGE_WEIGHT_FORMAT : {form}\nEDGE_WEIGHT_SECTION\n{numbers}"
    model = read_text(TSP.format(kind="EXPLICIT", rest=rest), "square.tsp")
    assert model.distances.tolist() == [[0, 1, 2, 3], [1, 0, 4, 5], [2, 4, 0, 6], [3, 5, 6, 0]]


ROUTES = """\ufeffNAME : zwei Städte
COMMENT : of three: by hand
TYPE : CVRP
DIMENSION : 3
EDGE_WEIGHT_TYPE : EUC_2D
CAPACITY : 9
NODE_COORD_SECTION
3  6 8
1  0 0
2\t3 4
DEMAND_SECTION
2 3
3 5
1 0
DEPOT_SECTION
 1
 -1
EOF
what stands behind the end
"""


@pytest.mark.parametrize("end", ["\n", "\r\n", " \n\n"])
def test_places_are_told_by_their_numbers_and_not_by_their_lines(end: str) -> None:
    model = read_text(ROUTES.replace("\n", end), "x.vrp")
    assert isinstance(model, VehicleRouting)
    assert model.name == "zwei Städte"
    assert model.distances.tolist() == [[0, 5, 10], [5, 0, 5], [10, 5, 0]]
    assert model.demands.tolist() == [0, 3, 5]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("3  6 8", "2  6 8", "NODE_COORD_SECTION must tell of the places 1 to 3, each once"),
        ("3  6 8", "3  6 8 1", "NODE_COORD_SECTION has 10 numbers; 3 places .* need 9"),
        ("2 3\n", "", "DEMAND_SECTION has 4 numbers"),
        ("2 3\n", "2 inf\n", "must have finite numbers"),
        ("CAPACITY : 9", "CAPACITY : 0", "CAPACITY of x must be a number above 0, got 0"),
        ("CAPACITY : 9", "CAPACITY : inf", "must be a number above 0, got inf"),
        ("DEPOT_SECTION\n 1", "DEPOT_SECTION\n inf", r"first place and the only one; got \['inf'\]"),
        ("DEPOT_SECTION\n 1", "DEPOT_SECTION\n 1\n 2", r"first place and the only one; got \['1', '2'\]"),
        ("TYPE : CVRP", "TYPE : OVRP", "is of the TYPE OVRP; only CVRP"),
        ("DEPOT_SECTION", "BACKHAUL_SECTION\n 2\n -1\nDEPOT_SECTION", "has a BACKHAUL_SECTION, which is not known"),
    ],
)
def test_sections_that_do_not_fit_are_told(old: str, new: str, told: str) -> None:
    assert old in ROUTES
    with pytest.raises(ProblemFormatError, match=told):
        read_text(ROUTES.replace(old, new, 1), "x.vrp")


@pytest.mark.parametrize(("line", "n"), [("", 2), ("VEHICLES : 1\n", 1)])
def test_vehicles_that_a_file_states_are_kept_to(line: str, n: int) -> None:
    model = read_text(ROUTES.replace("CAPACITY", line + "CAPACITY", 1), "x.vrp")
    assert isinstance(model, VehicleRouting)
    assert model.n_vehicles == n


@pytest.mark.parametrize("cost", ["nan", "inf", "none"])
def test_a_cost_beside_a_file_that_is_no_number_is_left(tmp_path: Path, cost: str) -> None:
    (tmp_path / "x.vrp").write_text(ROUTES, encoding="utf-8")
    (tmp_path / "x.sol").write_text(f"Route #1: 1 2\nCost {cost}\n")
    assert read_problem(tmp_path / "x.vrp").reference is None


@pytest.mark.parametrize(
    ("rest", "told"),
    [
        (CORNERS + "\nFIXED_EDGES_SECTION\n1 2\n-1", "fixes edges"),
        (CORNERS + "\nTYPE : SOP", "is of the TYPE SOP"),
        ("EDGE_WEIGHT_FORMAT : UPPER_ROW\nEDGE_WEIGHT_SECTION\n1 2", "has 2 numbers; UPPER_ROW of 4 places .* needs 6"),
    ],
)
def test_tours_with_conditions_that_are_not_known_are_refused(rest: str, told: str) -> None:
    kind = "EXPLICIT" if "FORMAT" in rest else "EUC_2D"
    with pytest.raises(ProblemFormatError, match=told):
        read_text(TSP.format(kind=kind, rest=rest), "square.tsp")


SOLOMON = """R101

VEHICLE
NUMBER     CAPACITY
  25         200

CUSTOMER
CUST NO.   XCOORD.   YCOORD.   DEMAND   READY TIME   DUE DATE   SERVICE TIME

    0      35         35          0          0       230          0
    1      41         49         10        161       171         10
"""


def test_time_windows_are_told_as_what_is_not_known(tmp_path: Path) -> None:
    (tmp_path / "R101.txt").write_text(SOLOMON)
    with pytest.raises(ProblemFormatError, match=r"R101\.txt is of Solomon's form: routes with time windows"):
        read_problem(tmp_path / "R101.txt")
    with pytest.raises(ProblemFormatError, match="has time windows; only capacities are known here"):
        read_cvrp("CAPACITY : 3\nTIME_WINDOW_SECTION\n1 0 5\nEOF")


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("graph", "3 2\n1 2 1\n2 3 -1\n", "maxcut"),
        ("sack.txt", "2 10\n5 3\n6.5 4\n", "knapsack"),
        ("shop.txt", "2 2\n0 3 1 2\n1 2 0 4\n", "jobshop"),
        ("queue.txt", "3 1\n0 2\n0 3\n0 1\n", "jobshop"),
        ("worthless.txt", "3 2\n0 2\n0 3\n0 1\n", "knapsack"),
        ("fromone.txt", "2 2\n1 3 2 2\n2 2 1 4\n", "jobshop"),
        ("light.txt", "4 3\n1 2\n2 3\n3 4\n", "maxcut"),
        ("dense.txt", "4 5\r\n1 2\r\n2 3\r\n3 4\r\n4 1\r\n1 3\r\n", "maxcut"),
        ("counted.txt", "3 1\n1 5\n1 7\n1 2\n", "jobshop"),
        ("full.txt", "3 1\n1 0.5\n1 0.7\n1 0.2\n", "knapsack"),
        ("taken.txt", "2 5\n4 3\n5 4\n0 1\n", "knapsack"),
        ("same.txt", "3 3\n1 1\n2 3\n2 3\n", "knapsack"),
        ("points.txt", "2 2\n0 3.0 1 2\n1 2 0 4\n", "jobshop"),
        ("told.txt", "# two jobs\n2 2\n0 3 1 2\n\n#and\n1 2 0 4\n", "jobshop"),
        ("mark.json", "\ufeff" + json.dumps({"kind": "maxcut", "edges": [[0, 1]]}), "maxcut"),
        ("a.json", json.dumps({"kind": "maxcut", "edges": [[0, 1], [1, 2, 0.5]], "reference": 1.5}), "maxcut"),
        ("b.json", json.dumps({"kind": "knapsack", "values": [1, 2], "weights": [1, 1], "capacity": 1}), "knapsack"),
        ("c.json", json.dumps({"kind": "tsp", "distances": [[0, 1, 2], [1, 0, 3], [2, 3, 0]]}), "tsp"),
        (
            "d.json",
            json.dumps(
                {
                    "kind": "cvrp", "distances": [[0, 1, 2], [1, 0, 3], [2, 3, 0]], "demands": [0, 1, 1],
                    "capacity": 1, "vehicles": 2,
                }
            ),
            "cvrp",
        ),
        ("e.json", json.dumps({"kind": "jobshop", "jobs": [[[0, 1]], [[0, 2]]]}), "jobshop"),
        (
            "f.json",
            json.dumps(
                {
                    "kind": "quadratic", "linear": [1, -2], "quadratic": [[0, 1, 3]], "sense": "max",
                    "constraints": [{"indices": [0, 1], "coefficients": [1, 1], "relation": "<=", "bound": 1}],
                }
            ),
            "quadratic",
        ),
    ],
)  # fmt: skip
def test_files_are_recognised(tmp_path: Path, name: str, text: str, kind: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    model = read_problem(path)
    assert model.kind == kind
    assert model.problem.n_variables == model.n_variables


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("empty.txt", ""),
        ("words.txt", "hello world\n"),
        ("short.txt", "3 10\n1 2\n"),
        ("edges.txt", "3 2\n1 2 1\n"),
        ("lines.txt", "2 2\n1 2 3 4 5\n"),
        ("infinite.txt", "inf 5\n1 2 3\n"),
        ("between.txt", "3 1\n1.5 2 1\n"),
        ("zeroth.txt", "3 1\n0 2 1\n"),
        ("beyond.txt", "2 2\n0 3 7 2\n1 2 0 4\n"),
        ("below.txt", "2 2\n0 3 -1 2\n1 2 0 4\n"),
        ("mixed.txt", "2 2\n0 3 1 2\n1 2 2 4\n"),
        ("items.txt", "3 10\n1 2\n3 4\n5 6\n7 8\n9 10\n"),
        ("finer.txt", "2 2\n0 3.5 1 2\n1 2 0 4\n"),
        ("either.txt", "3 3\n1 2\n2 3\n3 1\n"),
        ("words.txt", "% comment\n3 2\n1 2 1\n2 3 1\n"),
        ("bad.json", '{"kind": ["tsp"]}'),
        ("bad.json", '{"kind": "maxcut", "edges": [[0, 1]], "n_nodes": Infinity}'),
        ("bad.json", "{"),
        ("bad.json", "[1]"),
        ("bad.json", '{"kind": "chess"}'),
        ("bad.json", '{"kind": "tsp"}'),
        ("bad.json", '{"kind": "knapsack", "values": "x", "weights": [1], "capacity": 1}'),
        ("bad.json", '{"kind": "quadratic", "linear": [1], "constraints": [3]}'),
        ("bad.tsp", "NAME : x\n"),
        ("bad.tsp", TSP.format(kind="XRAY1", rest=CORNERS)),
        ("bad.tsp", TSP.format(kind="EXPLICIT", rest="EDGE_WEIGHT_FORMAT : UPPER_ROW\nEDGE_WEIGHT_SECTION\n1 2")),
        ("bad.tsp", TSP.format(kind="EUC_2D", rest="NODE_COORD_SECTION\n1 0 0\n2 x 1")),
        ("huge.tsp", "DIMENSION : 1000000\nEDGE_WEIGHT_TYPE : EUC_2D\n"),
    ],
)
def test_what_is_no_problem_is_refused(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ProblemFormatError):
        read_problem(path)


@pytest.mark.parametrize("name", ["k.txt", "./k.txt"])
def test_a_file_of_the_present_directory_is_read_by_its_name_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    inside = tmp_path / "sacks"
    inside.mkdir()
    (inside / "k.txt").write_text("3 50\n10 5\n20 4\n30 10\n")
    monkeypatch.chdir(inside)
    assert read_problem(name).reference is None
    (tmp_path / "sacks-optimum").mkdir()
    (tmp_path / "sacks-optimum" / "k.txt").write_text("60\n")
    assert read_problem(name).reference == 60


@pytest.mark.parametrize(
    ("document", "error", "words"),
    [
        ({"kind": "jobshop", "jobs": [[[0, 1.5]]]}, ProblemError, "must be whole numbers; choose a finer unit"),
        ({"kind": "maxcut", "edges": [[0, 1.5]]}, ProblemFormatError, "indices are whole numbers"),
        ({"kind": "quadratic", "linear": [1, 2], "quadratic": [[0, 0.5, 1]]}, ProblemFormatError, "whole numbers"),
        ({"kind": "knapsack", "values": [1], "weights": [1], "capacity": 5, "refrence": 1}, ProblemFormatError,
         "has a member 'refrence' that a knapsack has not; those are capacity, name, reference, values, weights"),
        ({"kind": "maxcut", "edges": [[0, 1]], "n_nodes": 2.5}, ProblemFormatError, "whole numbers"),
        ({"kind": "maxcut", "edges": [[0, 1, 2, 3]]}, ProblemFormatError, r"edges are \[node, node\]"),
        ({"kind": "maxcut", "edges": [[0, 0], [0, 1]]}, ProblemError, "Edge 1 joins a node with itself"),
        ({"kind": "maxcut", "edges": [[0, 3]], "n_nodes": 3}, ProblemError, "Edges join nodes 0 to 2"),
        ({"kind": "jobshop", "jobs": [[[0, 1e30]]]}, ProblemError, "add up to"),
        ({"kind": "quadratic", "linear": [1, 2], "conflicts": [[0.5, 1.5]]}, ProblemFormatError, "whole numbers"),
        ({"kind": "quadratic", "linear": [1, 2], "conflicts": [[1, 1]]}, ProblemError, "conflict is of two variables"),
        ({"kind": "quadratic", "linear": [1, 2], "constraints": [
            {"indices": [0.7, 1.2], "coefficients": [1, 1], "relation": "<=", "bound": 1}]}, ProblemFormatError,
         "whole numbers"),
        ({"kind": "cvrp", "distances": [], "demands": [], "capacity": 5, "vehicle": 2}, ProblemFormatError, "vehicle"),
    ],
)  # fmt: skip
def test_documents_are_not_bent_until_they_fit(
    tmp_path: Path, document: dict[str, object], error: type[Exception], words: str
) -> None:
    (tmp_path / "odd.json").write_text(json.dumps(document))
    with pytest.raises(error, match=words):
        read_problem(tmp_path / "odd.json")


def test_a_missing_field_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.vrp").write_text("")
    with pytest.raises(ProblemFormatError, match=r"empty\.vrp cannot be read as a problem: it has no DIMENSION\."):
        read_problem(tmp_path / "empty.vrp")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("2 2\n0 3 1 2\n1 2 0\n", r"2 jobs on 2 machines it must have 4 numbers .*, got 3 for job 2\.$"),
        ("3 2\n0 3 1 2\n1 2 0 1\n", r"As a job shop of 3 jobs it has 2 lines below its first\.$"),
        ("4 10\n6 1\n10 2\n", r"As a knapsack of 4 items it has 2 lines 'value weight' below its first\.$"),
    ],
)
def test_what_a_text_lacks_of_a_knapsack_or_job_shop_is_told(text: str, told: str) -> None:
    with pytest.raises(ProblemFormatError, match=told):
        read_text(text, "x.txt")


def test_decimal_degrees_are_not_read_as_degrees_and_minutes() -> None:
    head = "NAME: de\nTYPE: TSP\nDIMENSION: 3\nEDGE_WEIGHT_TYPE: GEO\nNODE_COORD_SECTION\n"
    with pytest.raises(
        ProblemFormatError, match=r"Place 2 has -11\.98, .* 11 degrees and 98 .*: -11\.5880 for -11\.98"
    ):
        read_text(f"{head}1 52.31 13.24\n2 48.08 -11.98\n3 50.56 6.57\nEOF\n", "de.tsp")
    assert read_text(f"{head}1 52.31 13.24\n2 48.08 -11.59\n3 50.56 6.57\nEOF\n", "de.tsp").kind == "tsp"


def test_the_customer_whose_demand_no_vehicle_carries_is_told() -> None:
    with pytest.raises(ProblemError, match="Customer 2 has a demand of 26, above the capacity of 20"):
        VehicleRouting(np.ones((4, 4)) - np.eye(4), [0, 7, 26, 5], 20, 2)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ProblemFormatError, match="cannot be read: No such file"):
        read_problem(tmp_path / "none.tsp")


def test_edges_without_weights_weigh_one() -> None:
    model = read_text("5 6\n1 2\n2 3\n3 4\n4 5\n5 1\n1 3\n", "ring.txt")
    assert (model.n_variables, model.pairs.values.tolist()) == (5, [1.0] * 6)
    assert model.value(np.array([0, 1, 0, 1, 0])) == 4
    with pytest.raises(ProblemFormatError, match="graph of 3 nodes and as many edges, or a knapsack of 3 items"):
        read_text("3 3\n1 2\n2 3\n3 1\n", "either.txt")


def test_distances_are_rounded_unless_the_best_known_has_decimals(tmp_path: Path) -> None:
    """The same rule for a file, with or without its solution beside it, and for what is sent to a service."""
    text = (
        "NAME : four\nTYPE : CVRP\nDIMENSION : 4\nEDGE_WEIGHT_TYPE : EUC_2D\nCAPACITY : 3\nNODE_COORD_SECTION\n"
        "1 0 0\n2 1 1\n3 2 2\n4 0 1.6\nDEMAND_SECTION\n1 0\n2 1\n3 1\n4 1\nDEPOT_SECTION\n1\n-1\nEOF\n"
    )
    path = tmp_path / "four.vrp"
    path.write_text(text)
    for known, exact in ((None, False), (6.0, False), (6.42, True)):
        for model in (read_text(text, "four.vrp", reference=known), read_problem(path, reference=known)):
            assert model.distances[0, 3] == (1.6 if exact else 2.0)
            assert model.reference == known
    path.with_suffix(".sol").write_text("Route #1: 1 2 3\nCost 6.42\n")
    assert read_problem(path).distances[0, 3] == read_problem(path, reference=7).distances[0, 3] == 1.6


@pytest.mark.parametrize("places", [[[0, 0], [1, 1], [2, 2]], [[0], [1], [2], [3]], [0, 1, 2, 3]])
def test_coordinates_are_of_all_places(places: list[object]) -> None:
    d = np.ones((4, 4)).tolist()
    for more in ({"kind": "tsp"}, {"kind": "cvrp", "demands": [0, 1, 1, 1], "capacity": 3, "vehicles": 1}):
        with pytest.raises(ProblemError, match="two numbers for each of 4 places"):
            read_text(json.dumps({**more, "distances": d, "coordinates": places}), "four.json")
