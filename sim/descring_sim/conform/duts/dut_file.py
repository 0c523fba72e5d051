# SPDX-License-Identifier: Apache-2.0
"""A foreign implementation described by a ``.toml`` file: who, what kind, and what it claims."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from descring_model import contract

from descring_sim.conform.capabilities import Capabilities
from descring_sim.conform.dut import Description
from descring_sim.conform.errors import ConformError, DutError
from descring_sim.support import paths, processes
from descring_sim.support.build_cache import locked
from descring_sim.support.files import FileError, read_text

BUILD_TIMEOUT_S = 600.0
BUILD_RUN_VARIABLE = "DESCRING_CONFORM_RUN"
"""Environment variable that names the run of the kit, in which a file is built once."""
_ERROR_LINE = re.compile(r"\berror\b|undefined reference|no such file", re.IGNORECASE)
MAX_BYTES = 1 << 20
"""Of a description; a file that is longer is none."""

KINDS = ("library", "command", "core", "axi-device")
"""What ``dut.kind`` can be; the table of that name has the rest."""
_FAST_KINDS = ("library", "command")
"""Kinds for which ``capabilities.exhaustive`` is true unless the file has another value."""
OLD_KINDS = {"rtl": "core", "shell": "axi-device"}
"""Names of kinds up to 0.1, with those of today; both are accepted."""


@dataclass(frozen=True)
class DutFile:
    """The parsed file: the table of its kind, and what all kinds have."""

    path: Path
    kind: str
    table: Mapping[str, Any]
    description: Description

    @property
    def folder(self) -> Path:
        """What relative paths in the file are relative to."""
        return self.path.parent

    def complain(self, key: str, expected: str, result: object) -> ConformError:
        """The error of a wrong value."""
        return ConformError(f"{self.path}: {self.kind}.{key}: expected {expected}, got {result!r}")

    def text(self, key: str, default: str | None = None) -> str:
        """A text of the kind's table."""
        value = self.table.get(key, default)
        if not isinstance(value, str) or not value or "\0" in value:
            raise self.complain(key, "a text", value)
        return value

    def words(self, key: str) -> list[str]:
        """A list of texts of the kind's table; empty if it is not there."""
        return words(self.table.get(key, []), f"{self.path}: {self.kind}.{key}")

    def only_keys(self, *known: str) -> None:
        """Refuse a key that means nothing."""
        unknown = sorted(set(self.table) - set(known))
        if unknown:
            raise ConformError(
                f"{self.path}: [{self.kind}] has no {unknown[0]!r}; it has {', '.join(known)}"
            )

    def run_build(self, folder: Path) -> None:
        """Run the command ``build``, if there is one, in the file's folder: once a run of the kit.

        While it runs, nothing that it makes is in use by another run: see :meth:`built`.

        Raises:
            DutError: it fails, or does not end.
        """
        command = self.words("build")
        if not command:
            return
        run = os.environ.get(BUILD_RUN_VARIABLE)
        stamp = folder / "built"
        folder.mkdir(parents=True, exist_ok=True)
        with self._lock(fcntl.LOCK_EX):
            if run is not None and stamp.is_file() and stamp.read_text(encoding="utf-8") == run:
                return
            try:
                code, said = processes.capture(
                    command,
                    timeout_s=BUILD_TIMEOUT_S,
                    cwd=self.folder,
                    env=os.environ | {"DESCRING_INCLUDE": str(self._include(folder))},
                )
            except OSError as error:
                raise DutError(f"{self.path}: {self.kind}.build: {error}") from error
            if code is None:
                raise DutError(
                    f"{self.path}: {self.kind}.build did not end in {BUILD_TIMEOUT_S:g} s"
                )
            if code:
                raise DutError(f"{self.path}: {self.kind}.build ended with {code}: {_shown(said)}")
            stamp.write_text(run or "", encoding="utf-8")

    def _include(self, folder: Path) -> Path:
        """The folder of C headers that are of the version of the contract that is claimed."""
        version, headers = self.description.capabilities.contract_version, paths.include_dir()
        if version == contract.VERSION:
            return headers
        place = folder / f"include-{version}"
        place.mkdir(exist_ok=True)
        for header in headers.glob("*.h"):
            text = f'#define DESCRING_CONTRACT_VERSION {version}\n#include "{header}"\n'
            (place / header.name).write_text(text, "utf-8", "surrogateescape")
        return place

    @contextlib.contextmanager
    def built(self) -> Iterator[None]:
        """Use what was built: no build of it begins before the body has ended."""
        if not self.words("build"):
            yield
            return
        with self._lock(fcntl.LOCK_SH):
            yield

    @contextlib.contextmanager
    def _lock(self, how: int) -> Iterator[None]:
        name = hashlib.sha256(str(self.path).encode(errors="surrogateescape")).hexdigest()[:16]
        place = paths.build_dir() / "conform" / "locks"
        place.mkdir(parents=True, exist_ok=True)
        with (place / name).open("w") as lock:
            # The gate lets a build in where others use what was built without a pause.
            with locked(place / f"{name}.gate"):
                fcntl.flock(lock, how)
                if how == fcntl.LOCK_EX:
                    yield
                    return
            yield


def _shown(said: str) -> str:
    """The first error of a build's output, and its last lines."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    first = next((line for line in lines if _ERROR_LINE.search(line)), None)
    last = lines[-6:]
    if first is not None and first not in last:
        last = [first, "...", *last]
    return " | ".join(last) or "without a message"


def words(value: Any, where: str) -> list[str]:
    """``value`` as a list of texts; :class:`ConformError` naming ``where`` if it is none."""
    if not isinstance(value, list) or not all(
        isinstance(item, str) and "\0" not in item for item in value
    ):
        raise ConformError(f"{where}: expected a list of texts, got {value!r}")
    return value


def read_file(path: Path) -> DutFile:
    """Read ``path``.

    Raises:
        ConformError: it is missing, is no TOML, or lacks or has what it should not.
    """
    try:
        data = tomllib.loads(read_text(path, MAX_BYTES))
    except FileError as error:
        raise ConformError(str(error)) from error
    except (ValueError, RecursionError) as error:
        raise ConformError(f"{path}: this is no TOML: {error}") from error
    dut = data.get("dut")
    if not isinstance(dut, dict):
        raise ConformError(f"{path}: expected a table [dut] with name, version and kind")
    kind = _renamed(data, dut.get("kind"))
    if kind not in KINDS:
        raise ConformError(f"{path}: dut.kind: expected one of {', '.join(KINDS)}, got {kind!r}")
    unknown = sorted(set(data) - {"dut", "capabilities", kind})
    if unknown:
        raise ConformError(f"{path}: a file of kind {kind} has no table [{unknown[0]}]")
    for key in sorted(set(dut) - {"name", "version", "kind", "settle_s"}):
        raise ConformError(f"{path}: [dut] has no {key!r}; it has name, version, kind, settle_s")
    for key in ("name", "version"):
        if not isinstance(dut.get(key), str) or not dut[key]:
            raise ConformError(f"{path}: dut.{key}: expected a text, got {dut.get(key)!r}")
    settle = dut.get("settle_s", 2.0)
    if not isinstance(settle, int | float) or not 0 <= settle <= 600:
        raise ConformError(f"{path}: dut.settle_s: expected seconds, 0 to 600, got {settle!r}")
    claims = data.get("capabilities", {})
    if not isinstance(claims, dict):
        raise ConformError(f"{path}: expected a table [capabilities], got {claims!r}")
    capabilities = Capabilities.parse(_usual(kind, data.get(kind)) | claims, str(path))
    table = data.get(kind)
    if not isinstance(table, dict):
        raise ConformError(f"{path}: expected a table [{kind}], as named by dut.kind")
    description = Description(
        dut["name"], dut["version"], kind, capabilities, str(path), float(settle)
    )
    return DutFile(path.resolve(), kind, table, description)


def _usual(kind: object, table: object) -> dict[str, Any]:
    """What an implementation of this kind claims unless its file has another value."""
    ports = table.get("ports", {}) if isinstance(table, dict) else {}
    at_ports = [name for name in ("enable", "halted") if kind == "core" and name in ports]
    registers = table.get("registers", {}) if isinstance(table, dict) else {}
    absent = registers.get("absent", []) if isinstance(registers, dict) else []
    strobes = kind == "axi-device" and isinstance(absent, list) and "wstrb" not in absent
    return {
        "exhaustive": kind in _FAST_KINDS,
        "byte_writes": strobes,
        **dict.fromkeys(at_ports, True),
    }


def _renamed(data: dict[str, Any], kind: object) -> object:
    """The name of today for ``kind``; its table in ``data`` gets it too."""
    new = OLD_KINDS.get(kind) if isinstance(kind, str) else None
    if new is None:
        return kind
    if kind in data and new not in data:
        data[new] = data.pop(kind)
    return new


def notice(path: Path) -> str | None:
    """A line about an old name in the file at ``path``; None if there is none, or no such file."""
    try:
        kind = tomllib.loads(read_text(path, MAX_BYTES))["dut"]["kind"]
        new = OLD_KINDS[kind]
    except (FileError, tomllib.TOMLDecodeError, RecursionError, LookupError, TypeError):
        # Whatever is wrong with the file, read_file() reports it.
        return None
    return (
        f'{path}: dut.kind = "{kind}" is now "{new}", and [{kind}] is [{new}]; the old names still '
        "work, rename them when you can"
    )
