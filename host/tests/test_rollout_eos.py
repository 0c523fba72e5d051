# SPDX-License-Identifier: Apache-2.0
"""A rollout ends at its eos, and what is no completion is refused as ever."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from descring_host import open_device
from descring_model import Lines
from descring_model.rollouts.errors import RolloutError
from descring_model.rollouts.windows import DECODE, PREFILL
from descring_rollouts import Sampling, make_requests
from descring_rollouts.lane import WindowLane
from token_runs import GIVEN, NONE, alone, run

ENDS: dict[str, Callable[[int, int, int], bool]] = {
    "the first token": lambda place, prompt, most: place == prompt,
    "the last of a leg": lambda place, prompt, most: place % 32 == 31 and place < most - 1,
    "the first of a leg": lambda place, prompt, most: place % 32 == 0 and place > prompt,
    "the last token": lambda place, prompt, most: place == most - 1,
    "elsewhere": lambda place, prompt, most: place % 32 not in (0, 31) and prompt < place < most,
}
ENDLESS = make_requests(GIVEN, samples=2, new_tokens=34)
HOT = Sampling(seed=77, temperature=8.0)
MADE = alone(ENDLESS, GIVEN, HOT)[0]


@pytest.mark.parametrize("where", ENDS)
def test_a_rollout_ends_at_its_eos(where: str) -> None:
    """[REC-007] Its trajectory ends with the token, wherever that is, with the line that made it.

    The eos is a token of one rollout, and all the others end where they make it, if they do.
    """
    given = ENDLESS["prompt_tokens"].tolist()
    new = [row[prompt:] for row, prompt in zip(MADE, given, strict=True)]
    eos = next(
        token
        for made, prompt in zip(new, given, strict=True)
        for place, token in enumerate(made)
        if made.index(token) == place and ENDS[where](prompt + place, prompt, prompt + len(made))
    )
    cut = [made[: made.index(eos) + 1] if eos in made else made for made in new]
    with open_device("model") as device:
        sampling = replace(HOT, eos=eos)
        found = run(device, ENDLESS, GIVEN, kv_blocks=64, sampling=sampling).trajectories
    assert found.tokens is not None
    rows = zip(found.tokens.tolist(), cut, given, strict=True)
    for place, (row, made, prompt) in enumerate(rows):
        assert row[prompt : prompt + len(made) + 1] in (made, [*made, NONE])
        assert found.length[place] == prompt + len(made)
        assert found.legs[place] == (prompt + len(made) + 31) // 32 - prompt // 32


@pytest.mark.parametrize(
    ("opcode", "member", "value"),
    [
        (DECODE, "seq_len", 50),
        (DECODE, "seq_len", 0),
        (DECODE, "seq_len", 1 << 31),
        (DECODE, "flags", 0),
        (DECODE, "rollout_id", 7),
        (PREFILL, "seq_len", 1 << 31),
        (PREFILL, "opcode", 9),
    ],
)
def test_what_cannot_be_a_completion_is_left_to_the_core(
    opcode: int, member: str, value: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """[REC-007] [WIN-005] The core names it, though the first token that is made is the eos."""
    eos = MADE[0][len(GIVEN[0])]
    take = WindowLane.take

    def damaged(self: WindowLane) -> Lines:
        lines = take(self)
        lines[member][lines["opcode"] == opcode] = value
        return lines

    monkeypatch.setattr(WindowLane, "take", damaged)
    asked = make_requests(GIVEN[:1], samples=1, new_tokens=60)
    with open_device("model") as device, pytest.raises(RolloutError, match="BAD_COMPLETION"):
        run(device, asked, GIVEN, sampling=replace(HOT, eos=eos))
