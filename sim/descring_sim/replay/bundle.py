# SPDX-License-Identifier: Apache-2.0
"""A recorded bundle: streams and what every backend made of them."""

from __future__ import annotations

import contextlib
import json
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from descring_model import Lines, as_lines, contract, streams

from descring_sim.replay.backend import ReplayOptions
from descring_sim.replay.registry import open_backend
from descring_sim.replay.stream_file import StreamError

RINGS = ("done", "reward")


NEAR_WRAP = 0xFFFFFF80


@dataclass(frozen=True)
class Case:
    """One stream and the modes it is replayed with."""

    name: str
    profile: str
    first_index: int = 0
    require_checked: bool = False
    split_reward: bool = False

    @property
    def options(self) -> ReplayOptions:
        """As a backend takes them."""
        return ReplayOptions(
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


def write_bundle(bundle: Path, arrays: dict[str, npt.NDArray[np.uint8]]) -> None:
    """Write a bundle whole or not at all; raises :class:`StreamError`."""
    partial = bundle.with_name(f".{bundle.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
        partial.replace(bundle)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise StreamError(f"{bundle}: cannot be written: {error.strerror}") from error


def read_bundle(bundle: Path) -> tuple[dict[str, Any], dict[str, npt.NDArray[np.uint8]]]:
    """Return the manifest of a bundle and its arrays, each ``(n, 64)`` uint8.

    Raises:
        StreamError: it cannot be read, is no bundle, or was recorded under another contract.
    """
    try:
        with np.load(bundle, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        manifest: dict[str, Any] = json.loads(arrays["manifest"].tobytes())
    except OSError as error:
        raise StreamError(f"{bundle}: cannot be read: {error.strerror or error}") from error
    except (KeyError, ValueError, zipfile.BadZipFile) as error:
        raise StreamError(
            f"{bundle}: expected a bundle as `descring record` writes it ({error}); record it again"
        ) from error
    if manifest["contract"] != contract.CONTRACT_HASH:
        raise StreamError(
            f"{bundle}: recorded under contract {manifest['contract']:08x}, this is "
            f"{contract.CONTRACT_HASH:08x}; record it again"
        )
    return manifest, arrays


def lines_of(bundle: Path, arrays: dict[str, npt.NDArray[np.uint8]], name: str) -> Lines:
    """Return the array ``name`` of ``bundle`` as lines; raises :class:`StreamError`."""
    try:
        return as_lines(arrays[name])
    except (KeyError, ValueError) as error:
        raise StreamError(f"{bundle}: {name} is missing or damaged ({error})") from error
