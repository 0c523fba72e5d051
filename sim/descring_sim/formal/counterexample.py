# SPDX-License-Identifier: Apache-2.0
"""The descriptors of a counterexample, as a stream that every backend can replay.

A checker that takes lines calls the handshake ``accept`` and the line ``data_i`` or
``line_data_i`` (and has perhaps
``error_code_i`` and ``require_checked_i``). Every line that is accepted in the waveform becomes a
line of the stream. In a proof of a block the verdict on a line is an input of its own; in a whole
device it follows from the line, so tag and checksum are set such that the verdict is the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from descring_model import DESC_DTYPE, Lines, contract, seal
from vcd.reader import ScalarChange, TokenKind, VarDecl, VectorChange, tokenize

from descring_sim.replay.stream_file import outputs, save
from descring_sim.support import paths

ACCEPT, VERDICT, REQUIRED = "accept", "error_code_i", "require_checked_i"
DATA = ("data_i", "line_data_i")

_STEP = 10
"""Time units of a step in the waveforms of smtbmc."""


@dataclass(frozen=True)
class Stream:
    """Descriptors in the order in which they were accepted.

    Attributes:
        require_checked: the mode that the last of them was accepted in.
    """

    lines: Lines
    require_checked: bool


def read_waveform(path: Path) -> list[dict[str, int]]:
    """The values of the signals of the top module in each step of the waveform ``path``."""
    names: dict[str, str] = {}
    depth = 0
    now: dict[str, int] = {}
    steps: dict[int, dict[str, int]] = {}
    time = 0
    with path.open("rb") as file:
        for token in tokenize(file):
            match token.kind, token.data:
                case TokenKind.SCOPE, _:
                    depth += 1
                case TokenKind.UPSCOPE, _:
                    depth -= 1
                case TokenKind.VAR, VarDecl() as var if depth == 1:
                    names[var.id_code] = var.reference
                case TokenKind.CHANGE_TIME, int(at):
                    time = at
                case _, (ScalarChange() | VectorChange()) as change:
                    name = names.get(change.id_code)
                    if name is not None:
                        now[name] = _number(change.value)
                case _:
                    continue
            if time % _STEP == 0:
                steps[time // _STEP] = dict(now)
    return [steps[step] for step in sorted(steps)]


def _number(value: int | str) -> int:
    """Bits of the waveform as a number; what is undetermined counts as 0."""
    return value if isinstance(value, int) else int(re.sub("[^01]", "0", value), 2)


def _with_verdict(line: Lines, verdict: int, index: int, required: bool) -> Lines | None:
    """``line`` such that a device gives this verdict, None if no line of its opcode can have it."""
    checked = required or bool(line["flags"][0] & contract.FLAG["CHECKED"])
    codes = contract.ERROR_CODE
    known = int(line["opcode"][0]) in contract.OPCODE.values()
    if verdict == (codes["BAD_OPCODE"] if known else 0):
        return None
    if verdict in (0, codes["BAD_OPCODE"]):
        return seal(line, index, set_flag=True) if checked else line
    if verdict == codes["BAD_TAG"]:
        return seal(line, index + 1, set_flag=True)
    if verdict == codes["BAD_CHECKSUM"]:
        broken = seal(line, index, set_flag=True)
        broken["checksum_or_cookie"] ^= np.uint64(1 << 63)
        return broken
    return None


def _shorten(line: Lines) -> None:
    """Let a ROLLOUT end at most 256 tokens on, in place, with the score that it would have had.

    A proof tries every length, and no waveform is long enough to tell them apart; a replay of 2^32
    tokens would not end.
    """
    length, limit = int(line["seq_len"][0]), int(line["max_tokens"][0])
    if int(line["opcode"][0]) == contract.OPCODE["ROLLOUT"] and limit > length:
        line["max_tokens"] = length + (limit - length - 1) % 256 + 1


def stream_of(steps: list[dict[str, int]]) -> Stream | None:
    """The stream in the waveform, None if it has no lines or one that no device accepts so."""
    taken = [step for step in steps if step.get(ACCEPT) and step.get("rst_ni")]
    lines = []
    for index, step in enumerate(taken):
        value = next(step[name] for name in DATA if name in step)
        raw = value.to_bytes(contract.DESC_BYTES, "little")
        line = np.frombuffer(raw, DESC_DTYPE).copy()
        _shorten(line)
        if VERDICT in step:
            line_or_none = _with_verdict(line, step[VERDICT], index, bool(step.get(REQUIRED)))
            if line_or_none is None:
                return None
            line = line_or_none
        lines.append(line)
    if not lines:
        return None
    return Stream(np.concatenate(lines), bool(taken[-1].get(REQUIRED)))


def write(trace: Path, rtl: Path) -> tuple[Path, list[str]] | None:
    """Write the stream of the waveform ``trace`` of the sources ``rtl`` beside it, if it is one.

    Returns:
        The file, and the commands that replay it on the RTL and compare it with the golden model.
    """
    stream = stream_of(read_waveform(trace))
    if stream is None:
        return None
    file = trace.with_suffix(".npy")
    with outputs(file) as target:
        save(target, [stream.lines])
    mode = " --require-checked" if stream.require_checked else ""
    sources = "" if rtl == paths.rtl_dir() else f" --rtl {rtl}"
    command = ".venv/bin/descring"
    model, answers = file.with_suffix(".model.npy"), file.with_suffix(".rtl.npy")
    return file, [
        f"{command} replay {file}{mode} --backend model -o {model}",
        f"{command} replay {file}{mode} --backend icarus{sources} -o {answers}",
        f"{command} compare {model} {answers}",
    ]
