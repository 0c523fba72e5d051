# SPDX-License-Identifier: Apache-2.0
"""``descring rollouts``: rollouts on any backend, in logical time."""

from __future__ import annotations

import secrets
import shlex
import time
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

import click
import numpy as np
from descring_model.engine.contract import VOCABULARY, VOCABULARY_MAX
from descring_model.engine.interface import EngineError
from descring_model.rollouts import contract

from descring_sim.cli.rollout_devices import (
    Places,
    Resident,
    device_logs,
    named_devices,
    open_places,
)
from descring_sim.support.errors import SimulationError
from descring_sim.support.files import outputs, write_files
from descring_sim.support.progress import progress_bar

_SAMPLING = ("vocabulary", "temperature", "top_k", "top_p", "eos")
"""Options that need an engine."""

_SHOWN = 16
"""Tokens of a rollout that the terminal shows."""

_LIMITS = {
    "slots": "rollouts at once",
    "kv_blocks": "blocks of 32 tokens in the arena",
    "decode_credits": "most admitted at once",
    "reward_credits": "most being scored at once",
    "trajectory_credits": "most waiting for delivery at once",
    "window": "most lines of a window",
    "depth": "ticks from a window to its completions",
    "ring_slots": "slots of the command ring",
    "overtake": "how often a rollout may be overtaken",
    "seats": "trajectories of a training step",
    "staleness": "most steps between admission and training",
}

_NOBODY = click.Context(click.Command("rollouts"))
_Command = TypeVar("_Command", bound=Callable[..., Any])


class Span(click.ParamType[tuple[int, int]]):
    """``N``, or ``LOW:HIGH``, both included."""

    name = "span"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """The two ends."""
        if isinstance(value, tuple):
            return value
        low, colon, high = str(value).partition(":")
        try:
            ends = int(low), int(high if colon else low)
        except ValueError:
            self.fail(f"expected N or LOW:HIGH, got {value!r}", param, ctx)
        if not 0 <= ends[0] <= ends[1] < 1 << 31:
            self.fail(f"expected 0 <= LOW <= HIGH < 2^31, got {value!r}", param, ctx)
        return ends


def _limits(command: _Command) -> _Command:
    """An option for each limit of the configuration."""
    for name, text in reversed(_LIMITS.items()):
        option = f"--{name.replace('_', '-')}"
        command = click.option(option, type=click.IntRange(0), metavar="N", help=f"{text}.")(
            command
        )
    return command


def _file(option: str, text: str) -> Callable[[_Command], _Command]:
    """An option that names an output file."""
    return click.option(option, type=click.Path(path_type=Path), metavar="FILE", help=text)


@click.command()
@click.option("--backend", default="model", show_default=True, metavar="NAME")
@click.option(
    "--devices",
    metavar="NAME,NAME,...",
    help="Several devices in place of --backend, as cpu,cpu,model; the outcome is the same.",
)
@click.option(
    "--ray",
    metavar="ADDRESS",
    help="Run each device on the Ray cluster at ADDRESS; local starts one on this machine.",
)
@click.option("--prompts", type=click.IntRange(1), default=16, show_default=True)
@click.option("--samples", type=click.IntRange(1), default=4, show_default=True, help="A prompt.")
@click.option(
    "--prompt-tokens", type=Span(), default="1:128", show_default=True, metavar="N|LOW:HIGH"
)
@click.option("--new-tokens", type=Span(), default="1:256", show_default=True, metavar="N|LOW:HIGH")
@click.option("--seed", type=click.IntRange(0), help="Of the lengths; drawn when left out.")
@click.option(
    "--policy",
    type=click.Choice([name for name in contract.POLICY if name != "CUSTOM"]),
    default="FIFO",
    show_default=True,
)
@click.option(
    "--scorer",
    type=click.IntRange(0, 2),
    default=0,
    show_default=True,
    help="0 the device, 1 the token rule, 2 its advantage in the group.",
)
@click.option("--boundary-rewards", is_flag=True, help="Score at every 32 tokens too.")
@click.option("--no-share", is_flag=True, help="Each rollout has a copy of its prompt.")
@click.option("--checked", is_flag=True, help="CHECKED lines, which the device requires.")
@click.option(
    "--core",
    type=click.Choice(["native", "model"]),
    default="native",
    show_default=True,
    help="Which state machine runs.",
)
@click.option(
    "--engine",
    metavar="NAME",
    help="Make real tokens: model, native, or one that a package declares.",
)
@click.option(
    "--resident",
    is_flag=True,
    help="The GPU makes the tokens from ring to ring: with --backend cuda --engine cuda.",
)
@click.option(
    "--arena",
    type=click.IntRange(1),
    default=1024,
    show_default=True,
    metavar="MIB",
    help="Memory of --resident for records, prompts, keys and values.",
)
@click.option(
    "--vocabulary",
    type=click.IntRange(1, VOCABULARY_MAX),
    metavar="N",
    help=f"Tokens that there are; default {VOCABULARY}.",
)
@click.option("--temperature", type=float, help="0 takes the likeliest; default 1.")
@click.option("--top-k", type=click.IntRange(0), metavar="N", help="Draw from the N likeliest.")
@click.option("--top-p", type=float, help="Draw from the likeliest with this share; default 1.")
@click.option("--eos", type=click.IntRange(0), metavar="TOKEN", help="Token that ends a rollout.")
@_limits
@click.option(
    "--metrics",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="Serve OpenMetrics at 127.0.0.1:PORT during the run; 0 picks a port.",
)
@_file("--log", "Write the event log.")
@_file("--npz", "Write the trajectories as arrays.")
@_file("--json", "Write the trajectories as JSON lines.")
@_file("--device-logs", "Write the event log of each of several devices into this folder.")
@_file("--report", "Write a report: a page where FILE ends in .html, else the numbers as Markdown.")
@_file("--trace", "Write when everything happened, as a Perfetto file (native core).")
def rollouts(backend: str, devices: str | None, ray: str | None, **options: Any) -> None:
    """Run rollouts on a backend of open_device() and print what they did.

    The outcome depends on the options alone: the event log has the same bytes on every backend,
    and with --engine the tokens are the same with every engine. They are in --npz and --json.
    With --devices each device runs some of the groups, and the bytes are still the same; what a
    device that is lost was running is run again on the others.
    """
    # Imported late: the runtime refuses to be imported while its native core is stale.
    from descring_host import HostError
    from descring_rollouts import DeviceLostWarning
    from descring_rollouts.live import LivePage
    from descring_rollouts.metrics import MetricsServer

    named = {name: options.pop(name) for name in ("log", "npz", "json", "report", "trace")}
    several = devices is not None or ray is not None
    if several and named["trace"] is not None:
        raise click.UsageError("--trace: expected one device, got several; trace each by itself")
    resident = Resident.asked(backend, several, options)
    folder = options.pop("device_logs")
    if folder is not None and not several:
        raise click.UsageError("--device-logs: expected --devices with it; --log has all of one")
    logs = device_logs(folder, len(named_devices(devices or backend)))
    targets = [path for path in named.values() if path is not None] + logs
    if len({path.resolve() for path in targets}) != len(targets):
        raise click.UsageError("expected a file for each output, got one name twice")
    with outputs(*targets):
        pass  # refused now, and not after the work
    seed = options.pop("seed")
    seed = secrets.randbelow(2**32) if seed is None else seed
    port = options.pop("metrics")
    label = devices or backend
    try:
        page = LivePage(f"{label[:40]} {options['policy']}")
        with ExitStack() as opened:
            opened.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore", DeviceLostWarning)  # printed below
            if port is not None:
                server = opened.enter_context(MetricsServer(page, port))
                click.echo(f"metrics: {server.url}", err=True)
            vocabulary = options["vocabulary"] or VOCABULARY
            if resident is not None:
                places = resident.open(opened, backend, options["engine"], vocabulary)
            else:
                places = open_places(opened, backend, devices, ray, options["engine"], vocabulary)
            observed = _Observed(page, named["report"], named["trace"], places.one, options["core"])
            command = _command(backend, devices, ray, seed, options)
            contents, text, reports = _run(opened, places, seed, options, observed, command)
    except (EngineError, HostError, ValueError) as error:
        raise SimulationError(str(error)) from error
    written = {path: contents[name] for name, path in named.items() if path is not None}
    written.update(
        {path: report.log_file() for path, report in zip(logs, reports, strict=bool(logs))}
    )
    write_files(written)
    for report in reports:
        for loss in report.losses:
            click.echo(f"{loss}", err=True)
    click.echo(f"{places.label}: {text}")
    for path in targets:
        click.echo(f"{path}: written")


_OUTPUTS = frozenset(
    {"log", "npz", "json", "report", "trace", "metrics", "seed", "backend", "devices"}
    | {"device_logs", "ray"}
)


def _command(
    backend: str, devices: str | None, ray: str | None, seed: int, options: dict[str, Any]
) -> str:
    """The command that runs the same again."""
    where = ["--backend", backend] if devices is None else ["--devices", devices]
    where += [] if ray is None else ["--ray", ray]
    words = ["descring", "rollouts", *where, "--seed", str(seed)]
    for item in rollouts.params:
        name = str(item.name)
        value = options.get(name)
        if (
            name in _OUTPUTS
            or value is None
            or value is False
            or value == item.get_default(_NOBODY)
        ):
            continue
        words.append(item.opts[0])
        if isinstance(value, tuple):
            words.append(":".join(map(str, value)))
        elif value is not True:
            words.append(str(value))
    return shlex.join(words)


class _Observed:
    """Who watches a run, as its outputs need it.

    Attributes:
        watchers: for the runtime.
        samples: of the page, if one is asked for.
        trace: for the page or for a file of its own.
    """

    def __init__(
        self, page: Any, report: Path | None, trace: Path | None, device: Any, core: str
    ) -> None:
        from descring_rollouts.trace import Trace

        from descring_sim.rollout_report.page import Samples

        wants_page = report is not None and report.suffix.lower() in (".html", ".htm")
        self.samples = Samples() if wants_page else None
        # A page of the golden model's core goes without; a file that is asked for does not.
        # Of several devices each has times of its own.
        traced = trace is not None or (wants_page and core == "native" and device is not None)
        self.trace = Trace(device) if traced else None
        self.wants_file = trace is not None
        self.watchers = [item for item in (page, self.samples, self.trace) if item is not None]


def _run(
    opened: ExitStack,
    places: Places,
    seed: int,
    options: dict[str, Any],
    observed: _Observed,
    command: str,
) -> tuple[dict[str, str | bytes], str, list[Any]]:
    """Run all; the contents of every output by its option, the text for the terminal, and what

    each of several devices did.
    """
    from descring_rollouts import Runtime, Sampling
    from descring_rollouts.core import Core
    from descring_rollouts.model_core import ModelCore
    from descring_rollouts.summary import summarise

    limits = {name: options[name] for name in _LIMITS if options[name] is not None}
    rng = np.random.default_rng(seed)
    prompts, samples = options["prompts"], options["samples"]
    low, high = options["prompt_tokens"]
    lengths = rng.integers(low, high, size=prompts, endpoint=True).tolist()
    low, high = options["new_tokens"]
    new = rng.integers(low, high, size=(prompts, samples), endpoint=True)
    given: list[Any] = lengths
    making: dict[str, Any] = {}
    vocabulary = options["vocabulary"] or VOCABULARY
    asked = {name: options[name] for name in _SAMPLING if options[name] is not None}
    if options["engine"] is not None:
        asked.pop("vocabulary", None)
        making = {"sampling": Sampling(seed=seed, **asked)}
        tokens = np.random.default_rng([seed, 1])
        given = [tokens.integers(0, vocabulary, length) for length in lengths]
    elif asked:
        option = next(iter(asked)).replace("_", "-")
        raise click.UsageError(f"--{option}: expected --engine with it; add --engine NAME")
    runtime = Runtime(
        **places.arguments(opened, options["engine"], vocabulary),
        policy=options["policy"],
        scorer=options["scorer"],
        share=not options["no_share"],
        boundary_rewards=options["boundary_rewards"],
        checked=options["checked"],
        core=Core if options["core"] == "native" else ModelCore,
        watchers=observed.watchers,
        **making,
        **limits,
    )
    began = time.monotonic()
    with progress_bar() as bar:
        task = bar.add_task("rollouts", total=prompts * samples)
        for _ in runtime.run(given, samples=samples, new_tokens=new):
            bar.update(task, completed=runtime.ended)
    seconds = time.monotonic() - began
    trajectories = runtime.trajectories
    summary = summarise(runtime.requests, trajectories, runtime.log())
    title = f"Rollouts, {options['policy']}, seed {seed}"
    report: str
    if observed.samples is None:
        report = summary.markdown(title) + places.markdown(runtime)
    else:
        from descring_sim.rollout_report.page import to_page

        report = to_page(
            title=title,
            command=command,
            summary=summary,
            config=runtime.config,
            requests=runtime.requests,
            samples=observed.samples,
            trace=observed.trace,
        )
    contents: dict[str, str | bytes] = {
        "log": runtime.log_file(),
        "npz": trajectories.npz(),
        "json": trajectories.json_lines(),
        "report": report,
    }
    if observed.trace is not None and observed.wants_file:
        from descring_rollouts.perfetto_file import perfetto_bytes

        contents["trace"] = perfetto_bytes(observed.trace)
    told = f"{summary.line()}\n{places.lines(runtime)}{_first_tokens(trajectories)}"
    text = f"{told}seed {seed}, {seconds:.1f} s"
    if observed.trace and observed.trace.device_clock:
        error = observed.trace.device_clock_error
        text += f"\ntrace: events of the device are within {error:.0f} ns of the host's clock"
    lost = sum(observed.trace.overwritten.values()) if observed.trace else 0
    if lost:
        text += f"\ntrace: {lost} events were overwritten; trace fewer rollouts to keep all"
    return contents, text, runtime.devices


def _first_tokens(trajectories: Any) -> str:
    """The first tokens of the first rollout that was delivered, as a line; without tokens none."""
    delivered = np.flatnonzero(trajectories.outcome == 1)
    if trajectories.tokens is None or not len(delivered):
        return ""
    place = delivered[0]
    start, end = trajectories.prompt_tokens[place], trajectories.length[place]
    made = trajectories.tokens[place, start : min(start + _SHOWN, end)].tolist()
    more = ", ..." if end - start > _SHOWN else ""
    return (
        f"group {trajectories.group[place]} sample {trajectories.sample[place]}: "
        f"{', '.join(map(str, made)) or 'no new token'}{more}\n"
    )
