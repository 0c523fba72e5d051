# SPDX-License-Identifier: Apache-2.0
"""The prompt of ``descring shell``: the golden model's prompt, on any backend.

It adds what a device with a clock and waves can do, checks for scripts, and, at a terminal,
completion and a history that outlives the session.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any, TextIO

from descring_host import Device, HostError
from descring_model import contract
from descring_model.program import handle_signals
from descring_model.repl import CommandError, Prompt, number
from prompt_toolkit import PromptSession
from prompt_toolkit.completion import Completer, NestedCompleter, WordCompleter
from prompt_toolkit.history import FileHistory, History, InMemoryHistory

_WAIT_S = 10.0
_SLICE_S = 0.05
_HALTED = contract.register_bit("STATUS", "HALTED")


class Shell(Prompt):
    """Commands on an open device; each ``do_*`` docstring is what ``help`` prints."""

    def __init__(
        self, device: Device, backend: str, log2: int, mode: int, *, stdin: TextIO, stdout: TextIO
    ) -> None:
        """See :class:`descring_model.repl.Prompt`; ``backend`` is the device's name for people."""
        super().__init__(device, log2, mode, stdin=stdin, stdout=stdout)
        self._device: Any = device
        self.backend = backend
        self.mismatched = False
        if self.prompt:
            self.prompt = f"descring {backend}> "
            self.intro = (
                f"Backend {backend}. 'help' lists the commands, Tab completes, Ctrl-D ends."
            )

    def onecmd(self, line: str) -> bool:
        """Do one command; what the device reports is a message too, remembered as an error."""
        if line.lstrip().startswith("#"):
            return False
        try:
            return super().onecmd(line)
        except HostError as error:
            self.failed = True
            print(f"error: {error}", file=self.stdout)
            return False

    def do_wait(self, arg: str) -> None:
        """wait [SECONDS]: until every published line is completed or the device halts; 10 s."""
        try:
            limit = float(arg) if arg else _WAIT_S
        except ValueError:
            raise CommandError(f"expected a number of seconds, got {arg!r}") from None
        deadline = time.monotonic() + limit
        while self._read("CMD_HEAD") != self._read("CMD_TAIL"):
            if self._read("STATUS") & _HALTED:
                break
            if time.monotonic() > deadline:
                raise CommandError(
                    f"not every line was completed within {limit:g} s: "
                    f"{self._register('CMD_HEAD')}; {self._register('CMD_TAIL')}; "
                    "are the completion rings full? poll"
                )
            self.device.wait(_SLICE_S)
        for name in ("CMD_HEAD", "STATUS"):
            print(self._register(name), file=self.stdout)

    def do_step(self, arg: str) -> None:
        """step [CYCLES]: let clock cycles pass, by default one."""
        cycles = number(arg, 32, "cycles") if arg else 1
        self._able("step", "has no clock that can be stepped")(cycles)
        print(f"cycle {self._device.cycles}", file=self.stdout)

    def do_wave(self, arg: str) -> None:
        """wave FILE|off: record waves (FST) from now on, or end that."""
        if not arg:
            raise CommandError("expected a file, such as: wave waves.fst, or: wave off")
        record = self._able("record", "records no waves at the prompt")
        record(None if arg == "off" else Path(arg))
        print("waves off" if arg == "off" else f"waves {arg}", file=self.stdout)

    def do_expect(self, arg: str) -> None:
        """expect REGISTER VALUE: check a register; a script with a mismatch ends with code 1."""
        words = arg.split()
        if len(words) != 2:
            raise CommandError(f"expected REGISTER VALUE, got {arg!r}")
        name = self._register_name(words[0])
        wanted, got = number(words[1], 32, "value"), self._read(name)
        if wanted != got:
            self.mismatched = True
            print(f"mismatch: {name}: expected 0x{wanted:08x}, got 0x{got:08x}", file=self.stdout)

    def _able(self, method: str, why_not: str) -> Any:
        found = getattr(self._device, method, None)
        if found is None:
            raise CommandError(f"backend {self.backend} {why_not}")
        return found

    def completer(self) -> Completer:
        """What Tab offers."""
        registers = WordCompleter([*contract.REGISTER], ignore_case=True)
        fields = WordCompleter([f"{name}=" for name in contract.FIELD] + ["checked"])
        words: dict[str, Completer | dict[str, Completer] | None] = {
            name[3:]: None for name in self.get_names() if name.startswith("do_")
        }
        words |= dict.fromkeys(("regs", "write", "expect"), registers)
        words["submit"] = {name.lower(): fields for name in contract.OPCODE}
        words["poll"] = WordCompleter(["done", "reward"])
        words["dump"] = WordCompleter(["cmd", "done", "reward"])
        words["wave"] = WordCompleter(["off"])
        words["help"] = WordCompleter(sorted(words))
        return NestedCompleter.from_nested_dict(words)

    def run(self) -> int:
        """Read commands to the end of the input; the exit code: 2 error, 1 mismatch, 0 all well.

        At a terminal errors have been seen, and the code is 0.
        """
        if not self.use_rawinput:
            self.cmdloop()
            return 2 if self.failed else 1 if self.mismatched else 0
        self.interact(PromptSession(history=history()))
        return 0

    def interact(self, session: PromptSession[str]) -> None:
        """Talk through ``session`` until the user ends it."""
        print(self.intro, file=self.stdout)
        completer = self.completer()
        while True:
            try:
                line = session.prompt(self.prompt, completer=completer)
            except KeyboardInterrupt:
                handle_signals()
                continue
            except EOFError:
                return
            if self.onecmd(line):
                return


def history() -> History:
    """The history that sessions share; that of this session alone where no file can be kept."""
    try:
        state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
        file = state / "descring" / "shell-history"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.open("ab").close()
    except (OSError, RuntimeError):  # RuntimeError: a user without a home
        return InMemoryHistory()
    return FileHistory(str(file))


def standard_streams() -> dict[str, TextIO]:
    """Standard input and output, as the prompt takes them."""
    return {"stdin": sys.stdin, "stdout": sys.stdout}
