# SPDX-License-Identifier: Apache-2.0
"""Memory that host and worker share: anonymous, or a named POSIX shared-memory segment."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import operator
import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from descring_model import contract

from descring_host.errors import ContractMismatch, DeviceError
from descring_host.native import check_u32, ffi, lib

SHM_FOLDER = Path("/dev/shm")
PREFIX = "descring."
_NAME = re.compile(r"[A-Za-z0-9._-]{1,200}")
_MODE, _OTHERS = 0o600, 0o077
"""Of a segment's file; and the bits that would let other users in."""
_PAGE = 4096
_HUGE = 2 << 20
_MAP_HUGETLB = 0x40000
_NODES = 1024  # as many as hd_bind_numa can name
_YOUNG_S = 5.0
"""A segment younger than this may be one whose creator has not taken its role yet."""


@dataclass(frozen=True)
class MemoryReport:
    """What the memory really is; what was asked for and not given has its reason here.

    Attributes:
        bytes: of the mapping.
        huge_bytes: of them, those in huge pages when it was made; counted where huge pages were
            asked for, else 0.
        huge_pages: how huge pages were given, or why not.
        numa: likewise for the binding to a node.
    """

    bytes: int
    huge_bytes: int
    huge_pages: str
    numa: str


class Segment:
    """A mapped segment: device state, then the memory window.

    The mapping lives as long as anything refers to it, so that arrays over it stay valid after
    :meth:`close`, which gives up the name and the file.
    """

    def __init__(
        self,
        mapping: mmap.mmap | ctypes.Array[ctypes.c_uint8],
        file: int | None,
        name: str | None,
        owner: bool,
    ) -> None:
        self._mapping = mapping
        self.file = file
        self.name = name
        self._owner = owner
        self.base: Any = ffi.from_buffer(mapping)
        self.report = MemoryReport(len(mapping), 0, "not asked for", "not asked for")
        # Read once: another process may write the header at any time.
        self._offset = int(lib.hd_window_offset(self.base))
        self._window_bytes = int(lib.hd_window_bytes(self.base))

    @property
    def window(self) -> npt.NDArray[np.uint8]:
        """The memory window, 1-D uint8, writable."""
        return np.frombuffer(
            memoryview(self._mapping),
            dtype=np.uint8,
            count=self._window_bytes,
            offset=self._offset,
        )

    @classmethod
    def create(
        cls,
        window_bytes: int,
        *,
        name: str | None = None,
        first_index: int = 0,
        huge_pages: bool = False,
        numa_node: int | None = None,
    ) -> Segment:
        """Make a segment in reset state.

        Args:
            window_bytes: size of the memory window, 1 byte to 2^40.
            name: of the POSIX shared memory; None makes an anonymous mapping of this process.
            first_index: the value of every index after reset [RING-012].
            huge_pages: ask for pages of 2 MiB; :attr:`report` says what came of it.
            numa_node: bind the memory to this node; likewise.

        Raises:
            ValueError: a size, name, index or node out of range.
            DeviceError: the name exists, or the system refuses the memory.
        """
        offset, total = _sizes(window_bytes, first_index)
        if numa_node is not None and not 0 <= operator.index(numa_node) < _NODES:
            raise ValueError(f"numa_node: expected 0 to {_NODES - 1}, got {numa_node}")
        if huge_pages:
            total = -(-total // _HUGE) * _HUGE
        file = None
        if name is not None:
            file = _create_file(name, total)
        try:
            mapping, how = _map(file, total, huge_pages)
            segment = cls(mapping, file, name, owner=True)
            numa = segment._bind(numa_node)
            segment._format(offset, window_bytes, first_index)
        except BaseException:
            if file is not None:
                os.close(file)
                _path(str(name)).unlink(missing_ok=True)
            raise
        huge = 0
        if huge_pages:
            segment.window[::_PAGE] = 0  # so that the pages exist and can be counted
            huge = _huge_bytes(segment.base)
        segment.report = MemoryReport(total, huge, how, numa)
        return segment

    @classmethod
    def within(
        cls,
        allocate: Callable[[int], ctypes.Array[ctypes.c_uint8]],
        window_bytes: int,
        first_index: int,
    ) -> Segment:
        """Make a segment in reset state in memory of another kind than the system's own.

        Args:
            allocate: gives so many zeroed bytes, at the start of a page, until its array is gone.
            window_bytes: as in :meth:`create`.
            first_index: likewise.

        Raises:
            ValueError: a size or index out of range.
            DeviceError: no such memory.
        """
        offset, total = _sizes(window_bytes, first_index)
        segment = cls(allocate(total), None, None, owner=True)
        segment._format(offset, window_bytes, first_index)
        return segment

    def _format(self, offset: int, window_bytes: int, first_index: int) -> None:
        total = len(self._mapping)
        failed = lib.hd_format(self.base, total, offset, window_bytes, first_index)
        if failed:
            raise DeviceError(f"cannot lay out the segment: {os.strerror(failed)}")
        self._offset, self._window_bytes = offset, window_bytes

    @classmethod
    def attach(cls, name: str) -> Segment:
        """Map an existing named segment.

        Raises:
            ValueError: a malformed name.
            DeviceError: there is none of that name, another user's, open to others, damaged or of
                another version.
            ContractMismatch: it was made from another contract.
        """
        try:
            file, size = _open_own(_path(name))
        except FileNotFoundError:
            raise DeviceError(
                f"there is no shared memory named {name!r}; start it with: descring serve {name}"
            ) from None
        except OSError as error:
            raise DeviceError(f"cannot use shared memory {name!r}: {error.strerror}") from None
        try:
            mode = stat.S_IMODE(os.fstat(file).st_mode)
            if mode & _OTHERS:
                raise DeviceError(
                    f"cannot use shared memory {name!r}: expected mode {_MODE:04o}, "
                    f"got {mode:04o}, which lets other users in; stop its processes and start again"
                )
            if size < lib.hd_header_bytes():
                raise DeviceError(f"shared memory {name!r} is too small ({size} bytes) to be ours")
            mapping = mmap.mmap(file, size)
            segment = cls(mapping, file, name, owner=False)
            refusal = lib.hd_refusal(segment.base, size)
            if refusal:
                text = ffi.string(refusal).decode()
                theirs = lib.hd_segment_contract_hash(segment.base)
                kind: type[DeviceError] | type[ContractMismatch] = DeviceError
                if "contract hash" in text:
                    kind = ContractMismatch
                    text += f": it has {theirs:08x}, this program {contract.CONTRACT_HASH:08x}"
                raise kind(f"cannot use shared memory {name!r}: {text}")
            if segment._offset + segment._window_bytes > size:
                raise DeviceError(f"cannot use shared memory {name!r}: its size was changed")
        except BaseException:
            os.close(file)
            raise
        return segment

    def close(self, *, unlink: bool | None = None) -> None:
        """Close the file, and remove the name (default: if this object made it)."""
        if self.file is not None:
            if self._owner if unlink is None else unlink:
                _path(str(self.name)).unlink(missing_ok=True)
            os.close(self.file)
            self.file = None

    def _bind(self, node: int | None) -> str:
        if node is None:
            return "not asked for"
        failed = lib.hd_bind_numa(self.base, len(self._mapping), node)
        return (
            f"refused for node {node}: {os.strerror(failed)}" if failed else f"bound to node {node}"
        )


def _sizes(window_bytes: int, first_index: int) -> tuple[int, int]:
    """Where the window starts in a segment, and the segment's size; ``ValueError``."""
    size = check_u32("window_bytes / 4096", -(-window_bytes // _PAGE)) * _PAGE
    if not 0 < window_bytes <= 1 << 40:
        raise ValueError(f"window_bytes: expected 1 to 2^40, got {window_bytes}")
    check_u32("first_index", first_index)
    offset = -(-lib.hd_header_bytes() // _PAGE) * _PAGE
    return offset, offset + size


def _path(name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise ValueError(f"name: expected 1 to 200 of A-Z a-z 0-9 . _ -, got {name!r}")
    return SHM_FOLDER / f"{PREFIX}{name}"


def _open_own(path: Path) -> tuple[int, int]:
    """A regular file of this user, open to be mapped, and its size in bytes.

    Raises:
        OSError: it is missing, a link, no regular file, or another user's.
    """
    # O_NONBLOCK: a pipe must not hold up the opening.
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        if status.st_uid != os.geteuid():
            raise OSError(
                errno.EPERM,
                f"expected memory of user {os.geteuid()}, got memory of user {status.st_uid}, who "
                "could write anything into it",
            )
    except BaseException:
        os.close(file)
        raise
    return file, status.st_size


def _create_file(name: str, size: int) -> int:
    path = _path(name)
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
    except FileExistsError:
        raise DeviceError(
            f"shared memory {name!r} exists ({path}); choose another name, attach to it, or "
            "remove what dead processes left: descring clean"
        ) from None
    try:
        os.posix_fallocate(file, 0, size)  # no room is an error now, not a SIGBUS later
    except OSError as error:
        os.close(file)
        path.unlink(missing_ok=True)
        raise DeviceError(f"cannot get {size} bytes of shared memory: {error.strerror}") from None
    return file


def _map(file: int | None, size: int, huge_pages: bool) -> tuple[mmap.mmap, str]:
    try:
        if file is not None:
            mapping = mmap.mmap(file, size)
        else:
            flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
            if huge_pages:
                with contextlib.suppress(OSError):
                    return mmap.mmap(-1, size, flags=flags | _MAP_HUGETLB), "reserved huge pages"
            mapping = mmap.mmap(-1, size, flags=flags)
    except OSError as error:
        raise DeviceError(f"cannot map {size} bytes: {error.strerror}") from None
    if not huge_pages:
        return mapping, "not asked for"
    try:
        mapping.madvise(mmap.MADV_HUGEPAGE)
    except OSError as error:
        return mapping, f"refused: {os.strerror(error.errno or errno.EINVAL)}"
    return mapping, "transparent huge pages, as far as the kernel gives them (see huge_bytes)"


def _huge_bytes(base: Any) -> int:
    """Bytes of the mapping at ``base`` that lie in huge pages now, from the kernel's own table.

    The kernel walks the pages of the whole process for it: tens of milliseconds.
    """
    start = int(ffi.cast("uintptr_t", base))
    found, total = False, 0
    for line in Path("/proc/self/smaps").read_text().splitlines():
        head = line.split(" ", 1)[0]
        if "-" in head and not head.endswith(":"):
            low, high = (int(part, 16) for part in head.split("-"))
            found = low <= start < high
        elif found and head in ("AnonHugePages:", "ShmemPmdMapped:", "Private_Hugetlb:"):
            total += int(line.split()[1]) * 1024
    return total


@dataclass(frozen=True)
class Leftover:
    """What :func:`clean` found below a segment's name.

    ``held_by`` names who holds it, ``reason`` is why it is left alone otherwise. Both are empty for
    what was removed, or would be with ``dry_run``.
    """

    name: str
    held_by: tuple[str, ...] = ()
    reason: str = ""

    @property
    def removed(self) -> bool:
        """Whether nothing speaks against removing it."""
        return not self.held_by and not self.reason


def clean(*, dry_run: bool = False) -> Iterator[Leftover]:
    """Remove every segment of this user whose worker and host are both gone; yield what was found.

    A segment that a living process holds is left alone, and so is one so young that its creator
    may not have taken its role yet, and whatever is no segment of this user.

    Args:
        dry_run: only report what would be removed.
    """
    for path in sorted(SHM_FOLDER.glob(f"{PREFIX}*")):
        name = path.name.removeprefix(PREFIX)
        try:
            file, size = _open_own(path)
        except FileNotFoundError:
            continue  # removed by somebody else in the meantime
        except OSError as error:
            yield Leftover(name, reason=_why_not(error))
            continue
        try:
            found = _examine(name, file, size)
            if found.removed and not dry_run:
                path.unlink(missing_ok=True)
        except OSError as error:
            found = Leftover(name, reason=_why_not(error))
        finally:
            os.close(file)
        yield found


def _why_not(error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "it is a link"
    if error.errno == errno.EISDIR:
        return "it is a directory"
    return error.strerror or str(error)


def _examine(name: str, file: int, size: int) -> Leftover:
    header = os.pread(file, lib.hd_header_bytes(), 0)
    # A creator that was killed half-way leaves zeros; the magic is written last.
    magic = int.from_bytes(header[:8], "little")
    if size < lib.hd_header_bytes() or (magic != lib.hd_magic() and any(header)):
        return Leftover(name, reason="it is no segment of descring")
    holders = tuple(
        who
        for who, role in (("worker", lib.HD_ROLE_WORKER), ("host", lib.HD_ROLE_HOST))
        if lib.hd_role_held(file, role)
    )
    if not holders and time.time() - os.fstat(file).st_mtime < _YOUNG_S:
        holders = (f"its creator perhaps (less than {_YOUNG_S:.0f} s old)",)
    return Leftover(name, holders)
