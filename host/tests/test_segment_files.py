# SPDX-License-Identifier: Apache-2.0
"""Segments: files below /dev/shm, whose they are and what is removed; pages and nodes."""

from __future__ import annotations

import errno
import mmap
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from click.testing import CliRunner
from descring_host import CommandQueue, CpuDevice, DeviceError, clean, open_device
from descring_host import segment as segment_module
from descring_host.segment import PREFIX, SHM_FOLDER, Segment
from host_support import decode, shm_name

HEADER = 8192


def _path(name: str) -> Path:
    return SHM_FOLDER / f"{PREFIX}{name}"


@pytest.fixture
def name() -> Iterator[str]:
    """A name below which a test makes what it likes."""
    chosen = shm_name("file")
    yield chosen
    path = _path(chosen)
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


def _make(kind: str, path: Path) -> None:
    if kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    elif kind == "dangling link":
        path.symlink_to("/nonexistent")
    elif kind == "link loop":
        path.symlink_to(path)
    elif kind == "notes":
        path.write_bytes(b"x" * HEADER)
    elif kind == "short":
        path.write_bytes(b"")


KINDS = ["directory", "fifo", "socket", "dangling link", "link loop", "notes", "short"]


@pytest.mark.parametrize("kind", KINDS)
def test_clean_keeps_what_is_no_segment_and_removes_the_rest(kind: str, name: str) -> None:
    """[LIFE-001]: one odd file does not save those behind it."""
    _make(kind, _path(name))
    behind = f"{name}-zz"
    segment = Segment.create(1 << 12, name=behind)
    assert segment.file is not None
    os.close(segment.file)  # as a killed creator leaves it
    segment.file = None
    for path in (_path(name), _path(behind)):
        if not path.is_symlink():
            os.utime(path, (0, 0))
    try:
        found = {item.name: item for item in clean()}
        assert not found[name].removed
        assert found[name].reason
        assert os.path.lexists(_path(name))
        assert found[behind].removed
        assert not _path(behind).exists()
    finally:
        _path(behind).unlink(missing_ok=True)


@pytest.mark.parametrize("kind", KINDS)
def test_attach_refuses_what_is_no_segment(kind: str, name: str) -> None:
    """[HASH-001]: with a reason, never with an OSError, and without waiting for a pipe's writer."""
    _make(kind, _path(name))
    with pytest.raises(DeviceError, match="shared memory"):
        CpuDevice(attach=name)


def test_clean_removes_a_segment_that_was_never_finished(name: str) -> None:
    """[LIFE-001]: a creator killed before it wrote the header leaves zeros."""
    _path(name).write_bytes(bytes(HEADER))
    os.utime(_path(name), (0, 0))
    assert {item.name: item.removed for item in clean()}[name]
    assert not _path(name).exists()


def test_a_dry_run_reports_and_removes_nothing(name: str) -> None:
    """[LIFE-001]: ``descring clean --dry-run``."""
    from descring_sim.cli.main import cli

    _path(name).write_bytes(bytes(HEADER))
    os.utime(_path(name), (0, 0))
    result = CliRunner().invoke(cli, ["clean", "--dry-run"])
    assert result.exit_code == 0, result.output
    assert f"would remove {name}" in result.output
    assert _path(name).exists()
    result = CliRunner().invoke(cli, ["clean"])
    assert f"removed {name}" in result.output
    assert not _path(name).exists()


def test_another_users_segment_is_refused_and_kept(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """[LIFE-001]: who owns the memory may write anything into it at any time."""
    segment = Segment.create(1 << 12, name=name)
    os.utime(_path(name), (0, 0))
    segment.close(unlink=False)
    owner = os.geteuid()
    if owner == 0:
        os.chown(_path(name), 65534, 65534)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(DeviceError, match="expected memory of user"):
        CpuDevice(attach=name)
    found = {item.name: item for item in clean()}
    assert "expected memory of user" in found[name].reason
    assert _path(name).exists()


def test_a_segment_that_may_not_be_opened_is_an_error_in_words(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """[LIFE-001]: permission denied, as a mode of 0600 gives another user."""
    Segment.create(1 << 12, name=name).close(unlink=False)

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(segment_module, "os", SimpleNamespace(**{**vars(os), "open": refuse}))
        with pytest.raises(DeviceError, match=r"cannot use shared memory .*Permission denied"):
            CpuDevice(attach=name)
        assert {item.name: item.reason for item in clean()}[name] == "Permission denied"


@pytest.mark.parametrize("node", [-1, 1024, 2**40, 2**64])
def test_a_node_that_no_machine_has_is_a_wrong_value(node: int) -> None:
    """[LIFE-001]: and not an OverflowError."""
    with pytest.raises(ValueError, match="numa_node: expected 0 to 1023"):
        CpuDevice(1 << 16, numa_node=node)


def _open_segments() -> set[str]:
    """Files below /dev/shm that this process has open; a device of an earlier test can be one."""
    files = [file for file in Path("/proc/self/fd").iterdir() if file.is_symlink()]
    paths = [str(file.readlink()) for file in files if file.exists()]
    return {path for path in paths if path.startswith(str(SHM_FOLDER))}


@pytest.mark.parametrize("umask", [0o000, 0o027, 0o077])
def test_a_segment_is_for_its_user_alone_whatever_the_umask(name: str, umask: int) -> None:
    """The trust model of SECURITY.md: mode 0600, of the named file; the rest has no name."""
    already = _open_segments()
    before = os.umask(umask)
    try:
        with CpuDevice(1 << 16, process=True, name=name) as device:
            status = _path(name).stat()
            assert stat.S_IMODE(status.st_mode) == 0o600
            assert status.st_uid == os.geteuid()
            sockets = Path(f"/proc/{device.peer.pid}/net/unix").read_text()
            assert name not in sockets
            assert _open_segments() - already == {str(_path(name))}
    finally:
        os.umask(before)


@pytest.mark.parametrize("mode", [0o640, 0o602, 0o666])
def test_a_segment_that_lets_others_in_is_not_attached(name: str, mode: int) -> None:
    """Someone has changed its mode: whoever opened it since may write into it."""
    with CpuDevice(1 << 16, process=True, name=name) as device:
        assert device.peer.state == "alive"
        _path(name).chmod(mode)
        with pytest.raises(DeviceError, match=f"expected mode 0600, got {mode:04o}"):
            CpuDevice(attach=name)


ANOTHER_USER = """
import os, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR):
    try:
        os.open(sys.argv[1], flags)
    except PermissionError:
        continue
    raise SystemExit("opened")
for change in (lambda: os.unlink(sys.argv[1]), lambda: os.chmod(sys.argv[1], 0o666)):
    try:
        change()
    except PermissionError:
        continue
    raise SystemExit("changed")
os.listdir(os.path.dirname(sys.argv[1]))
try:
    os.kill(int(sys.argv[2]), 0)
except PermissionError:
    raise SystemExit(0)
raise SystemExit("signalled")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="expected root, which can become another user")
def test_another_user_can_neither_open_nor_remove_nor_signal(name: str) -> None:
    """SECURITY.md: such a user sees the name, the size and the processes, and that is all."""
    with CpuDevice(1 << 16, process=True, name=name) as device:
        done = subprocess.run(
            [sys.executable, "-S", "-c", ANOTHER_USER, str(_path(name)), str(device.peer.pid)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")


def test_a_name_that_exists_is_refused_and_left_alone() -> None:
    """[LIFE-001]: whatever it holds."""
    name = shm_name("taken")
    _path(name).write_bytes(b"somebody's")
    try:
        with pytest.raises(DeviceError, match="exists"):
            open_device("cpu", process=True, name=name)
        assert _path(name).read_bytes() == b"somebody's"
    finally:
        _path(name).unlink()


def test_memory_reports_what_was_given() -> None:
    """[LIFE-001]: huge pages and NUMA: granted or refused, never silent."""
    with CpuDevice(8 << 20, huge_pages=True, numa_node=0) as device:
        report = device.memory_report
        assert report.bytes >= 8 << 20
        assert 0 <= report.huge_bytes <= report.bytes
        assert "huge pages" in report.huge_pages or "refused" in report.huge_pages
        assert report.numa == "bound to node 0" or report.numa.startswith("refused for node 0")
        with CommandQueue(device) as queue:
            assert len(queue.exchange(decode(0, 1, 100))) == 100
    with CpuDevice(1 << 16, numa_node=1000) as device:
        assert device.memory_report.numa.startswith("refused for node 1000")
        assert device.memory_report.huge_pages == "not asked for"


@pytest.mark.parametrize(
    ("where", "call", "named", "text"),
    [
        (os, "posix_fallocate", True, r"cannot get \d+ bytes of shared memory: No space left"),
        (mmap, "mmap", True, r"cannot map \d+ bytes: No space left"),
        (mmap, "mmap", False, r"cannot map \d+ bytes: No space left"),
    ],
)
def test_memory_that_cannot_be_had_is_an_error_in_words(
    where: ModuleType,
    call: str,
    named: bool,
    text: str,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """[LIFE-001]: a DeviceError with the system's reason, and no file is left, open or named."""
    before = _open_segments()

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(where, call, refuse)
        with pytest.raises(DeviceError, match=text):
            Segment.create(1 << 16, name=name if named else None)
    assert _open_segments() == before
    assert not _path(name).exists()


def test_huge_pages_that_are_refused_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """[LIFE-001]: with the kernel's reason; the memory is there, in small pages."""

    class Small(mmap.mmap):
        def __new__(cls, file: int, size: int, flags: int = mmap.MAP_SHARED) -> Small:
            if flags & segment_module._MAP_HUGETLB:
                raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
            return super().__new__(cls, file, size, flags=flags)

        def madvise(self, *_: object) -> None:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(mmap, "mmap", Small)
    with CpuDevice(1 << 16, huge_pages=True) as device:
        assert device.memory_report.huge_pages == "refused: Invalid argument"
        with CommandQueue(device, cmd_slots=8) as queue:
            assert len(queue.exchange(decode(0, 1, 10))) == 10


def test_pages_are_counted_where_huge_ones_were_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's table of all pages takes tens of milliseconds: no device opens that slowly."""
    counted: list[object] = []

    def count(base: object) -> int:
        counted.append(base)
        return 7

    monkeypatch.setattr(segment_module, "_huge_bytes", count)
    with CpuDevice(1 << 16) as device:
        assert (device.memory_report.huge_bytes, counted) == (0, [])
    with CpuDevice(1 << 16, huge_pages=True) as device:
        assert device.memory_report.huge_bytes == 7
