# SPDX-License-Identifier: Apache-2.0
"""Reading and writing files that users name.

Outputs are whole or not there. Each is written into a temporary file beside its target, forced to
disk, held against the size it must have, and renamed over the target; until then the target is
what it was. A symbolic link is followed: the file it points to is replaced, the link stays. A hard
link is not kept. The mode of a file that is replaced is kept.

Only regular files are read and replaced. A FIFO or a device is refused on both sides: as an output
it cannot be taken back after a failure, as an input it has no size to hold its header against, and
waits for a writer without end.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import resource
import shutil
import signal
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from descring_model.program import DescringError

Content = Iterable["bytes | memoryview"]
"""What a file is to hold, in pieces."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}
_numbers = itertools.count()


class FileError(DescringError):
    """A file that cannot be read or written; the text names it."""


def reason(error: OSError) -> str:
    """Why, in the system's words."""
    return error.strerror or str(error)


def _kind(mode: int) -> str:
    return _KINDS.get(stat.S_IFMT(mode), "something else")


def real(path: Path) -> Path:
    """``path`` with links followed.

    Raises:
        FileError: it is relative, and the current directory has been removed.
    """
    try:
        return Path(os.path.realpath(path))
    except OSError as error:
        raise FileError(f"{path}: the current directory: {reason(error)}") from error


@contextlib.contextmanager
def opened(path: Path) -> Iterator[tuple[IO[bytes], int]]:
    """The regular file ``path``, open for reading, and its size in bytes.

    Raises:
        FileError: it cannot be read, or is no regular file.
    """
    try:
        # Opening a FIFO would wait for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except (OSError, ValueError) as error:
        why = reason(error) if isinstance(error, OSError) else str(error)
        raise FileError(f"{path}: cannot be read: {why}") from error
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        if stat.S_ISDIR(found.st_mode):
            raise FileError(f"{path}: cannot be read: Is a directory")
        raise FileError(
            f"{path}: expected a regular file, got {_kind(found.st_mode)}; "
            "write what it gives to a file first"
        )
    with open(descriptor, "rb") as file:  # noqa: PTH123
        try:
            yield file, found.st_size
        except OSError as error:
            raise FileError(f"{path}: cannot be read: {reason(error)}") from error


def read_text(path: Path, limit: int) -> str:
    """The text of a small file.

    Raises:
        FileError: as :func:`opened`; or it has more than ``limit`` bytes; or it is not UTF-8.
    """
    with opened(path) as (file, size):
        data = file.read(limit + 1)
    if max(len(data), size) > limit:
        raise FileError(f"{path}: expected at most {limit} bytes, got {max(len(data), size)}")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FileError(
            f"{path}: expected text in UTF-8, got byte 0x{data[error.start]:02x} "
            f"at offset {error.start}"
        ) from error


class Outputs:
    """Files that are written whole or not at all.

    Temporary files are opened at once, so that a target that cannot be written is refused before
    the work and not after it.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        """Open a temporary file for each of ``paths``.

        Raises:
            FileError: one of them cannot be written.
        """
        self._paths = tuple(paths)
        self._targets = [_target(path) for path in paths]
        self._parts: list[Path] = []
        self._files: list[IO[bytes]] = []
        try:
            for path, target in zip(self._paths, self._targets, strict=True):
                self._open(path, target)
        except BaseException:
            self.discard()
            raise

    def _open(self, path: Path, target: Path) -> None:
        # Short, so that it fits wherever the target's own name does.
        part = target.with_name(f".descring.{os.getpid()}.{next(_numbers)}.part")
        with _undisturbed():
            try:
                self._files.append(part.open("xb"))
            except OSError as error:
                raise FileError(f"{path}: cannot be written: {reason(error)}") from error
            self._parts.append(part)
        with contextlib.suppress(FileNotFoundError):
            os.fchmod(self._files[-1].fileno(), stat.S_IMODE(target.stat().st_mode))

    def expect(self, size: int) -> None:
        """Refuse now what has no room: each file is going to have ``size`` bytes.

        Raises:
            FileError: the disk, or the limit on the size of a file, is smaller.
        """
        most, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
        for path, target in zip(self._paths, self._targets, strict=True):
            free = shutil.disk_usage(target.parent).free
            if size > free:
                raise FileError(f"{path}: needs {size} bytes, but {target.parent} has {free} free")
            if most != resource.RLIM_INFINITY and size > most:
                raise FileError(
                    f"{path}: needs {size} bytes, but files may have {most} (ulimit -f)"
                )

    def commit(self, contents: Sequence[Content]) -> None:
        """Write ``contents``, one for each path, and put all of them in place.

        Raises:
            FileError: a file could not be written; no target has been touched then.
        """
        try:
            for path, file, content in zip(self._paths, self._files, contents, strict=True):
                try:
                    _write(file, content)
                except OSError as error:
                    raise FileError(f"{path}: cannot be written: {reason(error)}") from error
            with _undisturbed():
                for path, part, target in zip(self._paths, self._parts, self._targets, strict=True):
                    try:
                        part.replace(target)
                        _sync_folder(target.parent)
                    except OSError as error:
                        raise FileError(f"{path}: cannot be written: {reason(error)}") from error
        finally:
            self.discard()

    def discard(self) -> None:
        """Close and remove the temporary files that are still there."""
        for file in self._files:
            # What it could not write has been reported, and is not wanted any more.
            with contextlib.suppress(OSError):
                file.close()
        for part in self._parts:
            part.unlink(missing_ok=True)


def _write(file: IO[bytes], content: Content) -> None:
    """Write and close ``file``; ``OSError`` unless everything is on the disk."""
    size = 0
    for piece in content:
        file.write(piece)
        size += memoryview(piece).nbytes
    file.flush()
    os.fsync(file.fileno())
    written = os.fstat(file.fileno()).st_size
    if written != size:
        raise OSError(f"expected {size} bytes on the disk, got {written}")
    file.close()


def _sync_folder(folder: Path) -> None:
    """Make a renaming survive a power cut, where the file system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Hold back the signals that end a program, for a moment that must not be cut in two."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _target(path: Path) -> Path:
    """``path`` with links followed, when a regular file can stand there."""
    target = real(path)
    try:
        mode = target.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        if not target.parent.is_dir():
            raise FileError(
                f"{path}: its directory {target.parent} does not exist; make it first"
            ) from None
        return target
    except (OSError, ValueError) as error:  # a loop of links, a name too long, a NUL in it
        why = reason(error) if isinstance(error, OSError) else str(error)
        raise FileError(f"{path}: cannot be written: {why}") from error
    if stat.S_ISDIR(mode):
        raise FileError(f"{path}: expected the name of a file, got a directory")
    if not stat.S_ISREG(mode):
        raise FileError(f"{path}: expected a regular file, got {_kind(mode)}; name a file")
    if not os.access(target, os.W_OK):
        raise FileError(f"{path}: cannot be written: the file there is read-only")
    return target


@contextlib.contextmanager
def outputs(*paths: Path) -> Iterator[Outputs]:
    """Temporary files for ``paths``, removed on leaving unless they were committed."""
    files = Outputs(paths)
    try:
        yield files
    finally:
        files.discard()


def write_files(contents: Mapping[Path, str | bytes]) -> None:
    """Write whole files, all of them or none; text as UTF-8.

    Raises:
        FileError: one cannot be written.
    """
    with outputs(*contents) as files:
        files.commit(
            [
                # A lone surrogate stands for a byte of a file's name that is no UTF-8.
                [text.encode("utf-8", "backslashreplace") if isinstance(text, str) else text]
                for text in contents.values()
            ]
        )
