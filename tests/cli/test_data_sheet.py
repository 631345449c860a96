"""A data sheet edited over the command line, the client and the API."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from superpose import Client
from superpose.errors import ApiError


def test_a_sheet_is_edited_and_its_history_told(at_home: Callable[..., Any], served: Any, tmp_path: Path) -> None:
    table = "age,dose,ill\n" + "".join(f"{20 + n},{n % 7}.5,{'yes' if n % 3 else 'no'}\n" for n in range(30))
    (tmp_path / "visits.csv").write_text(table)
    (tmp_path / "units.csv").write_text("name,unit\nage,a\ndose,mg\n")
    assert at_home("datasets", "add", tmp_path / "visits.csv", "--target", "ill").code == 0
    sheet = at_home(
        *("datasets", "annotate", "visits", "--units", tmp_path / "units.csv", "--unit", "dose=g"),
        *("--describe", "dose=per day", "--note", "Two clinics", "--json"),
    ).json
    assert (sheet["revision"], sheet["note"]) == (2, "Two clinics")
    assert [(c["unit"], c["description"]) for c in sheet["columns"]] == [("a", None), ("g", "per day")]
    said = at_home("datasets", "annotate", "visits", "--unit", "age=", "--expected", "2")
    assert said.out == "visits: data sheet at revision 3\n"
    shown = at_home("datasets", "sheet", "visits").out
    assert "per day" in shown and "Two clinics" in shown
    told = at_home("datasets", "history", "visits").out
    assert "age: a -> none" in " ".join(told.split())
    kinds = [event["kind"] for event in at_home("datasets", "history", "visits", "--json").json]
    assert kinds == ["sheet_edited", "sheet_edited", "created"]
    late = at_home("datasets", "annotate", "visits", "--note", "x", "--expected", "2", "--json")
    assert late.json["error"]["code"] == "service.conflict"
    assert at_home("datasets", "annotate", "visits").code == 2
    again = at_home("datasets", "add", tmp_path / "visits.csv", "--target", "ill", "--unit", "dose=mg")
    assert "has the unit 'g' in the data sheet, which is kept, and not 'mg'" in again.err
    with Client(served.url, key_file=served.key_file) as client:
        edited = client.datasets.edit_sheet("visits", units={"dose": "mg"}, descriptions={"dose": None}, note="")
        assert (edited.revision, edited.columns[1].unit, edited.columns[1].description) == (4, "mg", None)
        assert client.datasets.sheet("visits") == edited
        assert client.datasets.get("visits").columns[1].unit == "mg"
        assert client.datasets.history("visits", limit=1)[0].data["before"]["note"] == "Two clinics"
        with pytest.raises(ApiError, match="no feature column 'weight'"):
            client.datasets.edit_sheet("visits", units={"weight": "kg"})
