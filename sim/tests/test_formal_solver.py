# SPDX-License-Identifier: Apache-2.0
"""The solver gives the same results whether it takes properties together or one by one."""

from __future__ import annotations

import subprocess
import sys

import pytest
from descring_sim.formal import smt_split

MODEL = """\
(set-option :produce-models true)
(set-logic QF_ABV)
(declare-fun |x (1)| () (_ BitVec 8))
(define-fun |same| () Bool
  (= |x (1)| |x (1)|))
(define-fun |small| () Bool (bvult |x (1)| #x80))
(define-fun |odd| () Bool (= ((_ extract 0 0) |x (1)|) #b1))
(define-fun |all| () Bool (and |same| |small| |odd|))
(check-sat)
(push 1)
(assert (not (and |all| true)))
(check-sat)
(pop 1)
(assert |small|)
(push 1)
(assert (not (and |all| true)))
(check-sat)
(get-value (|same| |small| |odd|))
(pop 1)
(assert |odd|)
(push 1)
(assert (not |all|))
(check-sat)
(pop 1)
(declare-fun |y| () Bool)
(assert |y|)
(check-sat)
(exit)
"""


@pytest.mark.parametrize("arguments", [[], [smt_split.SPLIT]], ids=["together", "split"])
def test_answers_are_the_same(arguments: list[str]) -> None:
    """The one property that can fail is found behind others that cannot, level by level."""
    run = subprocess.run(
        [sys.executable, smt_split.__file__, *arguments],
        input=MODEL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert run.stderr == ""
    answers = run.stdout.split("\n", 3)
    assert answers[:3] == ["sat", "sat", "sat"]
    values = "".join(answers[3].split())
    assert values == "((|same|true)(|small|true)(|odd|false))unsatsat"
