# SPDX-License-Identifier: Apache-2.0
"""The prompt, from a script."""

import io
import subprocess
import sys

import pytest
from descring_model import complete, contract, describe, repl
from model_support import checked, lines_of
from scalar_reference import Desc


def run(*commands: str, arguments: tuple[str, ...] = ()) -> tuple[int, list[str]]:
    """Exit code and printed lines of a piped script."""
    output = io.StringIO()
    script = io.StringIO("\n".join(commands) + "\n")
    code = repl.main(arguments, stdin=script, stdout=output)
    return code, output.getvalue().splitlines()


def test_line_is_submitted_published_and_polled() -> None:
    """[DB-001] Nothing runs before the doorbell; then the completion is complete()'s."""
    line = lines_of(Desc(rollout_id=9, seq_len=3, max_tokens=40, user_data=0xFF))
    submit = "submit decode rollout_id=9 seq_len=3 max_tokens=40 user_data=0xff"
    code, printed = run(submit, "poll", "ring", "poll", "poll")
    assert code == 0
    assert printed[0] == f"[0] {describe(line)}"
    assert printed[1].startswith("0x14 CMD_HEAD"), "the first poll found nothing"
    assert [text for text in printed if text.startswith("done[")] == [
        f"done[0] {describe(complete(line))}"
    ]


def test_checked_lines_are_sealed_for_their_indices() -> None:
    """[DESC-022] Three times, each for its own index, through 2^32."""
    first = (1 << 32) - 2
    code, printed = run(
        "submit nop checked x3", "ring", "poll done", arguments=("--first-index", str(first))
    )
    assert code == 0
    lines = lines_of(*[checked(Desc(opcode=0), first + n) for n in range(3)])
    expected = complete(lines, first_index=first)
    indices = (first, first + 1, 0)
    assert printed[:3] == [
        f"[{index}] {describe(line)}" for index, line in zip(indices, lines, strict=True)
    ]
    assert printed[-3:] == [
        f"done[{index}] {describe(line)}" for index, line in zip(indices, expected, strict=True)
    ]


def test_stop_is_resumed() -> None:
    """[LIFE-003] HALTED shows by name, and is left by 'resume'."""
    code, printed = run("submit stop", "submit nop user_data=5", "ring", "resume", "poll")
    assert code == 0
    status = [text for text in printed if "STATUS" in text]
    assert "HALTED" in status[0]
    assert "RUNNING" in status[1]
    assert "STOPPED" in printed[-2]
    assert "user=0x5" in printed[-1]


def test_split_rings_are_polled_apart() -> None:
    """[RING-008] The mode is set from the command line."""
    script = ("submit decode max_tokens=64", "submit decode max_tokens=1", "ring")
    _, printed = run(*script, "poll reward", arguments=("--split-reward",))
    assert printed[-1].startswith("reward[0]")
    assert "NEEDS_REWARD" in printed[-1]
    _, printed = run(*script, "poll done", arguments=("--split-reward",))
    assert printed[-1].startswith("done[0]")


def test_required_checks_refuse_a_plain_line() -> None:
    """[DESC-025] The mode is set from the command line."""
    _, printed = run("submit nop", "ring", "poll", arguments=("--require-checked",))
    assert "BAD_CHECKSUM" in printed[-1]


def test_registers_are_shown_and_written() -> None:
    """All of them by default, by name in any case."""
    _, printed = run("regs")
    assert len(printed) == len(contract.REGISTERS)
    assert printed[0] == "0x00 ID                0x474e5244"
    _, printed = run("write irq_mask 5", "regs ring_log2")
    assert printed == [
        "0x4c IRQ_MASK          0x00000005 COMPLETION ERROR",
        "0x2c RING_LOG2         0x00040404 CMD=4 DONE=4 REWARD=4",
    ]


def test_slots_are_dumped_as_bytes() -> None:
    """[DESC-015] [RING-001] One slot by its index, or the ring."""
    _, printed = run("submit 0x1234 seq_len=0x01020304", "dump cmd 16", "dump done")
    assert printed[1].startswith("cmd slot 0: 3412000000000000 ")
    assert "04030201" in printed[1]
    assert len(printed) == 2 + 16


def test_reset_begins_again() -> None:
    """[LIFE-004] Indices, memory, and the prompt's own tail."""
    code, printed = run("submit nop", "ring", "reset", "dump cmd 0", "submit nop", "ring", "poll")
    assert code == 0
    assert "RUNNING" in printed[6]
    assert set(printed[7].split(":")[1]) == {"0", " "}
    assert printed[8].startswith("[0]")
    assert printed[-1].startswith("done[0]")


def test_full_ring_takes_no_more_lines() -> None:
    """[RING-005] Nothing is overwritten, and nothing of the command is done."""
    code, printed = run("submit nop x2", "submit nop", "ring", arguments=("--log2", "1"))
    assert code == 2
    assert printed[2] == "error: the command ring has room for 0 lines, got 1; poll"
    assert "CMD_HEAD          0x00000002" in printed[3]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("bogus 1", "unknown command 'bogus'; there are dump, help, poll, quit, regs"),
        ("submit", "expected an opcode"),
        ("submit decod", "opcode must be a number such as 12 or 0x0c, got 'decod'"),
        ("submit 65536", "opcode must fit in 16 bits, got 65536"),
        ("submit nop seqlen=1", "expected FIELD=VALUE, 'checked' or xN, got 'seqlen=1'"),
        ("submit nop seq_len=-1", "seq_len must fit in 32 bits, got -1"),
        ("submit nop what", "expected FIELD=VALUE"),
        ("ring x", "tail must be a number"),
        ("poll cmd", "expected one of done, reward, got 'cmd'"),
        ("regs nope", "unknown register 'nope'; there are ID"),
        ("write ctrl", "expected REGISTER VALUE, got 'ctrl'"),
        ("write ctrl 0x100000000", "value must fit in 32 bits"),
        ("dump", "expected cmd, done or reward"),
        ("dump all", "expected one of cmd, done, reward, got 'all'"),
        ("help bogus", "unknown command 'bogus'"),
        ("reset now", "expected nothing more, got 'now'"),
    ],
)
def test_bad_command_is_a_message_and_a_failed_script(command: str, message: str) -> None:
    """Expected and actual are printed; the commands after it are executed."""
    code, printed = run(command, "", "submit nop")
    assert code == 2
    assert printed[0].startswith(f"error: {message}")
    assert printed[1].startswith("[0] NOP")


def test_failed_command_at_a_terminal_is_no_failure() -> None:
    """A person sees the message and continues."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    output = io.StringIO()
    assert repl.main([], stdin=Terminal("bogus\nquit\n"), stdout=output) == 0
    assert "error: unknown command" in output.getvalue()


@pytest.mark.parametrize(("script", "code"), [([], 0), (["bogus"], 2)])
def test_interrupt_ends_the_prompt(script: list[str], code: int) -> None:
    """The line that a terminal has ^C on is ended; the exit code is that of the commands so far."""

    class Interrupted(io.StringIO):
        def readline(self, size: int = -1, /) -> str:  # type: ignore[override]
            line = super().readline(size)
            if not line:
                raise KeyboardInterrupt
            return line

    output = io.StringIO()
    lines = "".join(f"{line}\n" for line in [*script, "submit nop"])
    try:
        assert repl.main([], stdin=Interrupted(lines), stdout=output) == code
    except KeyboardInterrupt:
        pytest.fail("the interrupt leaves the prompt as an exception")
    printed = output.getvalue().splitlines()
    assert printed[-2].startswith("[0] NOP")
    assert printed[-1] == ""


def test_help_lists_and_explains() -> None:
    """Every command, and what one of them takes."""
    code, printed = run("help", "help submit", "quit", "bogus")
    assert code == 0, "nothing is read after quit"
    text = "\n".join(printed)
    for name in ("submit", "ring", "poll", "regs", "dump", "reset", "help", "quit", "resume"):
        assert name in text
    assert "FIELD=VALUE" in text


@pytest.mark.parametrize("arguments", [("--log2", "17"), ("--first-index", "-1"), ("--what",)])
def test_bad_arguments_end_the_program(arguments: tuple[str, ...]) -> None:
    """With the exit code for a usage error."""
    with pytest.raises(SystemExit) as error:
        run(arguments=arguments)
    assert error.value.code == 2


@pytest.mark.parametrize(("script", "code"), [("submit nop\nring\npoll\n", 0), ("bogus\n", 2)])
def test_module_runs_from_a_pipe(script: str, code: int) -> None:
    """As a program, with its exit code."""
    done = subprocess.run(
        [sys.executable, "-m", "descring_model"],
        input=script,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (code, "")
    assert ("done[0] NOP" in done.stdout) == (code == 0)
    assert "descring>" not in done.stdout
