"""What every command has: help, speed, exit codes, errors, one JSON document."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from superpose import __version__

COMMANDS = [
    ["quickstart"],
    ["serve"],
    ["worker"],
    ["train"],
    *(["jobs", verb] for verb in ("list", "show", "watch", "cancel", "submit", "metrics", "artifacts")),
    *(["datasets", verb] for verb in ("add", "list", "show", "annotate", "history", "remove", "deidentify")),
    *(["models", verb] for verb in ("list", "show", "download", "card", "gate", "import")),
    *(["modules", verb] for verb in ("export", "add", "list", "show", "download", "train", "remove")),
    ["deploy"],
    *(["endpoints", verb] for verb in ("list", "show", "remove")),
    ["predict"],
    ["explain"],
    ["evaluate"],
    ["report"],
    ["predict-file"],
    ["predictions", "of-dataset"],
    ["predictions", "list"],
    ["sweep"],
    *(["sweeps", verb] for verb in ("list", "show", "plot", "cancel")),
    *(["functions", verb] for verb in ("deploy", "list", "show", "call", "logs", "rollback", "delete")),
    *(["program-sets", verb] for verb in ("run", "submit", "list", "show", "values", "download", "remove")),
    ["backends"],
    ["backends", "check"],
    ["estimate"],
    ["waits"],
    ["run"],
    ["solve"],
    *(["solutions", verb] for verb in ("submit", "list", "show", "download", "remove")),
    ["convert"],
    ["draw"],
    ["explain-circuit"],
    ["diagnose"],
    *(["projects", verb] for verb in ("create", "list", "show", "usage", "quotas", "members", "archive", "restore")),
    *(["projects", "residency", verb] for verb in ("show", "set", "clear")),
    *(["budgets", verb] for verb in ("list", "set", "lift", "costs")),
    *(["users", verb] for verb in ("create", "list", "show", "change", "disable", "enable")),
    *(["keys", verb] for verb in ("create", "list", "rotate", "revoke")),
    *(
        ["webhooks", verb]
        for verb in ("create", "list", "show", "rotate", "test", "deliveries", "enable", "disable", "delete")
    ),
    *(["audit", verb] for verb in ("list", "export", "verify")),
    ["config", "show"],
    ["doctor"],
    ["health"],
    ["backup"],
    ["restore"],
    ["prune"],
    ["version"],
]


def in_a_shell(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "superpose", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize("arguments", [["version"], ["--help"], ["serve", "--help"]])
def test_starting_is_quick_and_loads_nothing_heavy(arguments: list[str]) -> None:
    code = """
import sys
from superpose.cli import main
try:
    main(sys.argv[1:])
finally:
    heavy = {"torch", "numba", "pandas", "sklearn", "fastapi", "sqlalchemy", "numpy", "pyreqwest", "rich"}
    print(len(sys.modules), sorted(heavy & set(sys.modules)), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    n_modules, loaded = done.stderr.strip().split(" ", 1)
    assert loaded == "[]"
    assert int(n_modules) < 400  # 326 take 0.2 s of a quiet processor; seconds depend on what else it does


def test_the_command_and_the_module_are_one() -> None:
    assert in_a_shell("--version").stdout == in_a_shell("version").stdout
    assert in_a_shell("version").stdout.startswith(f"superpose {__version__} (Python 3.")
    assert in_a_shell().stdout == in_a_shell("--help").stdout


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_every_command_has_help_and_json(superpose: Callable[..., Any], arguments: list[str]) -> None:
    said = superpose(*arguments, "--help")
    assert said.code == 0
    assert f"Usage: superpose {' '.join(arguments)}" in said.out
    assert "--json" in said.out
    assert max(map(len, said.out.splitlines())) <= 80


def test_help_is_the_same_on_every_terminal_that_is_wide_enough() -> None:
    narrow, wide = (in_a_shell("train", "--help", COLUMNS=columns).stdout for columns in ("80", "200"))
    assert narrow == wide


def test_the_list_of_commands_tells_all_of_each_line(superpose: Callable[..., Any]) -> None:
    said = superpose("--help")
    assert "..." not in said.out.split("Commands:")[1]
    names = [line.split()[0] for line in said.out.split("Commands:\n")[1].split("\n\n")[0].splitlines()]
    assert set(names) == {arguments[0] for arguments in COMMANDS}
    assert names[0] == "quickstart"


@pytest.mark.parametrize("arguments", [["nonsense"], ["train"], ["serve", "--port", "high"], ["jobs", "show"]])
def test_wrong_usage_exits_with_2(superpose: Callable[..., Any], arguments: list[str]) -> None:
    said = superpose(*arguments)
    assert (said.code, said.out) == (2, "")
    assert "Usage: superpose" in said.err
    said = superpose(*arguments, "--json")
    assert said.code == 2
    assert said.json["error"]["code"] == "cli.usage"


def test_nobody_there_is_one_error_on_stderr_and_in_json(superpose: Callable[..., Any]) -> None:
    said = superpose("jobs", "list", "--url", "http://127.0.0.1:9")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("error[client.unreachable]: No superpose service answers at http://127.0.0.1:9 (")
    assert said.err.count("\n") == 1
    said = superpose("jobs", "list", "--url", "http://127.0.0.1:9", "--json")
    assert said.code == 1
    assert said.json["error"]["code"] == "client.unreachable"
    assert said.json["error"]["details"] == {"url": "http://127.0.0.1:9"}


def test_unforeseen_errors_say_how_to_see_more(superpose: Callable[..., Any], tmp_path: Any) -> None:
    said = superpose("models", "list", "--url", "no url at all")
    assert said.code == 1
    assert said.err.startswith("error[")


def test_without_a_terminal_there_is_no_colour_and_with_no_color_neither() -> None:
    done = in_a_shell("doctor", "--json")
    assert "\x1b" not in done.stdout + done.stderr
    document = json.loads(done.stdout)
    assert done.returncode == (0 if document["healthy"] else 1)
    assert {check["name"] for check in document["checks"]} >= {"python", "packages", "kernels", "memory", "disk"}
    assert all(check["status"] in {"ok", "warn", "fail"} for check in document["checks"])
    done = in_a_shell("doctor", NO_COLOR="1", FORCE_COLOR="1")
    assert "\x1b[3" not in done.stdout


def test_ctrl_c_exits_with_130(tmp_path: Any) -> None:
    # a service that accepts and never answers
    import signal
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        process = subprocess.Popen(
            [sys.executable, "-m", "superpose", "jobs", "list", "--url", url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        silent.settimeout(120)
        connection, _ = silent.accept()
        with connection:
            connection.recv(10)
            time.sleep(0.1)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "")
