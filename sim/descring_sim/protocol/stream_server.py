# SPDX-License-Identifier: Apache-2.0
"""What passes between this process and a simulation that runs one stream after another.

Both directions are lines of JSON, a text each: the folder of a job, and what went wrong with it,
which is nothing when it was carried out. Streams and completions are files in the folder.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import IO

JOB_VARIABLE = "DESCRING_STREAM_LINK"
"""Environment variable with a :class:`LinkJob` inside the simulator."""


@dataclass(frozen=True)
class LinkJob:
    """Paths of the pipes: of requests, to be read, and of replies, to be written."""

    requests: str
    replies: str

    def text(self) -> str:
        """What :meth:`parse` reads."""
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, text: str) -> LinkJob:
        """The job that gave ``text``."""
        return cls(**json.loads(text))


def send(file: IO[bytes], text: str) -> None:
    """Write one message."""
    file.write(json.dumps(text).encode() + b"\n")


def receive(file: IO[bytes]) -> str | None:
    """Wait for the next message; None once the other end is closed."""
    line = file.readline()
    if not line.endswith(b"\n"):
        return None
    text: str = json.loads(line)
    return text
