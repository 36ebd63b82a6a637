"""What a chain has of a planned deployment, and what the rest would cost."""

from __future__ import annotations

from typing import Any

import msgspec

from pyiexec.chain.abi import Function
from pyiexec.chain.deployment import factory
from pyiexec.chain.deployment.plan import (
    REGISTRIES,
    Found,
    HubSettings,
    Plan,
    RegistrySettings,
    Step,
    check_codes,
    missing_steps,
)
from pyiexec.chain.hub import Hub
from pyiexec.chain.reading import Reading, read_all, read_each
from pyiexec.chain.rpc import JsonRpc
from pyiexec.chain.sending import TIP
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address, to_bytes, to_hex

_VIEWS = tuple(
    Function.parse(signature)
    for signature in (
        "owner() view returns (address)",
        "initialized() view returns (bool)",
        "previous() view returns (address)",
        "baseURI() view returns (string)",
    )
)


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """A plan, and what is left of it.

    Attributes:
        steps: transactions to be sent, in order.
        has_proxy: whether the chain has the deterministic deployment proxy.
        gas_price: wei per unit of gas that blocks take now.
        balance: wei of the deploying account.
    """

    plan: Plan
    steps: list[Step]
    has_proxy: bool
    gas_price: int
    balance: int

    @property
    def gas(self) -> int:
        """The most that the transactions may use."""
        return sum(step.call.gas for step in self.steps)

    @property
    def cost(self) -> int:
        """What that costs now, in wei, with what the proxy's own creation takes."""
        return self.gas * self.gas_price + (0 if self.has_proxy or not self.steps else factory.PROXY_COST)


async def survey(rpc: JsonRpc, plan: Plan) -> Survey:
    """Look at the chain.

    Raises:
        IexecError: ``DEPLOYMENT_CONFLICT``, ``NOT_OWNER``: see `check_codes` and `missing_steps`;
            ``CHAIN_ID_WRONG`` for a node of another chain; ``BAD_REQUEST`` when nothing stands at the token's address;
            ``FACTORY_UNAVAILABLE`` when something else stands at the deployment proxy's.
    """
    chain, block, balance, proxy, coin, *codes = await rpc.batch(
        [
            ("eth_chainId", []),
            ("eth_getBlockByNumber", ["latest", False]),
            ("eth_getBalance", [plan.owner, "latest"]),
            ("eth_getCode", [factory.PROXY, "latest"]),
            ("eth_getCode", [plan.token, "latest"]),
            *(("eth_getCode", [part.address, "latest"]) for part in plan.parts.values()),
        ]
    )
    if int(chain, 16) != plan.chain_id:
        raise IexecError("CHAIN_ID_WRONG", f"{rpc.host} is a node of chain {int(chain, 16)}, not {plan.chain_id}")
    if proxy not in ("0x", to_hex(factory.PROXY_CODE)):
        raise IexecError("FACTORY_UNAVAILABLE", f"something else stands at {factory.PROXY}")
    if plan.variant == "token" and "RLC" not in plan.parts and coin == "0x":
        raise IexecError("BAD_REQUEST", f"there is no token at {plan.token}", remedy="Check the token's address.")
    standing = {name: to_bytes(code) for name, code in zip(plan.parts, codes, strict=True) if code != "0x"}
    check_codes(plan, standing)
    found = await _settings(rpc, plan, frozenset(standing))
    return Survey(
        plan=plan,
        steps=missing_steps(plan, found),
        has_proxy=proxy != "0x",
        gas_price=int(block["baseFeePerGas"], 16) + TIP,
        balance=int(balance, 16),
    )


async def _settings(rpc: JsonRpc, plan: Plan, standing: frozenset[str]) -> Found:
    """What the contracts that stand were told."""
    registries = {
        kind: await registry_settings(rpc, address)
        for kind, address in plan.registries.items()
        if REGISTRIES[kind] in standing
    }
    hub = await hub_settings(rpc, plan.hub) if "Diamond" in standing else None
    return Found(standing=standing, hub=hub, registries=registries)


async def hub_settings(rpc: JsonRpc, address: Address) -> HubSettings:
    """What a hub says of itself.

    Raises:
        IexecError: ``CHAIN_REFUSED`` when it does not answer as a hub does.
    """
    hub = Hub(rpc, address)
    owner, token = await read_all(hub.owner(), hub.token())
    app, dataset, workerpool = await read_all(hub.app_registry(), hub.dataset_registry(), hub.workerpool_registry())
    return HubSettings(
        owner=owner,
        token=token,
        registries={"app": app, "dataset": dataset, "workerpool": workerpool},
        categories=tuple(await hub.categories()),
    )


async def registry_settings(rpc: JsonRpc, address: Address) -> RegistrySettings:
    """What a registry says of itself.

    Raises:
        IexecError: ``CHAIN_REFUSED`` when it does not answer as a registry does.
    """
    owner, initialized, previous, base_uri = await read_each([_read(rpc, address, view) for view in _VIEWS])
    return RegistrySettings(owner=owner, initialized=initialized, previous=previous, base_uri=base_uri)


def _read(rpc: JsonRpc, address: Address, view: Function) -> Reading[Any]:
    return Reading(rpc, address, view.encode(), lambda data: view.decode(data)[0])
