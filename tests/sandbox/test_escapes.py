"""What users' Python tries in order to get out: each attempt is made by a real shut-in process, and fails."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from superpose.errors import FunctionCodeError, FunctionFileError, FunctionLimitError, IsolationError
from superpose.sandbox import Limits, Sandboxes, probe
from superpose.sandbox.process import SandboxProcess

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or not probe().holds, reason="this machine has no Landlock or seccomp"
)

#: name -> the body of a function; each must raise, whatever argument it gets.
ESCAPES = {
    "ipv4": "import socket; socket.socket(socket.AF_INET).connect(('127.0.0.1', given['port']))",
    "ipv4 udp": "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 53))",
    "ipv6": "import socket; socket.socket(socket.AF_INET6).connect(('::1', given['port']))",
    "unix socket": "import socket; socket.socket(socket.AF_UNIX).connect(given['unix'])",
    "netlink": "import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
    "socket pair": "import socket; socket.socketpair()",
    "name lookup": "import socket; socket.create_connection(('localhost', given['port']))",
    "read a secret": "open(given['secret']).read()",
    "list the data": "import os; os.listdir(given['data'])",
    "read passwords": "open('/etc/passwd').read()",
    "read home": "import os; os.listdir(os.path.expanduser('~root'))",
    "environment of the server": "open(f\"/proc/{given['server']}/environ\", 'rb').read()",
    "memory of the server": "open(f\"/proc/{given['server']}/mem\", 'rb').read(1)",
    "own environment": "open('/proc/self/environ').read()",
    "root directory": "import os; os.listdir('/')",
    "write outside": "open(given['outside'], 'w').write('x')",
    "write /tmp": "open('/tmp/superpose-escape', 'w').write('x')",
    "make a directory": "import os; os.mkdir(given['outside'])",
    "remove a file": "import os; os.unlink(given['secret'])",
    "rename": "import os; os.rename(given['secret'], given['outside'])",
    "symlink to a secret": "import os; os.symlink(given['secret'], '/dev/shm/s'); open('/dev/shm/s').read()",
    "hard link to a secret": "import os; os.link(given['secret'], '/dev/shm/h'); open('/dev/shm/h').read()",
    "change mode": "import os; os.chmod(given['secret'], 0o777); open(given['secret']).read()",
    "fork": "import os; os.fork()",
    "subprocess": "import subprocess; subprocess.run(['/bin/true'], check=True)",
    "exec": "import os; os.execv('/bin/true', ['true'])",
    "system": "import os; x = os.system('true'); raise OSError(x) if x else None",
    "spawn": "import multiprocessing as m; p = m.get_context('spawn').Process(target=print); p.start()",
    "kill the server": "import os, signal; os.kill(given['server'], signal.SIGKILL)",
    "kill by owning a file": "import fcntl, os; fcntl.fcntl(os.pipe()[0], fcntl.F_SETOWN, given['server'])",
    "choose that signal": "import fcntl, os; fcntl.fcntl(os.pipe()[0], 10, 9)",
    "signal the group": "import os; os.killpg(0, 9)",
    "pidfd": "import os; os.pidfd_open(given['server'])",
    "ptrace": "_call(101, 16, given['server'], 0, 0)",
    "process_vm_readv": "_call(310, given['server'], 0, 0, 0, 0, 0)",
    "new namespaces": "_call(272, 0x10000000)",
    "mount": "_call(165, b'none', b'/dev/shm', b'tmpfs', 0, 0)",
    "chroot": "import os; os.chroot('/dev/shm')",
    "io_uring": "_call(425, 1, 0)",
    "bpf": "_call(321, 0, 0, 0)",
    "keyring": "_call(250, 0, 0)",
    "shared memory": "_call(29, 0, 4096, 0o1666)",
    "memfd": "import os; os.memfd_create('x')",
    "a clone that is no thread": "_call(56, 17, 0, 0, 0, 0)",
    "outlive the server": "import ctypes; x = ctypes.CDLL(None).prctl(1, 0, 0, 0, 0); raise OSError(x) if x else None",
    "raise limits": "import resource; resource.setrlimit(resource.RLIMIT_CPU, (10**6, 10**6))",
    "raise priority": "import os; os.setpriority(os.PRIO_PROCESS, 0, -20)",
    "leave the session": "import os; os.setsid()",
    "other processors": "import os; os.sched_setaffinity(0, {0})",
    "a device": "import os; os.mknod('/dev/shm/d', 0o60600, os.makedev(7, 0))",
    "fill the disk": "open('/dev/shm/a', 'wb').write(bytes(64 * 2**20))",
}
SOURCE = """
import ctypes, os
def _call(*numbers):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(*numbers) == -1:
        raise OSError(ctypes.get_errno(), "refused")
""" + "".join(f"\ndef escape_{place}(given):\n    {body}\n" for place, body in enumerate(ESCAPES.values()))


@pytest.fixture(scope="module")
def sandboxes() -> Iterator[Sandboxes]:
    made = Sandboxes(Limits(timeout_s=30.0, cpu_s=20.0, memory_bytes=2**30))
    yield made
    made.close()


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A data directory with a secret, and listeners on all kinds of sockets, which must stay alone."""
    home = tmp_path_factory.mktemp("data")
    secret = home / "admin.key"
    secret.write_text("sp_key_secret")
    listener, unix = socket.socket(), socket.socket(socket.AF_UNIX)
    listener.bind(("127.0.0.1", 0))
    unix.bind(str(home / "s"))
    for one in (listener, unix):
        one.listen()
        one.settimeout(0.05)
    facts = {
        "port": listener.getsockname()[1],
        "unix": str(home / "s"),
        "secret": str(secret),
        "data": str(home),
        "outside": str(home / "outside"),
        "server": os.getpid(),
    }
    yield facts
    for one in (listener, unix):
        with pytest.raises(TimeoutError):
            one.accept()
        one.close()
    assert secret.read_text() == "sp_key_secret"
    assert not (home / "outside").exists()


@pytest.mark.parametrize("place", range(len(ESCAPES)), ids=list(ESCAPES))
def test_no_way_out(sandboxes: Sandboxes, given: dict[str, Any], place: int) -> None:
    with pytest.raises(FunctionCodeError) as caught:
        sandboxes.call("escapes", SOURCE, f"escape_{place}", [given])
    assert "Error" in caught.value.message or "gaierror" in caught.value.message
    assert "is not a function" not in caught.value.message


def test_what_it_finds_inside_is_nothing_of_ours(sandboxes: Sandboxes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUPERPOSE_KEY", "sp_key_secret")
    source = """
import os, sys
def look():
    descriptors = []
    for number in range(64):
        try:
            os.fstat(number)
        except OSError:
            continue
        descriptors.append(number)
    return {"environ": dict(os.environ), "descriptors": descriptors, "argv": sys.argv, "cwd": os.getcwd()}
"""
    found = sandboxes.call("look", source, "look", []).value
    assert not [name for name in found["environ"] if "SUPERPOSE" in name or "KEY" in name]
    assert found["descriptors"] == [0, 1, 2, 3, 4]  # three of /dev/null and the two pipes
    assert found["cwd"] == "/dev/shm"  # the private one


def test_an_inherited_descriptor_does_not_reach_it(sandboxes: Sandboxes, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    with (tmp_path / "secret").open() as file:
        os.set_inheritable(file.fileno(), True)
        source = f"import os\ndef read():\n    return os.read({file.fileno()}, 10).decode()\n"
        with pytest.raises(FunctionCodeError, match="OSError"):
            sandboxes.call("inherited", source, "read", [])


@pytest.mark.slow
def test_importing_the_service_gives_code_and_no_data(sandboxes: Sandboxes, given: dict[str, Any]) -> None:
    source = """
def steal(given):
    from superpose.service import Service, ServiceConfig
    return Service.open(ServiceConfig(data_dir=given["data"]), exclusive=False).keys
"""
    with pytest.raises((FunctionCodeError, FunctionLimitError)):
        sandboxes.call("service", source, "steal", [given])


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("while True: pass", FunctionLimitError),
        ("import time; time.sleep(600)", FunctionLimitError),
        (
            "import signal, time; [signal.signal(n, signal.SIG_IGN) for n in (2, 15, 24)]; time.sleep(600)",
            FunctionLimitError,
        ),
        ("x = [bytes(2**20) for _ in range(10**6)]", FunctionLimitError),
        ("return 'x' * 40_000_000", FunctionCodeError),
        ("import os; [os.write(4, b'\\xff' * 65536) for _ in range(10**6)]", FunctionLimitError),
        ("import os; os.write(4, (2).to_bytes(4, 'big') + b'{}' * 9)", FunctionCodeError),
        ("x = []; x.append(x); return x", FunctionCodeError),
        ("x = []\n    for _ in range(500): x = [x]\n    return x", FunctionCodeError),
        ("return float('nan')", FunctionCodeError),
        ("return 10**40", FunctionCodeError),
        ("return '\\ud800'", FunctionCodeError),
        ("return object()", FunctionCodeError),
        ("import os; os._exit(0)", FunctionCodeError),
        ("import os; os.abort()", FunctionCodeError),
        ("import ctypes; ctypes.string_at(0)", FunctionCodeError),
        ("import sys; sys.exit(0)", FunctionCodeError),
        ("raise KeyboardInterrupt", FunctionCodeError),
        ("def f(): f()\n    f()", FunctionCodeError),
    ],
)
def test_what_it_may_not_use_up_or_say(body: str, error: type[Exception]) -> None:
    runs_on = "while True" in body or "sleep" in body  # what else is refused, is refused in any time
    made = Sandboxes(Limits(timeout_s=0.7 if runs_on else 30.0, cpu_s=5.0, memory_bytes=2**29))
    try:
        with pytest.raises(error):
            made.call("bad", f"def bad():\n    {body}\n", "bad", [])
        assert served(made)
    finally:
        made.close()


def served(made: Sandboxes) -> bool:
    """Whether the next one is answered, at the latest when the machine has a moment for it."""
    for _ in range(40):
        with contextlib.suppress(FunctionLimitError):
            return made.call("good", "def good():\n    return 1\n", "good", []).value == 1
    return False


def test_threads_left_behind_take_no_time_between_calls() -> None:
    source = """
import threading
def start():
    def spin():
        while True: pass
    threading.Thread(target=spin, daemon=True).start()
"""
    made = Sandboxes(Limits(cpu_s=5.0))
    made.call("spin", source, "start", [])
    (pid,) = made.pids

    def ticks() -> int:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    def states() -> set[str]:
        tasks = Path(f"/proc/{pid}/task").iterdir()
        return {(task / "stat").read_text().rpartition(")")[2].split()[0] for task in tasks}

    until_s = time.monotonic() + 60.0
    while states() != {"T"} and time.monotonic() < until_s:
        time.sleep(0.01)
    assert states() == {"T"}  # both threads
    before = ticks()
    time.sleep(0.3)
    assert ticks() == before
    made.close()


def test_processes_are_kept_warm_then_go() -> None:
    made = Sandboxes(Limits(idle_s=0.05, n_processes=2))
    source = "n = 0\ndef count():\n    global n\n    n += 1\n    print('call', n)\n    return n\n"
    first, second = (made.call("a", source, "count", []) for _ in range(2))
    assert (first.value, first.cold, first.logs) == (1, True, "call 1\n")
    assert (second.value, second.cold) == (2, False)
    for key in "bcd":
        assert made.call(key, source, "count", []).value == 1  # another file's process makes room
    assert len(made.pids) == 2
    pids = made.pids
    time.sleep(0.1)
    assert made.reap() == 0
    assert made.pids == ()
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_it_dies_with_a_server_that_is_killed() -> None:
    code = """
import time
from superpose.sandbox import Limits, Sandboxes
made = Sandboxes(Limits())
made.call("k", "def f():\\n    return 1\\n", "f", [])
print(made.pids[0], flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        inside = Path(f"/proc/{int(server.stdout.readline())}")
        assert inside.exists()
        server.kill()
        server.wait()
        until_s = time.monotonic() + 30.0
        while inside.exists() and time.monotonic() < until_s:
            time.sleep(0.01)
        assert not inside.exists()


def test_many_callers_share_the_processes() -> None:
    made = Sandboxes(Limits(n_processes=2, timeout_s=30.0))
    source = "def double(x):\n    return 2 * x\n"
    found: dict[int, object] = {}

    def call(number: int) -> None:
        found[number] = made.call(str(number % 3), source, "double", [number]).value

    threads = [threading.Thread(target=call, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: 2 * number for number in range(12)}
    assert len(made.pids) <= 2
    made.close()


def test_errors_name_the_line(sandboxes: Sandboxes) -> None:
    with pytest.raises(FunctionCodeError, match=r"line 3: ZeroDivisionError: division by zero"):
        sandboxes.call("line", "def f():\n    x = 0\n    return 1 / x\n", "f", [])
    with pytest.raises(FunctionCodeError, match=r"line 2: SyntaxError"):
        sandboxes.call("syntax", "x = 1\ndef f(:\n", "f", [])
    with pytest.raises(FunctionFileError, match="no 'circuit'"):
        sandboxes.build("x = 1\n", ".py")


def test_a_machine_that_cannot_shut_it_in_runs_nothing(tmp_path: Path) -> None:
    inside = Path(os.__file__).parent / "site-packages"
    with pytest.raises(IsolationError, match="Keep the data elsewhere"):
        SandboxProcess(memory_bytes=2**30, cpu_s=1, scratch_bytes=2**20, hidden=[inside], required=True)
