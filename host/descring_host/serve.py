# SPDX-License-Identifier: Apache-2.0
"""``python -m descring_host.serve``: the worker process of ``CpuDevice(process=True)``."""

from descring_model.startup import end_at_once

NAME = "descring serve"

OPTIONS: tuple[tuple[str, int | bool | None, str], ...] = (
    ("memory", 16 << 20, "Bytes of the memory window."),
    ("workers", 1, "Native worker threads, 1 to 16."),
    ("first-index", 0, "Test only: the indices after reset."),
    ("huge-pages", False, "Request pages of 2 MiB; reports the outcome."),
    ("numa-node", None, "Bind the memory to this node; likewise."),
    ("restart", False, "Continue in memory whose worker died."),
    ("exit-with-host", False, "End when the host is gone."),
)
"""Name, default and help of each option, of ``descring serve`` too; False is a flag."""


def main(arguments: list[str] | None = None) -> int:
    """Run the worker process and return its exit code: 0, or 2 with a ``refused`` line."""
    import argparse

    from descring_host.server import run

    parser = argparse.ArgumentParser(prog=NAME, description="Be the worker process of a device.")
    parser.add_argument("name", help="of the POSIX shared memory")
    for name, default, text in OPTIONS:
        if default is False:
            parser.add_argument(f"--{name}", action="store_true", help=text)
        else:
            parser.add_argument(f"--{name}", type=int, default=default, help=text)
    parser.add_argument("--parent", type=int, help="End when this parent dies without a host.")
    options = parser.parse_args(arguments)
    return run(**vars(options))


if __name__ == "__main__":
    end_at_once(NAME)
    raise SystemExit(main())
