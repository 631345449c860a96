"""How a process gives up what it does not need, without root and without containers. Linux; standard library only.

In this order: namespaces of its own (user, network, mount, IPC, host name), a small private file system, limits of the
kernel, no new privileges, Landlock (which files it may touch at all), no capabilities, a seccomp filter (which calls of
the kernel it may make). Each step says whether it went through; none can be undone, by whatever code runs afterwards.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import resource
import signal
import struct
from collections.abc import Iterable, Mapping

__all__ = ["shut_in"]

_libc = ctypes.CDLL(None, use_errno=True)

_CLONE_NEWNS, _CLONE_NEWUTS, _CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_CLONE_THREAD = 0x00010000
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REC, _MS_PRIVATE = 2, 4, 8, 0x4000, 0x40000
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
_SECCOMP_MODE_FILTER = 2
_F_SETOWN, _F_SETSIG, _F_SETOWN_EX = 8, 10, 15

_SCRATCH = "/dev/shm"  # noqa: S108  # where a private file system is mounted, in the process's own namespace

# Landlock, linux/landlock.h: rights to files by the version of the interface that brought them
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_WRITE_FILE, _TRUNCATE, _EXECUTE = 1 << 1, 1 << 14, 1 << 0
_FILE_RIGHTS_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
_MAKE_AND_REMOVE = (1 << 4) | (1 << 5) | (1 << 7) | (1 << 8)  # directories and regular files, no links or devices
_TCP = 3  # bind and connect; version 4
_SCOPES = 3  # abstract UNIX sockets and signals; version 6

#: Calls that get "not permitted": the network, other processes, the kernel's administration.
#: name -> (number on x86_64, number on aarch64), None where there is none.
_REFUSED: Mapping[str, tuple[int | None, int | None]] = {
    "socket": (41, 198),
    "socketpair": (53, 199),
    "bind": (49, 200),
    "listen": (50, 201),
    "accept": (43, 202),
    "accept4": (288, 242),
    "connect": (42, 203),
    "sendto": (44, 206),
    "recvfrom": (45, 207),
    "sendmsg": (46, 211),
    "recvmsg": (47, 212),
    "sendmmsg": (307, 269),
    "recvmmsg": (299, 243),
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "kill": (62, 129),
    "tkill": (200, 130),
    "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "kcmp": (312, 272),
    "setsid": (112, 157),
    "setpgid": (109, 154),
    "setrlimit": (160, 164),
    "setpriority": (141, 140),
    "sched_setaffinity": (203, 122),
    "sched_setscheduler": (144, 119),
    "sched_setattr": (314, 274),
    "ioprio_set": (251, 30),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "personality": (135, 92),
    "syslog": (103, 116),
    "seccomp": (317, 277),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
}
#: machine -> (audit's number of it, place in the table, clone, clone3, prlimit64, prctl, fcntl)
_MACHINES = {
    "x86_64": (0xC000003E, 0, 56, 435, 302, 157, 72),
    "aarch64": (0xC00000B7, 1, 220, 435, 261, 167, 25),
}


def shut_in(setup: Mapping[str, object]) -> dict[str, object]:
    """Give up everything that is not named, for good.

    Args:
        setup: ``readable`` (paths that stay readable), ``listable`` (directories whose entries alone stay readable),
            ``memory_bytes``, ``cpu_s``, ``scratch_bytes``, ``parent`` (its process id).

    Returns:
        What went through: ``namespaces``, ``scratch`` (the directory that may be written, or None), ``landlock`` (the
        interface's version, 0 for none), ``seccomp``.
    """
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != setup["parent"]:
        os._exit(75)  # it died before its death could be asked for
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:  # noqa: PTH123
        file.write("1000")
    namespaces = _enter_namespaces()
    scratch = _mount_scratch(_whole(setup["scratch_bytes"])) if namespaces else None
    os.chdir(scratch or "/")
    _limit(_whole(setup["memory_bytes"]), _whole(setup["cpu_s"]), _whole(setup["scratch_bytes"]))
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    landlock = _restrict_files(_paths(setup["readable"]), _paths(setup["listable"]), scratch)
    _drop_capabilities()
    _libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    return {"namespaces": namespaces, "scratch": scratch, "landlock": landlock, "seccomp": _filter_calls()}


def _enter_namespaces() -> bool:
    """Namespaces of our own: an empty network above all."""
    uid, gid = os.getuid(), os.getgid()
    flags = _CLONE_NEWUSER | _CLONE_NEWNET | _CLONE_NEWNS | _CLONE_NEWIPC | _CLONE_NEWUTS
    if _libc.unshare(flags) != 0:
        return False
    try:
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:  # noqa: PTH123
                file.write(text)
    except OSError:
        pass  # a user without a name is no danger, only without a directory of its own
    return True


def _mount_scratch(n_bytes: int) -> str | None:
    """A directory of our own in memory, of bounded size, which goes when we do."""
    if _libc.mount(None, b"/", None, _MS_REC | _MS_PRIVATE, None) != 0:
        return None
    options = f"size={n_bytes},nr_inodes=1024,mode=0700".encode()
    flags = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
    if _libc.mount(b"tmpfs", _SCRATCH.encode(), b"tmpfs", flags, options) != 0:
        return None
    return _SCRATCH


def _limit(memory_bytes: int, cpu_s: int, file_bytes: int) -> None:
    os.nice(5)
    for kind, most in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_NOFILE, 256),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (bound, bound))


def _restrict_files(readable: Iterable[str], listable: Iterable[str], scratch: str | None) -> int:
    """Landlock: nothing but ``readable`` can be read, nothing but ``scratch`` written; version 4: no TCP either."""
    abi = int(_libc.syscall(_LANDLOCK_CREATE, None, 0, 1))
    if abi < 1:
        return 0
    every = max((version, rights) for version, rights in _FILE_RIGHTS_BY_ABI.items() if version <= abi)[1]
    attributes = struct.pack("=QQQ", every, _TCP if abi >= 4 else 0, _SCOPES if abi >= 6 else 0)
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    ruleset = int(_libc.syscall(_LANDLOCK_CREATE, attributes, size, 0))
    if ruleset < 0:
        return 0
    for path in readable:
        _allow(ruleset, path, (_READ_FILE | _READ_DIR) & every)
    for path in listable:
        _allow(ruleset, path, _READ_DIR & every)
    for path in ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random"):
        _allow(ruleset, path, (_READ_FILE | (_WRITE_FILE if path == "/dev/null" else 0)) & every)
    if scratch is not None:
        _allow(ruleset, scratch, (_READ_FILE | _READ_DIR | _WRITE_FILE | _TRUNCATE | _MAKE_AND_REMOVE) & every)
    restricted = int(_libc.syscall(_LANDLOCK_RESTRICT, ruleset, 0)) == 0
    os.close(ruleset)
    return abi if restricted else 0


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # what is not there cannot be read
    try:
        if not os.path.isdir(path):  # noqa: PTH112
            rights &= _READ_FILE | _WRITE_FILE | _TRUNCATE | _EXECUTE
        _libc.syscall(_LANDLOCK_ADD, ruleset, 1, struct.pack("=Qi", rights, descriptor), 0)
    finally:
        os.close(descriptor)


def _drop_capabilities() -> None:
    """Those of our own namespace, or all, where a superuser runs the service."""
    header = struct.pack("=Ii", 0x20080522, 0)
    _libc.capset(header, struct.pack("=6I", 0, 0, 0, 0, 0, 0))


class _Filter(ctypes.Structure):
    _fields_ = [("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint32)]


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.POINTER(_Filter))]


_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _NOT_PERMITTED, _NO_SUCH_CALL = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026


def _filter_calls() -> bool:
    """The seccomp filter; False on a machine whose call numbers are not known here, or a kernel without it."""
    machine = _MACHINES.get(platform.machine())
    if machine is None or struct.calcsize("P") != 8:
        return False
    audit, column, clone, clone3, prlimit, prctl, fcntl = machine
    rows = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, audit), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, 0)]
    if column == 0:  # calls of the 32-bit interface on the same machine
        rows += [(_AT_LEAST, 0, 1, 0x40000000), (_RETURN, 0, 0, _KILL)]
    for numbers in _REFUSED.values():
        number = numbers[column]
        if number is not None:
            rows += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _NOT_PERMITTED)]
    rows += [(_EQUAL, 0, 1, clone3), (_RETURN, 0, 0, _NO_SUCH_CALL)]  # libraries then take clone
    rows += [  # threads yes, processes no
        *((_EQUAL, 0, 4, clone), (_LOAD, 0, 0, 16), (_ANY_BIT, 1, 0, _CLONE_THREAD)),
        *((_RETURN, 0, 0, _NOT_PERMITTED), (_RETURN, 0, 0, _ALLOW)),
    ]
    rows += [  # limits may be read, not changed
        *((_EQUAL, 0, 6, prlimit), (_LOAD, 0, 0, 32), (_EQUAL, 0, 3, 0), (_LOAD, 0, 0, 36), (_EQUAL, 0, 1, 0)),
        *((_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _NOT_PERMITTED)),
    ]
    rows += _refused_values(prctl, 0, (_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE))
    rows += _refused_values(fcntl, 1, (_F_SETOWN, _F_SETSIG, _F_SETOWN_EX))  # signals to others by way of a file
    rows.append((_RETURN, 0, 0, _ALLOW))
    filters = (_Filter * len(rows))(*(_Filter(*row) for row in rows))
    program = _Program(len(rows), filters)
    return int(_libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0)) == 0


def _refused_values(call: int, place: int, values: tuple[int, ...]) -> list[tuple[int, int, int, int]]:
    """Rows that refuse a call where the argument at ``place`` has one of the values, and allow it else."""
    rows = [(_EQUAL, 0, 3 + len(values), call), (_LOAD, 0, 0, 16 + 8 * place)]
    rows += [(_EQUAL, len(values) - number, 0, value) for number, value in enumerate(values)]
    return [*rows, (_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _NOT_PERMITTED)]


def _whole(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError("a whole number is needed")
    return value


def _paths(value: object) -> list[str]:
    return [str(path) for path in value] if isinstance(value, list) else []
