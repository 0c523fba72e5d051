# SPDX-License-Identifier: Apache-2.0
"""Writes ``docs/reference/cli.md``: every command of ``descring``, from the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator

import click

from descring_sim.support.markdown import GENERATED, table

_INTRODUCTION = """\
# The command `descring`

In a checkout it is `.venv/bin/descring`; `pip install` puts it on the path. Exit codes, output
files and the environment are the same for all of its commands: see [Conventions](conventions.md).

"""
WIDTH = 94


def render(program: click.Group, name: str) -> str:
    """Return the page of all commands in ``program``, which is started as ``name``."""
    context = click.Context(program, info_name=name, **program.context_settings)
    links = table(
        ("command", "what it does"),
        (
            (f"[`{name} {command}`](#{_anchor(name, command)})", _first_line(program, command))
            for command in program.list_commands(context)
        ),
    )
    return GENERATED + _INTRODUCTION + links + "".join(_commands(program, context))


def _commands(group: click.Group, context: click.Context) -> Iterator[str]:
    for name in group.list_commands(context):
        command = _get(group, context, name)
        yield f"## `{context.info_name} {name}`\n\n"
        yield _help(command, context, name)
        if isinstance(command, click.Group):
            inner = click.Context(
                command, info_name=name, parent=context, **command.context_settings
            )
            for sub in command.list_commands(inner):
                found = _get(command, inner, sub)
                yield f"### `{inner.command_path} {sub}`\n\n"
                yield _help(found, inner, sub) if _has_help(found) else _short(command, inner, sub)


def _help(command: click.Command, parent: click.Context, name: str) -> str:
    context = click.Context(
        command, info_name=name, parent=parent, terminal_width=WIDTH, max_content_width=WIDTH
    )
    return f"```text\n{command.get_help(context)}\n```\n\n"


def _has_help(command: click.Command) -> bool:
    """Whether click parses its options; other commands have a parser of their own."""
    return not command.ignore_unknown_options if command.add_help_option else False


def _short(group: click.Group, context: click.Context, name: str) -> str:
    return f"{_first_line(group, name)} Its options: `{context.command_path} {name} --help`.\n\n"


def _first_line(group: click.Group, name: str) -> str:
    command = _get(group, click.Context(group), name)
    if listed := getattr(group, "lines", {}).get(name):
        return str(listed)
    return command.get_short_help_str(limit=200)


def _get(group: click.Group, context: click.Context, name: str) -> click.Command:
    found = group.get_command(context, name)
    assert found is not None, f"{name} is listed and cannot be had"
    return found


def _anchor(program: str, name: str) -> str:
    return f"{program}-{name}"
