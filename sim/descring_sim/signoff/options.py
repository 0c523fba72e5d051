# SPDX-License-Identifier: Apache-2.0
"""Options that several commands of this package have."""

from __future__ import annotations

from pathlib import Path

import click

rtl = click.option(
    "--rtl",
    "rtl_dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Sources.  [default: descring's own]",
)
"""Other sources than the project's, as ``rtl_dir``."""
