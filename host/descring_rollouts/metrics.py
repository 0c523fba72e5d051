# SPDX-License-Identifier: Apache-2.0
"""OpenMetrics of a run, on request and on this machine alone [MET-006].

Needs the extra ``metrics`` (``pip install 'descring[metrics]'``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

from descring_host import HostError
from descring_model.rollouts import contract, seeing

from descring_rollouts.live import LivePage, Snapshot, snapshot

NAMESPACE = "descring_rollouts"
LOOPBACK = "127.0.0.1"
_STATES = [item.name for item in contract.STATES]
_QUEUES = [item.name for item in contract.QUEUES]


def _library() -> Any:
    try:
        import prometheus_client
        import prometheus_client.openmetrics.exposition
    except ImportError:
        raise HostError(
            "expected prometheus-client, which is not installed; "
            "run: pip install 'descring[metrics]'"
        ) from None
    return prometheus_client


class Collector:
    """Metric families of what ``take`` returns at that moment; no family while it returns None."""

    def __init__(self, take: Callable[[], Snapshot | None]) -> None:
        self._take = take

    def collect(self) -> Iterator[Any]:
        """Every counter and gauge of the contract, once."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        shown = self._take()
        if shown is None:
            return
        for item in seeing.COUNTERS:
            family = CounterMetricFamily(
                f"{NAMESPACE}_{item.name}", f"{item.meaning} [{item.rule}]"
            )
            family.add_metric([], shown.counters[item.name])
            yield family
        for kind, names in (("state", _STATES), ("queue", _QUEUES)):
            labelled = GaugeMetricFamily(f"{NAMESPACE}_{kind}", f"slots by {kind}", labels=[kind])
            for name in names:
                labelled.add_metric([name], shown.gauges[f"{kind}_{name.lower()}"])
            yield labelled
        for item in seeing.GAUGES:
            if not item.name.startswith(("state_", "queue_")):
                yield GaugeMetricFamily(
                    f"{NAMESPACE}_{item.name}",
                    f"{item.meaning} [{item.rule}]",
                    value=shown.gauges[item.name],
                )


def openmetrics(take: Callable[[], Snapshot | None]) -> str:
    """The text of one scrape, which ends in ``# EOF``."""
    library = _library()
    registry = library.CollectorRegistry()
    registry.register(Collector(take))
    text: bytes = library.openmetrics.exposition.generate_latest(registry)
    return text.decode()


class MetricsServer:
    """Serves the metrics of a live page's runs over HTTP on the loopback interface.

    Attributes:
        port: where it listens.
    """

    def __init__(self, page: LivePage, port: int) -> None:
        """Listen.

        Args:
            page: a watcher of the runtime.
            port: 0: the system picks one.

        Raises:
            HostError: the port is taken, or prometheus-client is missing.
        """
        library = _library()
        registry = library.CollectorRegistry()
        registry.register(Collector(lambda: snapshot(page.bytes) if len(page.bytes) else None))
        try:
            self._server, self._thread = library.start_http_server(
                port, addr=LOOPBACK, registry=registry
            )
        except OSError as error:
            raise HostError(
                f"cannot listen on {LOOPBACK}:{port}: {error.strerror}; give another port"
            ) from None
        self.port = int(self._server.server_port)

    @property
    def url(self) -> str:
        """What to scrape."""
        return f"http://{LOOPBACK}:{self.port}/metrics"

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> MetricsServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
