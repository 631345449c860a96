"""TSPLIB's and CVRPLIB's files.

Source: Reinelt, TSPLIB 95 (Heidelberg 1995), sections 1 and 2, whose formulas for distances are kept to the letter,
truncations included. Checked against published optima. tsplib95 on PyPI needs an old NetworkX; vrplib reads CVRPLIB but
computes neither GEO nor ATT distances.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from superpose.errors import ProblemFormatError
from superpose.optimization.models import TravellingSalesman, VehicleRouting

__all__ = ["read_cvrp", "read_tsp"]

Floats = npt.NDArray[np.float64]

MAX_NODES: Final = 2500
_KEY = re.compile(r"^\s*([A-Z_0-9]+?)\s*:\s*(.*?)\s*$")


def read_tsp(text: str, name: str = "tour") -> TravellingSalesman:
    """Return a symmetric travelling-salesman problem.

    Raises:
        ProblemFormatError: Sections are missing, or a section, TYPE or type of edge weights that is not known.
    """
    fields, sections = _parsed(text)
    kind = fields.get("TYPE", "TSP").split()[:1]
    if kind not in (["TSP"], ["ATSP"]) or "FIXED_EDGES_SECTION" in sections:
        what = "fixes edges" if "FIXED_EDGES_SECTION" in sections else f"is of the TYPE {' '.join(kind) or 'none'}"
        raise ProblemFormatError(f"{name} {what}; only tours without further conditions are known here.")
    _refuse_sections(name, sections, _PLACES)
    distances, coordinates = _distances(fields, sections, rounded=True)
    return TravellingSalesman(distances, coordinates, name=fields.get("NAME") or name)


def read_cvrp(text: str, name: str = "routes", *, rounded: bool = True, at_least: int = 1) -> VehicleRouting:
    """Return a capacitated vehicle-routing problem; the number of vehicles is that in the name ("-k4").

    Where the name tells none, it is one more than the least that could carry all; never fewer than ``at_least``. A
    line ``VEHICLES : 4``, as LKH has it, is kept to before all.

    Args:
        text: Of the file.
        name: Where the file tells none.
        rounded: Whether EUC_2D distances are rounded to whole numbers, as most sets have it.
        at_least: Vehicles there are in any case: the names of some sets tell fewer than good solutions use.

    Raises:
        ProblemFormatError: Sections are missing, the depot is not the first place or not the only one, or routes have
            a limited duration, time windows or another condition which this model does not know.
    """
    fields, sections = _parsed(text)
    if (kind := fields.get("TYPE", "CVRP").split()[:1]) not in (["CVRP"], ["VRP"], ["ACVRP"]):
        raise ProblemFormatError(
            f"{name} is of the TYPE {' '.join(kind) or 'none'}; only CVRP is known here: closed routes from one depot, "
            "and capacities."
        )
    if "DISTANCE" in fields or "SERVICE_TIME" in fields:
        raise ProblemFormatError(f"{name} limits the duration of routes; only capacities are known here.")
    if "TIME_WINDOW_SECTION" in sections:
        raise ProblemFormatError(f"{name} has time windows; only capacities are known here.")
    _refuse_sections(name, sections, _PLACES | {"DEMAND_SECTION", "DEPOT_SECTION"})
    distances, coordinates = _distances(fields, sections, rounded=rounded)
    n, capacity = len(distances), float(fields["CAPACITY"])
    if not 0 < capacity < math.inf:
        raise ProblemFormatError(f"The CAPACITY of {name} must be a number above 0, got {fields['CAPACITY'][:40]}.")
    demands = _by_place("DEMAND_SECTION", sections["DEMAND_SECTION"], n, 1)[:, 0]
    if not np.isfinite(demands).all():
        raise ProblemFormatError(f"The DEMAND_SECTION of {name} must have finite numbers.")
    if (depots := [f"{k:g}" for k in sections.get("DEPOT_SECTION", [1.0]) if k != -1]) != ["1"]:
        raise ProblemFormatError(f"The depot of {name} must be the first place and the only one; got {depots[:9]}.")
    label = fields.get("NAME") or name
    told = re.search(r"-k(\d+)$", label)
    least = math.ceil(float(demands.sum()) / capacity)
    vehicles = max(int(told.group(1)) if told else least + 1, at_least)
    if "VEHICLES" in fields:
        vehicles = int(fields["VEHICLES"])
    return VehicleRouting(distances, demands, capacity, vehicles, coordinates, name=label)


_PLACES: Final = frozenset({"NODE_COORD_SECTION", "DISPLAY_DATA_SECTION", "EDGE_WEIGHT_SECTION"})


def _refuse_sections(name: str, sections: Mapping[str, Any], known: frozenset[str]) -> None:
    """Say which section is not known, rather than solve a problem without its condition.

    Raises:
        ProblemFormatError: There is one.
    """
    odd = sorted(set(sections) - known)
    if odd:
        raise ProblemFormatError(
            f"{name} has a {odd[0][:40]}, which is not known here; those are {', '.join(sorted(known))}."
        )


def _parsed(text: str) -> tuple[Mapping[str, str], Mapping[str, list[float]]]:
    """Key lines, and the numbers of each section."""
    fields: dict[str, str] = {}
    sections: dict[str, list[float]] = {}
    now: list[float] | None = None
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["EOF"]:
            break
        if not words:
            continue
        if words[0].rstrip(":").endswith("_SECTION"):
            now = sections.setdefault(words[0].rstrip(":"), [])
        elif found := _KEY.match(line):
            fields[found.group(1)] = found.group(2)
        elif now is not None:
            now += [float(word) for word in words]
    return fields, sections


def _distances(
    fields: Mapping[str, str], sections: Mapping[str, list[float]], *, rounded: bool
) -> tuple[Floats, Floats | None]:
    n, kind = int(fields["DIMENSION"]), fields.get("EDGE_WEIGHT_TYPE", "")
    if not 3 <= n <= MAX_NODES:
        raise ProblemFormatError(f"Between 3 and {MAX_NODES} places can be read, got {n}.")
    given = next((part for part in ("NODE_COORD_SECTION", "DISPLAY_DATA_SECTION") if sections.get(part)), None)
    places = None if given is None else _by_place(given, sections[given], n, 2)
    if kind == "EXPLICIT":
        return _explicit(fields, sections["EDGE_WEIGHT_SECTION"], n), places
    if kind not in _FORMULAS or places is None:
        known = ", ".join([*_FORMULAS, "EXPLICIT"])
        raise ProblemFormatError(f"EDGE_WEIGHT_TYPE must be one of {known}, with coordinates; got {kind or 'none'}.")
    formula = _FORMULAS[kind] if rounded or kind != "EUC_2D" else _euclidean
    distances = formula(places)
    np.fill_diagonal(distances, 0.0)
    return distances, places


def _by_place(section: str, numbers: list[float], n: int, n_each: int) -> Floats:
    """What a section tells of each place, ``(n, n_each)``: in the order of the places, whatever that of the lines."""
    if len(numbers) != n * (n_each + 1):
        raise ProblemFormatError(
            f"{section} has {len(numbers)} numbers; {n} places (DIMENSION) with {n_each + 1} each need "
            f"{n * (n_each + 1)}."
        )
    table = np.array(numbers, np.float64).reshape(n, n_each + 1)
    order = np.argsort(table[:, 0], kind="stable")
    if not np.array_equal(table[order, 0], np.arange(1, n + 1)):
        raise ProblemFormatError(f"{section} must tell of the places 1 to {n}, each once.")
    return table[order, 1:]


def _euclidean(places: Floats) -> Floats:
    apart = places[:, None] - places[None]
    found: Floats = np.sqrt((apart**2).sum(axis=2))
    return found


def _rounded(places: Floats) -> Floats:
    return np.floor(_euclidean(places) + 0.5)


def _pseudo_euclidean(places: Floats) -> Floats:
    exact = _euclidean(places) / math.sqrt(10.0)
    near = np.floor(exact + 0.5)
    return np.where(near < exact, near + 1, near)


def _geographical(places: Floats) -> Floats:
    """Degrees and minutes as DDD.MM on a sphere of 6378.388 km, with TSPLIB's own value of pi.

    Raises:
        ProblemFormatError: A place has 60 minutes or more, as decimal degrees mostly have.
    """
    whole = np.trunc(places)
    minutes = 100.0 * np.abs(places - whole)
    if (minutes > 60.0 - 1e-6).any():  # minutes of a degree
        place, axis = (int(at) for at in np.argwhere(minutes > 60.0 - 1e-6)[0])
        degrees, first = places[place, axis], int(abs(whole[place, axis]))
        right = f"{'-' if degrees < 0 else ''}{first + 0.006 * minutes[place, axis]:.4f}"
        raise ProblemFormatError(
            f"Place {place + 1} has {degrees:g}, which GEO reads as {first} degrees and {minutes[place, axis]:.4g} "
            f"minutes (DDD.MM). If these are decimal degrees, write their minutes: {right} for {degrees:g}, and so in "
            "all places."
        )
    radians = 3.141592 * (whole + 5.0 * (places - whole) / 3.0) / 180.0
    latitude, longitude = radians.T
    q1 = np.cos(longitude[:, None] - longitude[None])
    q2 = np.cos(latitude[:, None] - latitude[None])
    q3 = np.cos(latitude[:, None] + latitude[None])
    inner = 0.5 * ((1.0 + q1) * q2 - (1.0 - q1) * q3)
    found: Floats = np.floor(6378.388 * np.arccos(np.clip(inner, -1, 1)) + 1.0)
    return found


_FORMULAS: Mapping[str, Callable[[Floats], Floats]] = {
    "EUC_2D": _rounded,
    "CEIL_2D": lambda places: np.ceil(_euclidean(places)),
    "ATT": _pseudo_euclidean,
    "GEO": _geographical,
}


def _explicit(fields: Mapping[str, str], numbers: list[float], n: int) -> Floats:
    form = fields.get("EDGE_WEIGHT_FORMAT", "")
    # The columns of one triangle are the rows of the other.
    indices: dict[str, Any] = {
        "FULL_MATRIX": np.indices((n, n)).reshape(2, -1),
        "UPPER_ROW": np.triu_indices(n, 1),
        "LOWER_COL": np.triu_indices(n, 1),
        "UPPER_DIAG_ROW": np.triu_indices(n),
        "LOWER_DIAG_COL": np.triu_indices(n),
        "LOWER_ROW": np.tril_indices(n, -1),
        "UPPER_COL": np.tril_indices(n, -1),
        "LOWER_DIAG_ROW": np.tril_indices(n),
        "UPPER_DIAG_COL": np.tril_indices(n),
    }
    if form not in indices:
        raise ProblemFormatError(f"EDGE_WEIGHT_FORMAT must be one of {', '.join(indices)}; got {form or 'none'}.")
    if len(indices[form][0]) != len(numbers):
        raise ProblemFormatError(
            f"EDGE_WEIGHT_SECTION has {len(numbers)} numbers; {form} of {n} places (DIMENSION) needs "
            f"{len(indices[form][0])}."
        )
    if form == "FULL_MATRIX":
        return np.array(numbers).reshape(n, n)
    matrix = np.zeros((n, n))
    matrix[tuple(indices[form])] = numbers
    both = matrix + matrix.T
    np.fill_diagonal(both, 0.0)
    return both
