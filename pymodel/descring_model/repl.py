# SPDX-License-Identifier: Apache-2.0
"""A prompt on a device: submit lines, ring the doorbell, poll, inspect registers and memory.

``python -m descring_model`` opens it on the golden device; :class:`Prompt` takes any.

The prompt is the host: it owns the tail of the command ring and the heads of the others, and keeps
from overwriting what is not completed. Everything else goes through the device's registers.
"""

from __future__ import annotations

import argparse
import cmd
import inspect
import sys
from collections.abc import Sequence
from typing import Protocol, TextIO

import numpy as np
import numpy.typing as npt

from descring_model import contract
from descring_model.compare import describe
from descring_model.completion import seal
from descring_model.device import GoldenDevice
from descring_model.lines import DESC_DTYPE, INDEX_MODULUS, Lines, as_lines, line_bytes
from descring_model.registers import ring_log2

_RINGS = ("CMD", "DONE", "REWARD")
_LINE = contract.DESC_BYTES
_GAP = contract.RING_SLOTS_OFFSET
_SETTLE_S = 0.05
_READY_WAITS = 100
_ENABLE = contract.register_bit("CTRL", "ENABLE")
_CTRL = {bits.name.lower().replace("_", "-"): bits.mask for bits in contract.REGISTER["CTRL"].bits}


class PromptDevice(Protocol):
    """What the prompt needs of a device."""

    @property
    def memory(self) -> npt.NDArray[np.uint8]:
        """The window that rings lie in."""

    def read32(self, offset: int) -> int:
        """Read a register."""

    def write32(self, offset: int, value: int) -> None:
        """Write a register."""

    def wait(self, timeout_s: float) -> None:
        """Let the device make progress."""


class CommandError(Exception):
    """A command that cannot be executed; its text is ``expected X, got Y``."""


def number(text: str, bits: int, name: str) -> int:
    """``text`` as an unsigned number of so many bits; :class:`CommandError` naming it if not."""
    try:
        value = int(text, 0)
    except ValueError:
        raise CommandError(f"{name} must be a number such as 12 or 0x0c, got {text!r}") from None
    if not 0 <= value < 1 << bits:
        raise CommandError(f"{name} must fit in {bits} bits, got {text}")
    return value


def window_bytes(log2: int) -> int:
    """Bytes of memory that the prompt's three rings of 2^log2 slots take."""
    return len(_RINGS) * (_GAP + (_LINE << log2))


class Prompt(cmd.Cmd):
    """The commands; each ``do_*`` docstring is what ``help`` prints."""

    prompt = "descring> "
    intro = "'help' lists the commands."
    doc_header = "Commands (help COMMAND for more):"

    def __init__(
        self, device: PromptDevice, log2: int, mode: int, *, stdin: TextIO, stdout: TextIO
    ):
        """Configure a device that was just opened, and enable it.

        Args:
            device: a memory window of :func:`window_bytes` bytes or more.
            log2: of the slots of each ring.
            mode: bits of CTRL to be set with ENABLE.
            stdin: source of commands.
            stdout: destination of results and errors.
        """
        super().__init__(stdin=stdin, stdout=stdout)
        # The command loop reads this stream, which may be a pipe, never the terminal behind it.
        self.use_rawinput = stdin is sys.stdin and stdin.isatty()
        if not self.use_rawinput:
            self.prompt, self.intro = "", ""
        self.failed = False
        self._log2 = log2
        self._mode = mode
        self._tail = 0
        self._size = _LINE << log2
        self.device = device
        self._configure()

    def onecmd(self, line: str) -> bool:
        """Do one command; an error is a message, and is remembered for the exit code."""
        try:
            return bool(super().onecmd(line))
        except CommandError as error:
            self.failed = True
            print(f"error: {error}", file=self.stdout)
            return False

    def emptyline(self) -> bool:
        """Nothing: a blank line must not repeat the last command."""
        return False

    def default(self, line: str) -> None:
        """Refuse an unknown command."""
        names = sorted(name[3:] for name in self.get_names() if name.startswith("do_"))
        raise CommandError(f"unknown command {line.split()[0]!r}; there are {', '.join(names)}")

    def get_names(self) -> list[str]:
        """The names that commands are found by; the end of the input is none that one types."""
        return [name for name in super().get_names() if name != "do_EOF"]

    def do_help(self, arg: str) -> None:
        """help [COMMAND]: list the commands, or explain one."""
        if not arg:
            super().do_help("")
        elif f"do_{arg}" in self.get_names():
            print(inspect.getdoc(getattr(self, f"do_{arg}")), file=self.stdout)
        else:
            self.default(arg)

    def do_submit(self, arg: str) -> None:
        """submit OPCODE [FIELD=VALUE ...] [checked] [xN]: write a line at the tail, unpublished.

        OPCODE is a name or a number; FIELD is a field of the descriptor. 'checked' seals the line
        for its index; x3 writes it three times.
        """
        words = arg.split()
        if not words:
            raise CommandError("expected an opcode, such as: submit decode max_tokens=40 checked")
        line = np.zeros(1, dtype=DESC_DTYPE)
        opcode = contract.OPCODE.get(words[0].upper())
        line["opcode"] = number(words[0], 16, "opcode") if opcode is None else opcode
        sealed, times = False, 1
        for word in words[1:]:
            name, equals, value = word.partition("=")
            if word == "checked":
                sealed = True
            elif word[0] == "x" and not equals:
                times = number(word[1:], 32, "xN")
            elif not equals or name not in contract.FIELD:
                raise CommandError(
                    f"expected FIELD=VALUE, 'checked' or xN, got {word!r}; "
                    f"fields are {', '.join(contract.FIELD)}"
                )
            else:
                line[name] = number(value, contract.FIELD[name].bits, name)
        room = (1 << self._log2) - (self._tail - self._read("CMD_HEAD")) % INDEX_MODULUS
        if times > room:
            raise CommandError(f"the command ring has room for {room} lines, got {times}; poll")
        for _ in range(times):
            placed = seal(line, self._tail, set_flag=True) if sealed else line
            self._slots("CMD")[self._slot(self._tail)] = placed[0]
            print(f"[{self._tail}] {describe(placed)}", file=self.stdout)
            self._tail = (self._tail + 1) % INDEX_MODULUS

    def do_ring(self, arg: str) -> None:
        """ring [TAIL]: write the doorbell, by default with the tail of what was submitted."""
        self._write("DOORBELL", number(arg, 32, "tail") if arg else self._tail)
        self.device.wait(_SETTLE_S)
        for name in ("CMD_HEAD", "CMD_TAIL", "DONE_TAIL", "REWARD_TAIL", "STATUS"):
            print(self._register(name), file=self.stdout)

    def do_poll(self, arg: str) -> None:
        """poll [done|reward]: take the completions of one ring, by default of both."""
        for ring in (self._ring(arg, _RINGS[1:]),) if arg else _RINGS[1:]:
            head, tail = self._read(f"{ring}_HEAD"), self._read(f"{ring}_TAIL")
            while head != tail:
                line = self._slots(ring)[self._slot(head)]
                print(f"{ring.lower()}[{head}] {describe(line)}", file=self.stdout)
                head = (head + 1) % INDEX_MODULUS
            self._write(f"{ring}_HEAD", head)

    def do_resume(self, arg: str) -> None:
        """resume: leave HALTED, as after a STOP."""
        self._nothing(arg)
        self._write("CTRL", self._read("CTRL") | _CTRL["resume"])
        self.device.wait(_SETTLE_S)
        print(self._register("STATUS"), file=self.stdout)

    def do_write(self, arg: str) -> None:
        """write REGISTER VALUE: write any register."""
        words = arg.split()
        if len(words) != 2:
            raise CommandError(f"expected REGISTER VALUE, got {arg!r}")
        name = self._register_name(words[0])
        self._write(name, number(words[1], 32, "value"))
        print(self._register(name), file=self.stdout)

    def do_regs(self, arg: str) -> None:
        """regs [REGISTER]: show one register, by default all."""
        names = [self._register_name(arg)] if arg else list(contract.REGISTER)
        for name in names:
            print(self._register(name), file=self.stdout)

    def do_dump(self, arg: str) -> None:
        """dump cmd|done|reward [INDEX]: show a ring's slots, or one of them, as bytes."""
        words = arg.split()
        if not 1 <= len(words) <= 2:
            raise CommandError(f"expected cmd, done or reward, and perhaps an index, got {arg!r}")
        ring = self._ring(words[0], _RINGS)
        slots = range(1 << self._log2)
        if len(words) == 2:
            slot = self._slot(number(words[1], 32, "index"))
            slots = range(slot, slot + 1)
        rows = line_bytes(self._slots(ring))
        for slot in slots:
            print(
                f"{ring.lower()} slot {slot}: {rows[slot].tobytes().hex(' ', 8)}", file=self.stdout
            )

    def do_reset(self, arg: str) -> None:
        """reset: CTRL.RESET, then the configuration of the start and ENABLE again."""
        self._nothing(arg)
        self._write("CTRL", _CTRL["reset"])
        ready = contract.register_bit("STATUS", "READY")
        for _ in range(_READY_WAITS):
            if self._read("STATUS") & ready:
                break
            self.device.wait(_SETTLE_S)
        else:
            raise CommandError("the device does not leave reset")
        self.device.memory[:] = 0
        self._configure()
        print(self._register("STATUS"), file=self.stdout)

    def do_quit(self, arg: str) -> bool:
        """quit: end."""
        self._nothing(arg)
        return True

    def do_EOF(self, arg: str) -> bool:
        """End, at the end of the input."""
        return True

    def _configure(self) -> None:
        self._tail = self._read("CMD_TAIL")
        for ring in _RINGS:
            self._write(f"{ring}_BASE_LO", self._base(ring))
        self._write("RING_LOG2", ring_log2(self._log2, self._log2, self._log2))
        self._write("CTRL", _ENABLE | self._mode)

    def _base(self, ring: str) -> int:
        """Byte of a ring's slot 0; head and tail of a ring in memory lie before it [RING-004]."""
        return _GAP + _RINGS.index(ring) * (_GAP + self._size)

    def _read(self, name: str) -> int:
        return self.device.read32(contract.REGISTER[name].offset)

    def _write(self, name: str, value: int) -> None:
        self.device.write32(contract.REGISTER[name].offset, value)

    def _register(self, name: str) -> str:
        value = self._read(name)
        register = contract.REGISTER[name]
        shown = []
        for bits in register.bits:
            field = (value & bits.mask) >> bits.lsb
            if field:
                shown.append(bits.name if bits.width == 1 else f"{bits.name}={field}")
        return f"0x{register.offset:02x} {name:<17} 0x{value:08x} {' '.join(shown)}".rstrip()

    def _register_name(self, text: str) -> str:
        if text.upper() not in contract.REGISTER:
            raise CommandError(
                f"unknown register {text!r}; there are {', '.join(contract.REGISTER)}"
            )
        return text.upper()

    def _ring(self, text: str, rings: Sequence[str]) -> str:
        if text.upper() not in rings:
            raise CommandError(f"expected one of {', '.join(rings).lower()}, got {text!r}")
        return text.upper()

    def _slot(self, index: int) -> int:
        return index % (1 << self._log2)

    def _slots(self, ring: str) -> Lines:
        start = self._base(ring)
        return as_lines(self.device.memory[start : start + self._size].reshape(-1, _LINE))

    def _nothing(self, arg: str) -> None:
        if arg:
            raise CommandError(f"expected nothing more, got {arg!r}")


def main(
    arguments: Sequence[str] | None = None,
    *,
    stdin: TextIO | None = None,
    stdout: TextIO | None = None,
) -> int:
    """Run the prompt.

    Args:
        arguments: command line without the program's name; by default the process's.
        stdin: source of commands; by default the process's.
        stdout: destination of results and errors; by default the process's.

    Returns:
        The exit code: 2 where the input is no terminal and a command failed, else 0.
    """
    parser = argparse.ArgumentParser(prog="python -m descring_model", description=__doc__)
    sizes = range(contract.RING_LOG2_MIN, contract.RING_LOG2_MAX + 1)
    parser.add_argument("--log2", type=int, choices=sizes, default=4, help="log2 of ring sizes")
    parser.add_argument("--first-index", type=int, default=0, help="value of all indices at start")
    for name in ("split-reward", "require-checked"):
        parser.add_argument(f"--{name}", action="store_true", help="set this bit of CTRL")
    options = parser.parse_args(arguments)
    if not 0 <= options.first_index < INDEX_MODULUS:
        parser.error(f"--first-index must be 0 to {INDEX_MODULUS - 1}, got {options.first_index}")
    mode = _CTRL["split-reward"] * options.split_reward
    mode |= _CTRL["require-checked"] * options.require_checked
    source = stdin or sys.stdin
    device = GoldenDevice(window_bytes(options.log2), first_index=options.first_index)
    prompt = Prompt(device, options.log2, mode, stdin=source, stdout=stdout or sys.stdout)
    try:
        prompt.cmdloop()
    except KeyboardInterrupt:
        print(file=prompt.stdout)
    return 2 if prompt.failed and not source.isatty() else 0
