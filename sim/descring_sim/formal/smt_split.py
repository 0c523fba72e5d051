# SPDX-License-Identifier: Apache-2.0
"""The solver as SymbiYosys expects it: a program that reads SMT-LIB commands and prints results.

SymbiYosys asks in each step whether any property of the model can fail, as one query: is ``not (and
a b c ...)`` satisfiable? It is so iff ``not a``, ``not b`` or another is, so with the argument
``split`` (``smtbmc bitwuzla -S split`` in a .sby file) each is asked by itself. For a block of many
queues that takes a minute or two where the disjunction took more than seven; small blocks are
faster without.
"""

from __future__ import annotations

import ctypes
import re
import sys
from collections.abc import Iterable, Iterator

import bitwuzla

_QUOTED = re.compile(r"\|[^|]*\|")
_SYMBOL = r"\|[^|]*\|"
_ALL_OF = re.compile(rf"\(define-fun ({_SYMBOL}) \(\) Bool \(and ((?:{_SYMBOL}\s*)+)\)\)\s*$")
_ANY_FAILS = re.compile(rf"\(assert \(not (?:\(and )?({_SYMBOL})(?: true\))?\)\)\s*$")

_LEVELS = re.compile(r"\((push|pop) (\d+)\)\s*$")


SPLIT = "split"


def _options() -> bitwuzla.Options:
    options = bitwuzla.Options()
    options.set(bitwuzla.Option.PRODUCE_MODELS, True)
    return options


def commands(lines: Iterable[str]) -> Iterator[str]:
    """The SMT-LIB commands in ``lines``, each when its last parenthesis has come."""
    command, depth = "", 0
    for line in lines:
        if not command and line.lstrip().startswith(";"):
            continue
        bare = _QUOTED.sub("", line)
        command += line
        depth += bare.count("(") - bare.count(")")
        if depth == 0 and command.strip():
            yield command
            command = ""


class Solver:
    """Keep the assertions, and query a new solver each time.

    A new solver simplifies all assertions from the start; one reused with push and pop does not,
    and was observed to return "unsat" where a new one finds a model.
    """

    def __init__(self) -> None:
        # Of each level that was pushed, the commands.
        self._levels: list[list[str]] = [[]]
        self._parts: dict[str, list[str]] = {}
        self._goal: list[str] = []
        # The solver of the last result, for queries of its model.
        self._last: bitwuzla.Parser | None = None

    def run(self, command: str) -> None:
        """Execute one command; results go to the standard output."""
        if match := _LEVELS.match(command):
            for _ in range(int(match.group(2))):
                if match.group(1) == "push":
                    self._levels.append([])
                else:
                    self._levels.pop()
            self._goal = []
        elif command.startswith("(check-sat)"):
            self._check()
        elif command.startswith("(get-"):
            self._say(command)
        else:
            self._keep(command)

    def _keep(self, command: str) -> None:
        if match := _ALL_OF.match(command):
            self._parts[match.group(1)] = _QUOTED.findall(match.group(2))
        match = _ANY_FAILS.match(command)
        if match and match.group(1) in self._parts and not self._goal:
            self._goal = self._parts[match.group(1)]
        self._levels[-1].append(command)
        if command.startswith(("(define-", "(declare-")):
            if self._last is not None:
                self._last.parse(command, False, False)
        else:
            self._last = None

    def _check(self) -> None:
        """Print whether any part of the goal can fail; without a goal, check the assertions."""
        goal = [f"(assert (not {part}))" for part in self._goal] or [""]
        known = "".join(command for level in self._levels for command in level)
        for assertion in goal:
            self._last = bitwuzla.Parser(bitwuzla.TermManager(), _options(), "smt2")
            self._last.parse(known + assertion, True, False)
            answer = self._last.bitwuzla().check_sat()
            if answer != bitwuzla.Result.UNSAT:
                # Asked once more by command: only then does the parser speak of the model.
                self._say("(check-sat)")
                return
        print("unsat", flush=True)

    def _say(self, command: str) -> None:
        if self._last is None:
            raise SystemExit(f"nothing was checked before {command}")
        self._last.parse(command, False, False)
        # What the parser prints stays in the buffer of the C library.
        ctypes.CDLL(None).fflush(None)


def main() -> None:
    """Obey the commands of the standard input; with the argument SPLIT, goals one by one."""
    if SPLIT not in sys.argv[1:]:
        bitwuzla.Parser(bitwuzla.TermManager(), _options(), "smt2").parse("<stdin>")
        return
    solver = Solver()
    for command in commands(iter(sys.stdin.readline, "")):
        if command.startswith("(exit)"):
            return
        solver.run(command)


if __name__ == "__main__":
    main()
