# SPDX-License-Identifier: Apache-2.0
"""What a soak has done so far: a session with its seeds, and a journal of finished runs."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from descring_sim.support import journal
from descring_sim.support.errors import SimulationError
from descring_sim.support.files import write_files
from descring_sim.support.typed import check_types

VERSION = 1


@dataclass(frozen=True)
class Failure:
    """A case that failed with a seed; ``case`` is empty where the run ended without cases."""

    seed: int
    case: str
    text: str
    rerun: str
    log: str


@dataclass(frozen=True)
class Record:
    """Some seeds of one suite on one simulator, all of them run."""

    simulator: str
    suite: str
    digest: str
    seeds: tuple[int, ...]
    cases: int
    matched: int
    wall_s: float
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True)
class Session:
    """The seeds of a soak, and whether every suite has run with all of them."""

    first: int
    seeds: int
    finished: bool = False


class Journal:
    """The files of a soak below one folder.

    Raises:
        SimulationError: a file there is not one of ours, or of another version.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        what, advice = "a record of `make soak`", f"remove the folder {folder}"
        self._file = journal.Journal(folder / "journal.jsonl", what, advice)
        self._sessions = folder / "sessions.json"

    def session(self, name: str) -> Session | None:
        """Return the session called ``name``, None if there is none."""
        entry = self._read_sessions().get(name)
        try:
            return None if entry is None else check_types(Session(**entry))
        except TypeError as error:
            raise self._foreign(self._sessions, error) from error

    def keep_session(self, name: str, session: Session) -> None:
        """Write ``session``, in one step."""
        sessions = self._read_sessions() | {name: asdict(session)}
        self.folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"version": VERSION, "sessions": sessions}, indent=1)
        write_files({self._sessions: text})

    def _read_sessions(self) -> dict[str, Any]:
        if not self._sessions.is_file():
            return {}
        try:
            data = json.loads(self._sessions.read_text("utf-8"))
            if data["version"] != VERSION:
                raise ValueError(f"version {data['version']}, expected {VERSION}")
            sessions: dict[str, Any] = data["sessions"]
        except (ValueError, KeyError, TypeError) as error:
            raise self._foreign(self._sessions, error) from error
        return sessions

    def add(self, record: Record) -> None:
        """Append a record; a kill in the middle costs this record alone."""
        self._file.add(asdict(record))

    def records(self) -> list[Record]:
        """Return all records; a last line that a kill has cut is left out."""
        return self._file.read(_record)

    def forget(self, keep: Iterable[Record] = ()) -> None:
        """Leave only the records ``keep``."""
        self._file.replace(asdict(record) for record in keep)

    def _foreign(self, file: Path, error: Exception) -> SimulationError:
        with contextlib.suppress(ValueError):
            file = file.relative_to(Path.cwd())
        return SimulationError(
            f"expected a state of `make soak` in {file}, got something else ({error}); "
            f"remove the folder {file.parent}"
        )


def _record(data: dict[str, Any]) -> Record:
    failures = tuple(check_types(Failure(**failure)) for failure in data.pop("failures"))
    return check_types(Record(**data | {"seeds": tuple(data["seeds"]), "failures": failures}))
