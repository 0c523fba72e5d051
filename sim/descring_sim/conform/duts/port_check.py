# SPDX-License-Identifier: Apache-2.0
"""The ports of a foreign top module, so that a port map that does not fit it is refused by name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyslang
from pyslang import ast, syntax

from descring_sim.conform.duts.rtl_source import RtlSource
from descring_sim.conform.errors import ConformError

INPUT, OUTPUT = "input", "output"
_DIRECTIONS = {ast.ArgumentDirection.In: INPUT, ast.ArgumentDirection.Out: OUTPUT}


@dataclass(frozen=True)
class TopPort:
    """A port of the top module; ``optional`` are inputs with a default value."""

    direction: str
    width: int
    optional: bool


def read_ports(source: RtlSource) -> dict[str, TopPort]:
    """The ports of the top of ``source`` with its parameters, as slang reads it.

    What slang finds wrong is left to the simulator to refuse: the two do not take the same.

    Raises:
        ConformError: there is no such module, or it has no such parameter.
    """
    manager = pyslang.SourceManager()
    for folder in source.include_dirs:
        manager.addUserDirectories(str(folder))
    options = ast.CompilationOptions()
    options.topModules = {source.top}
    options.paramOverrides = [f"{name}={value}" for name, value in source.parameters.items()]
    bag = pyslang.Bag()
    bag.compilationOptions = options
    compilation = ast.Compilation(bag)
    for name, text in source.texts().items():
        compilation.addSyntaxTree(syntax.SyntaxTree.fromText(text, manager, name))
    tops = [top for top in compilation.getRoot().topInstances if top.name == source.top]
    where = source.file.path
    if not tops:
        modules = sorted(
            {
                item.name
                for item in compilation.getDefinitions()
                if isinstance(item, ast.DefinitionSymbol)
            }
        )
        raise ConformError(
            f"{where}: {source.file.kind}.top: the sources have no module {source.top!r}; they "
            f"have {', '.join(modules) or 'none'}"
        )
    known = [parameter.name for parameter in tops[0].body.parameters]
    for name in source.parameters:
        if name not in known:
            raise ConformError(
                f"{where}: {source.file.kind}.parameters: {source.top} has no parameter {name!r}; "
                f"it has {', '.join(known) or 'none'}"
            )
    ports = {}
    for port in tops[0].body.portList:
        if isinstance(port, ast.PortSymbol):
            direction = _DIRECTIONS.get(port.direction, "inout")
            width = int(port.type.bitWidth)
            ports[port.name] = TopPort(direction, width, port.initializer is not None)
    return ports


def check_map(
    source: RtlSource, ports: Mapping[str, TopPort], mapped: Iterable[tuple[str, str, str, int]]
) -> None:
    """Refuse a map that does not fit the top's ``ports``.

    Args:
        source: the design.
        ports: of its top.
        mapped: key in the file, name of the port, its direction, and its width, 0 where any fits.

    Raises:
        ConformError: a name that the top has not, a wrong direction or width, or an input that
            nothing drives.
    """
    where, top = source.file.path, source.top
    kind = source.file.kind
    wanted = [
        (f"{kind}.clock", source.clock, INPUT, 1),
        (f"{kind}.reset.port", source.reset, INPUT, 1),
        *((f"{kind}.tie.{name}", name, INPUT, 0) for name in source.tie),
        *mapped,
    ]
    used: dict[str, str] = {}
    for key, name, direction, width in wanted:
        port = ports.get(name)
        if port is None:
            plain = {known.lower(): known for known in ports}
            found = difflib.get_close_matches(name.lower(), plain, 4, 0.3)
            near = [plain[known] for known in found] or list(ports)[:8]
            raise ConformError(
                f"{where}: {key}: {top} has no port {name!r}; near: {', '.join(near)}"
            )
        if name in used:
            raise ConformError(f"{where}: {key}: {name!r} is also {used[name]}")
        used[name] = key
        if port.direction != direction:
            raise ConformError(
                f"{where}: {key}: expected an {direction} of {top}, {name!r} is an {port.direction}"
            )
        if width and port.width != width:
            raise ConformError(
                f"{where}: {key}: expected {width} bits, {name!r} of {top} has {port.width}"
            )
    for name, port in ports.items():
        if port.direction == INPUT and not port.optional and name not in used:
            raise ConformError(
                f"{where}: nothing drives the input {name!r} of {top}; map it, or give it a value "
                f"in [{kind}.tie]"
            )
