# SPDX-License-Identifier: Apache-2.0
"""HTML pages that need nothing else: the one way to their templates."""

from __future__ import annotations

import functools

import jinja2


@functools.cache
def template(package: str, name: str) -> jinja2.Template:
    """A template of ``package``, from its folder ``templates``; what it lacks is an error."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(package),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)
