"""Where Prometheus finds the parts of a local network."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from pyiexec.devnet.parts import Kind

#: In a network's directory.
PROMETHEUS_FILE = "prometheus.yml"


def scrape_config(parts: Iterable[tuple[Kind, int]]) -> bytes:
    """Prometheus' configuration for parts at these ports of the loopback interface, a job for each kind.

    It is JSON, which YAML takes in.
    """
    targets: dict[Kind, list[str]] = {}
    for kind, port in parts:
        targets.setdefault(kind, []).append(f"127.0.0.1:{port}")
    jobs = [{"job_name": str(kind), "static_configs": [{"targets": found}]} for kind, found in targets.items()]
    config = {"global": {"scrape_interval": "5s"}, "scrape_configs": jobs}
    return msgspec.json.format(msgspec.json.encode(config)) + b"\n"
