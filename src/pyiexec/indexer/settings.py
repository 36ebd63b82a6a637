"""Settings of the index."""

from __future__ import annotations

from pyiexec.foundation.settings import Settings
from pyiexec.protocol.primitives import Address


class IndexerSettings(Settings, frozen=True, kw_only=True):
    """What the index has to be told.

    Attributes:
        database_url: SQLAlchemy URL. Several processes may share a database: one of them follows the chain, all answer.
        rpc_url: node of the chain.
        chain_id: the chain served.
        hub: PoCo's contract on it.
        registries: of apps, datasets and workerpools; None for those the hub names when the service starts. A hub that
            changes its registries does not tell when, so that an index of both must be told where the older ones are.
        start_block: first block with events of the hub; an earlier one only costs time at the first start.
        gateway_url: where the lists of bulk deals are fetched from; None leaves them out.
        host: address to listen on.
        port: TCP port, 0 for a free one.
        every_block: store the place reached with every block, which several processes on one database need to agree on
            it; otherwise a chain on which nothing happens writes nothing.
        subgraph_ids: under which clients of hosted subgraphs find the index as well, at ``/api/subgraphs/id/<id>``.
        subgraph_names: the same at ``/subgraphs/name/<owner>/<name>``.
        rpc_batch: requests that the node is asked at once.
        fetch_seconds: for how long one file of a bulk deal may take.
        fetch_bytes: how large it may be.
    """

    database_url: str
    rpc_url: str
    chain_id: int
    hub: Address
    registries: tuple[Address, Address, Address] | None = None
    start_block: int = 0
    gateway_url: str | None = None
    host: str = "127.0.0.1"
    port: int = 0
    every_block: bool = True
    subgraph_ids: tuple[str, ...] = ()
    subgraph_names: tuple[str, ...] = ()
    rpc_batch: int = 250
    fetch_seconds: float = 30.0
    fetch_bytes: int = 4 * 1024 * 1024
