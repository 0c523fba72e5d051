# SPDX-License-Identifier: Apache-2.0
"""What passes between the kit and its worker processes: JSON in frames, through two pipes.

The implementation lives in the worker and may write what it likes, also into these pipes. So
nothing that comes from there is executed, a reply has a deadline and a size as a whole, and one
that is not what was asked for is an error of the implementation.
"""

from __future__ import annotations

import json
import os
import select
import struct
import time
from dataclasses import asdict, dataclass, fields
from typing import Any

from descring_model import contract

from descring_sim.conform.capabilities import Capabilities
from descring_sim.conform.dut import Description
from descring_sim.conform.records import from_record, to_record
from descring_sim.conform.status import TestResult
from descring_sim.support.typed import check_types

FRAME_MAX = 32 << 20
"""Bytes of the longest message."""
_HEAD = struct.Struct("<4sI")
_MAGIC = b"DRC1"
_READ = 1 << 16


class MessageError(Exception):
    """This is no message; the text tells what it was."""


class TooLate(Exception):
    """No whole message arrived in time."""


@dataclass(frozen=True)
class Start:
    """The first request: the implementation, and the folder of its build.

    With ``identify`` a device is asked for the version of the contract by which it is judged.
    """

    dut: str
    folder: str
    identify: bool = False


@dataclass(frozen=True)
class Request:
    """Run one test, by that version of the contract.

    With ``sampled`` the implementation is tested as if it did not claim ``exhaustive``.
    """

    test: str
    seed: int
    timeout_s: float
    waves: bool
    contract_version: int = contract.VERSION
    sampled: bool = False


@dataclass(frozen=True)
class Refused:
    """The implementation cannot be found or built; ``unavailable``: not on this machine."""

    text: str
    unavailable: bool = False


Message = Start | Request | Refused | Description | TestResult
_PLAIN = {kind.__name__: kind for kind in (Start, Request, Refused)}


def _to_body(message: Message) -> dict[str, Any]:
    if isinstance(message, TestResult):
        return {"kind": "TestResult", "is": to_record(message)}
    values = asdict(message)
    if isinstance(message, Description):
        claims = values["capabilities"]
        for name, value in claims.items():
            claims[name] = sorted(value) if isinstance(value, frozenset) else value
    return {"kind": type(message).__name__, "is": values}


def _from_body(body: Any) -> Message:
    if not isinstance(body, dict) or set(body) != {"kind", "is"}:
        raise MessageError("a message without a kind")
    kind, values = body["kind"], body["is"]
    if not isinstance(values, dict) or not isinstance(kind, str):
        raise MessageError("a message without values")
    try:
        if kind == "TestResult":
            return from_record(values)
        if kind == "Description":
            return _description(values)
        if kind not in _PLAIN:
            raise MessageError(f"a message of the kind {kind[:40]!r}")
        message: Message = _PLAIN[kind](**values)
        check_types(message)
        return message
    except (TypeError, ValueError, KeyError, AttributeError, RecursionError) as error:
        raise MessageError(f"a message that does not hold what it should: {error}") from None


def _description(values: dict[str, Any]) -> Description:
    claims = dict(values["capabilities"])
    for field in fields(Capabilities):
        value = claims[field.name]
        if str(field.type).startswith("frozenset"):
            claims[field.name] = frozenset(value)
        elif isinstance(value, list):
            claims[field.name] = tuple(value)
    tools = tuple((str(name), str(version)) for name, version in values["tools"])
    found = Description(**{**values, "capabilities": Capabilities(**claims), "tools": tools})
    check_types(found)
    hash(found)
    return found


def send(file: int, message: Message) -> None:
    """Write ``message`` as a whole.

    Raises:
        OSError: the other end is gone.
    """
    body = json.dumps(_to_body(message)).encode()
    data = memoryview(_HEAD.pack(_MAGIC, len(body)) + body)
    while data:
        data = data[os.write(file, data) :]


def receive(file: int, timeout_s: float | None = None) -> Message:
    """Read the next message; ``timeout_s`` is for all of it.

    Raises:
        EOFError: the other end is gone, before a message or within one.
        TooLate: it did not arrive in time.
        MessageError: it is no message.
    """
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    magic, size = _HEAD.unpack(_read(file, _HEAD.size, deadline))
    if magic != _MAGIC or size > FRAME_MAX:
        raise MessageError("bytes that are no message")
    try:
        body = json.loads(_read(file, size, deadline))
    except (ValueError, RecursionError):
        raise MessageError("a message that is no JSON") from None
    return _from_body(body)


def _read(file: int, count: int, deadline: float | None) -> bytes:
    data = bytearray()
    while len(data) < count:
        if deadline is not None:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([file], [], [], left)[0]:
                raise TooLate
        part = os.read(file, min(count - len(data), _READ))
        if not part:
            raise EOFError
        data += part
    return bytes(data)
