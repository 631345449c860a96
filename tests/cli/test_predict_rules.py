"""What `superpose predict` asks for besides labels and probabilities."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from superpose.cli.predict import abstain_rule
from superpose.cli.rows import read_rows
from superpose.errors import RequestError


def test_rules_for_abstaining() -> None:
    assert [abstain_rule(given) for given in (None, "model", "set", "0.8")] == [False, True, "set", 0.8]
    with pytest.raises(RequestError, match="'model', 'set' or a probability"):
        abstain_rule("often")


def test_novelty_and_withheld_labels_on_the_terminal(at_home: Callable[..., Any], trained: str, tmp_path: Path) -> None:
    assert at_home("deploy", trained, "--name", "unsure").code == 0
    columns = [column["name"] for column in at_home("datasets", "show", trained, "--json").json["columns"]]
    rows = tmp_path / "rows.csv"
    rows.write_text(",".join(columns) + "\n5.1,3.5,1.4,0.2\n500,3.5,1.4,0.2\n")
    found = at_home("predict", "unsure", rows, "--novelty", "--abstain", "1", "--json").json
    assert found["novel"] == [False, True]
    assert found["predictions"] == [None, None]
    shown = at_home("predict", "unsure", rows, "--novelty", "--abstain", "1").out
    assert "(novel)" in shown
    assert "below" in shown
    assert at_home("predict", "unsure", rows, "--sets").err.startswith("error[learning.safeguard_absent]")
    assert at_home("endpoints", "remove", "unsure").code == 0


def test_cells_of_a_file_are_read_as_those_of_a_data_set(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("dose;ward;smoker;stage\n1,5;?; True ;None\n?;north;FALSE;01a\n")
    read = read_rows(str(file), list)
    assert read.to_dict("list")["ward"] == [None, "north"]
    assert read["dose"].tolist()[0] == 1.5 and pd.isna(read["dose"][1])
    assert read["smoker"].tolist() == ["True", "FALSE"]
    assert read["stage"].tolist() == ["None", "01a"]
    file.write_text("dose,ward\n")
    with pytest.raises(RequestError, match=r"rows\.csv has no rows"):
        read_rows(str(file), list)
    pd.DataFrame({"smoker": [True, None], "dose": [1, 2]}).to_parquet(tmp_path / "rows.parquet")
    assert read_rows(str(tmp_path / "rows.parquet"), list)["smoker"].tolist() == ["true", None]


def test_rows_may_be_wider_than_the_data_sets_of_a_service_with_its_own_settings(tmp_path: Path) -> None:
    file = tmp_path / "pictures.csv"
    file.write_text(",".join(f"grey_{place}" for place in range(4_096)) + "\n" + ",".join(["0.5"] * 4_096) + "\n")
    assert read_rows(str(file), list).shape == (1, 4_096)
