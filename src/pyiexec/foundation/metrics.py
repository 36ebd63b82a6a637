"""What a service counts and measures, in the text format of Prometheus.

Every service has its own `Metrics`: several may run in one process. What can be read off the service is read when
somebody asks; only what would be gone by then is counted as it happens. A label has few values: never an address, an
id, or anything that a stranger can make up.

Source: Prometheus exposition formats 0.0.4 and OpenMetrics 1.0; its conventions for names.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple

import anyio
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric

from pyiexec import __version__
from pyiexec.foundation.logs import get_logger
from pyiexec.protocol.errors import IexecError

log = get_logger(__name__)

#: Media types of the two formats.
OPEN_METRICS, PLAIN_TEXT = "application/openmetrics-text", "text/plain"
#: Seconds that everything asked for a page may take together, longer than a dependency has to answer; what is late is
#: left out of the page.
_PATIENCE = 2.0
#: Seconds, for what takes moments and for what takes minutes.
MOMENTS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
MINUTES = (0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0, 14400.0)

#: One value, or one for each value of the label; None for none at present.
Reading = float | Mapping[str, float] | None


class Kind(StrEnum):
    """What a family of metrics is."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Family(NamedTuple):
    """Metrics of one name.

    Attributes:
        text: what it means.
        labels: what its series differ in.
        buckets: upper bounds, of a histogram.
    """

    name: str
    kind: Kind
    text: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


def counter(name: str, text: str, *labels: str) -> Family:
    """A family that only grows; its name ends in ``_total``."""
    return Family(f"pyiexec_{name}", Kind.COUNTER, text, labels)


def gauge(name: str, text: str, *labels: str) -> Family:
    """A family that goes up and down."""
    return Family(f"pyiexec_{name}", Kind.GAUGE, text, labels)


def histogram(name: str, text: str, *labels: str, buckets: tuple[float, ...] = MOMENTS) -> Family:
    """A family of durations by their length, in seconds."""
    return Family(f"pyiexec_{name}", Kind.HISTOGRAM, text, labels, buckets)


def families_of(*modules: object) -> list[Family]:
    """The families that modules define, in their order."""
    return [value for module in modules for value in vars(module).values() if isinstance(value, Family)]


BUILD_INFO = gauge("build_info", "1 for the service and the version that answer", "service", "version")
READY = gauge("ready", "1 while a dependency can be used, 0 while it cannot", "dependency")


def wants_exposition(accept: str) -> bool:
    """Whether a request for ``/metrics`` comes from Prometheus, where others are answered in JSON.

    Its scraper names OpenMetrics first, older ones ``text/plain`` alone. Clients that would rather have JSON may name
    ``text/plain`` as well, and browsers neither.
    """
    named = {part.partition(";")[0].strip().lower() for part in accept.split(",")}
    return OPEN_METRICS in named or (PLAIN_TEXT in named and "application/json" not in named)


class Metrics:
    """The metrics of one service.

    Args:
        service: its kind.
    """

    def __init__(self, service: str) -> None:
        self._registry = CollectorRegistry()
        self._asked: dict[Family, Callable[[], Awaitable[Reading]]] = {}
        self._answers: dict[Family, Reading] = {}
        ProcessCollector(registry=self._registry)
        self.gauge(BUILD_INFO).labels(service, __version__).set(1)

    def counter(self, family: Family) -> Counter:
        """A counter to be counted up."""
        assert family.kind is Kind.COUNTER, family.name
        return Counter(family.name, family.text, family.labels, registry=self._registry)

    def gauge(self, family: Family) -> Gauge:
        """A gauge to be set."""
        assert family.kind is Kind.GAUGE, family.name
        return Gauge(family.name, family.text, family.labels, registry=self._registry)

    def histogram(self, family: Family) -> Histogram:
        """A histogram to be told of durations in seconds."""
        assert family.kind is Kind.HISTOGRAM, family.name
        return Histogram(family.name, family.text, family.labels, registry=self._registry, buckets=family.buckets)

    def watch(self, family: Family, read: Callable[[], Reading]) -> None:
        """A counter or gauge that is read off the service whenever somebody asks, in the event loop."""
        self._registry.register(_Watched(family, read))

    def ask(self, family: Family, read: Callable[[], Awaitable[Reading]]) -> None:
        """As `watch`, of what must be asked for; it is left out of a page for which there is no answer in time."""
        self._asked[family] = read
        self.watch(family, lambda: self._answers.get(family))

    async def page(self, accept: str) -> tuple[bytes, str]:
        """All metrics in the format that fits an ``Accept`` header, and its media type."""
        self._answers = {}
        with anyio.move_on_after(_PATIENCE):
            async with anyio.create_task_group() as group:
                for family, read in self._asked.items():
                    group.start_soon(self._learn, family, read)
        encode, media_type = choose_encoder(accept)
        return encode(self._registry), media_type

    async def _learn(self, family: Family, read: Callable[[], Awaitable[Reading]]) -> None:
        try:
            self._answers[family] = await read()
        except IexecError as error:
            log.debug("a metric could not be read", name=family.name, reason=str(error))


class _Watched:
    """Collects one family by reading it."""

    def __init__(self, family: Family, read: Callable[[], Reading]) -> None:
        assert family.kind is not Kind.HISTOGRAM, family.name
        self._family = family
        self._read = read

    def collect(self) -> Iterator[Metric]:
        name, kind, text, labels, _ = self._family
        made: CounterMetricFamily | GaugeMetricFamily
        if kind is Kind.COUNTER:
            made = CounterMetricFamily(name, text, labels=labels)
        else:
            made = GaugeMetricFamily(name, text, labels=labels)
        for label, value in _values(self._read()):
            made.add_metric(label, value)
        yield made


def _values(reading: Reading) -> Iterable[tuple[list[str], float]]:
    if reading is None:
        return []
    if isinstance(reading, Mapping):
        return [([label], value) for label, value in reading.items()]
    return [([], reading)]
