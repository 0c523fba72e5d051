# SPDX-License-Identifier: Apache-2.0
"""``descring shell``: a session on any backend, by hand or from a script."""

from __future__ import annotations

import click
from descring_model import contract
from descring_model.repl import window_bytes

from descring_sim.support.click_options import INDEX

_MIN_MEMORY = 1 << 16


def _option(text: str) -> tuple[str, bool | int | float | str]:
    """``NAME=VALUE`` as a keyword argument: a number or a truth value where it looks like one."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise click.BadParameter(f"expected NAME=VALUE, got {text!r}", param_hint="--set")
    if value in ("true", "false"):
        return name, value == "true"
    for kind in (lambda word: int(word, 0), float):
        try:
            return name, kind(value)
        except ValueError:
            continue
    return name, value


@click.command()
@click.option("--backend", default="model", show_default=True, metavar="NAME")
@click.option(
    "--log2",
    type=click.IntRange(contract.RING_LOG2_MIN, contract.RING_LOG2_MAX),
    default=4,
    show_default=True,
    help="log2 of the slots of each ring.",
)
@click.option("--first-index", type=INDEX, default=0, show_default=True)
@click.option("--split-reward", is_flag=True, help="NEEDS_REWARD goes to the reward ring.")
@click.option("--require-checked", is_flag=True, help="Refuse lines without CHECKED.")
@click.option("--waves", is_flag=True, help="Open the device able to record; see: help wave.")
@click.option(
    "--set", "options", multiple=True, metavar="NAME=VALUE", help="An option of the backend."
)
def shell(
    backend: str,
    log2: int,
    first_index: int,
    split_reward: bool,
    require_checked: bool,
    waves: bool,
    options: tuple[str, ...],
) -> None:
    """Submit lines, ring the doorbell, poll, step and look, on any backend of open_device().

    Commands come from standard input, one a line; a line that starts with # is a comment. At a
    terminal Tab completes and the history is kept. A script ends with exit code 2 if a command
    failed, else 1 if an 'expect' did not hold, else 0.
    """
    # Imported late: the runtime refuses to be imported while its native core is stale.
    from descring_host import HostError, open_device

    from descring_sim.cli.prompt import Shell, standard_streams

    arguments = dict(_option(text) for text in options)
    arguments |= {"waves": True} if waves else {}
    arguments.setdefault("memory", max(_MIN_MEMORY, window_bytes(log2)))
    mode = contract.register_bit("CTRL", "SPLIT_REWARD") * split_reward
    mode |= contract.register_bit("CTRL", "REQUIRE_CHECKED") * require_checked
    try:
        device = open_device(backend, first_index=first_index, **arguments)
    except (HostError, ValueError) as error:
        raise click.ClickException(" ".join(str(error).split())) from error
    with device:
        session = Shell(device, backend, log2, mode, **standard_streams())
        code = session.run()
    if code:
        click.get_current_context().exit(code)
