# SPDX-License-Identifier: Apache-2.0
"""A recorded bundle: streams and runs of rollouts, and what every backend made of them."""

from __future__ import annotations

import contextlib
import io
import json
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from descring_model import Lines, contract, streams

from descring_sim.protocol.stream import StreamRequest
from descring_sim.replay.registry import open_backend
from descring_sim.replay.stream_file import StreamError, array_of, lines_of
from descring_sim.support.files import opened, write_files

RINGS = ("done", "reward")
NEAR_WRAP = 0xFFFFFF80


MAX_COUNT = 1 << 18
"""Lines of a case: what a reader must be able to hold in memory several times."""
MAX_ARRAY = MAX_COUNT * contract.DESC_BYTES + (1 << 16)
MAX_MANIFEST = 1 << 20
MAX_DIRECTORY = 1 << 20
"""Bytes that an array, the manifest, and the list of files may have, unpacked."""

_END = struct.Struct("<IHHHHIIH")
"""The end of an archive: signature, four numbers, bytes of the list of files, place, comment."""


@dataclass(frozen=True)
class Case:
    """One stream and the modes it is replayed with."""

    name: str
    profile: str
    first_index: int = 0
    require_checked: bool = False
    split_reward: bool = False

    @property
    def options(self) -> StreamRequest:
        """As a backend takes them."""
        return StreamRequest(
            first_index=self.first_index,
            require_checked=self.require_checked,
            split_reward=self.split_reward,
        )


CASES = (
    *(Case(profile, profile, NEAR_WRAP) for profile in streams.PROFILES),
    Case("mixed-split-reward", "mixed", NEAR_WRAP, split_reward=True),
    Case("mixed-require-checked", "mixed", require_checked=True),
)


def answers(backend: str, lines: Lines, case: Case) -> dict[str, Lines]:
    """A backend's completions of a case, by ring."""
    result = open_backend(backend).replay(lines, case.options, lambda _: None)
    return dict(zip(RINGS, (result.done, result.reward), strict=True))


def write_bundle(bundle: Path, arrays: dict[str, npt.NDArray[np.generic]]) -> None:
    """Write a bundle whole or not at all; raises :class:`FileError`."""
    packed = io.BytesIO()
    np.savez_compressed(packed, **arrays)  # type: ignore[arg-type]
    write_files({bundle: packed.getvalue()})


@dataclass(frozen=True)
class Bundle:
    """A bundle that is open for reading; its arrays are unpacked one at a time."""

    path: Path
    archive: zipfile.ZipFile
    backends: tuple[str, ...]
    cases: tuple[Case, ...]
    runs: tuple[dict[str, Any], ...]
    """As the manifest has them; :class:`descring_sim.replay.bundle_runs.RunCase` reads one."""

    @classmethod
    @contextlib.contextmanager
    def open(cls, path: Path) -> Iterator[Bundle]:
        """Open ``path`` and read its manifest.

        Raises:
            FileError: it is no bundle, or one of another contract or version.
        """
        with opened(path) as (file, size), contextlib.ExitStack() as stack:
            with _refusing(path):
                _check_directory(file, size)
                archive = stack.enter_context(zipfile.ZipFile(file))
                data = array_of(_entry(archive, "manifest", MAX_MANIFEST), f"{path}: manifest")
                manifest = json.loads(np.asarray(data, np.uint8).tobytes())
                if manifest["contract"] != contract.CONTRACT_HASH:
                    raise StreamError(
                        f"{path}: recorded under contract {int(manifest['contract']):08x}, this is "
                        f"{contract.CONTRACT_HASH:08x}; record it again"
                    )
                cases = tuple(_case(values) for values in manifest["cases"])
                backends = tuple(map(_text, manifest["backends"]))
                runs = tuple(dict(values) for values in manifest.get("runs", ()))
            yield cls(path, archive, backends, cases, runs)

    def lines(self, name: str) -> Lines:
        """The lines of one array; :class:`StreamError` if it is missing or damaged."""
        with _refusing(self.path):
            data = _entry(self.archive, name, MAX_ARRAY)
        return lines_of(data, f"{self.path}: {name}")

    def array(self, name: str, limit: int) -> npt.NDArray[np.generic]:
        """An array of ``limit`` bytes at most; :class:`StreamError` if missing or damaged."""
        with self.refusing():
            data = _entry(self.archive, name, limit + (1 << 16))
            return array_of(data, f"{self.path}: {name}")

    def within(self, folder: str) -> Callable[[str, int], npt.NDArray[np.generic]]:
        """:meth:`array` for the names in ``folder``."""
        return lambda name, limit: self.array(f"{folder}/{name}", limit)

    def refusing(self) -> contextlib.AbstractContextManager[None]:
        """Turns what damaged contents make a reader raise into a :class:`StreamError`."""
        return _refusing(self.path)


@contextlib.contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Turn what the readers of the parts of a bundle raise into one error."""
    try:
        yield
    except (
        *(AttributeError, KeyError, TypeError, ValueError, EOFError, RecursionError),
        *(NotImplementedError, OverflowError, zipfile.BadZipFile, zlib.error, lzma.LZMAError),
        RuntimeError,  # of zipfile: a file in the archive is encrypted
    ) as error:
        raise StreamError(
            f"{path}: expected a bundle as `descring record` writes it "
            f"({type(error).__name__}: {' '.join(str(error).split())[:200]}); record it again"
        ) from error


def _check_directory(file: IO[bytes], size: int) -> None:
    """Refuse an archive whose list of files is longer than a bundle's; it would be read whole."""
    tail = min(size, _END.size + 0xFFFF)
    file.seek(size - tail)
    data = file.read(tail)
    place = data.rfind(b"PK\x05\x06")
    if place < 0 or len(data) < place + _END.size:
        raise zipfile.BadZipFile("no archive")
    length = _END.unpack_from(data, place)[5]
    if length > MAX_DIRECTORY or b"PK\x06\x07" in data[max(0, place - 20) : place]:
        raise zipfile.BadZipFile(f"a list of files of {length} bytes")


def _entry(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """One file of the archive, unpacked; its size is checked before, and no byte beyond is read."""
    info = archive.getinfo(f"{name}.npy")
    if info.file_size > limit:
        raise ValueError(f"{name} unpacks to {info.file_size} bytes, more than {limit}")
    with archive.open(info) as file:
        data = file.read(limit + 1)
    if len(data) != info.file_size:
        raise ValueError(f"{name} unpacks to {len(data)} bytes, not {info.file_size}")
    return data


def _case(values: dict[str, Any]) -> Case:
    case = Case(**values)
    for name in (case.name, case.profile):
        _text(name)
    if type(case.first_index) is not int or not 0 <= case.first_index < 1 << 32:
        raise ValueError(f"first_index {case.first_index!r}")
    if type(case.require_checked) is not bool or type(case.split_reward) is not bool:
        raise ValueError("modes that are not true or false")
    return case


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected a text, got {value!r}")
    return value
