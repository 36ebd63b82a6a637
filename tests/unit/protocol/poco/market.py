"""A small marketplace in the model. Keys are stood in for by bytes that say who signed what."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec

from pyiexec.protocol import ids
from pyiexec.protocol.eip712 import ethereum_message_digest, operation_hash
from pyiexec.protocol.orders import NO_DATASET, AppOrder, DatasetOrder, Order, RequestOrder, WorkerpoolOrder
from pyiexec.protocol.poco import Hub, Outcome, Registry, Token, World
from pyiexec.protocol.primitives import (
    NULL_ADDRESS,
    Address,
    DealId,
    ResultDigest,
    TaskId,
    bytes32,
    checksum,
    keccak256,
    to_bytes,
    to_hex,
)

RLC = 10**9
APP_PRICE, DATASET_PRICE, POOL_PRICE = 1_000, 1_000_000, RLC
START = 1_000_000
TIMEREF = 300


def account(number: int) -> Address:
    return checksum(number.to_bytes(20, "big"))


def sign(signer: Address, digest: bytes) -> bytes:
    return to_bytes(signer) + digest + bytes(13)


def recover(digest: bytes, signature: bytes) -> Address | None:
    return checksum(signature[:20]) if signature[20:52] == digest else None


ADMIN, APP_OWNER, DATASET_OWNER, SCHEDULER, REQUESTER, SPONSOR, STRANGER, BROKER, ENCLAVE = map(account, range(1, 10))
WORKERS = [account(number) for number in range(100, 110)]
APP, DATASET, POOL = map(account, range(1001, 1004))


class Market:
    """Hub, token, one asset of each kind, and funds for those who need some."""

    def __init__(self, funds: int = 100 * RLC) -> None:
        self.world = World(recover)
        self.token = Token(self.world, account(2001), ADMIN)
        self.apps, self.datasets, self.pools = (Registry(self.world, account(2002 + n)) for n in range(3))
        self.hub = Hub(
            self.world,
            account(3001),
            chain_id=1,
            token=self.token,
            apps=self.apps,
            datasets=self.datasets,
            workerpools=self.pools,
            owner=ADMIN,
        )
        self.hub.create_category("XS", "", TIMEREF, sender=ADMIN)
        self.apps.create(APP, APP_OWNER)
        self.datasets.create(DATASET, DATASET_OWNER)
        self.pools.create(POOL, SCHEDULER)
        self.salts = itertools.count(1)
        self.token.approve(self.hub.address, 10**18, sender=ADMIN)
        for who in (REQUESTER, SPONSOR, SCHEDULER, *WORKERS):
            self.hub.deposit_for(funds, who, sender=ADMIN)

    def signed(self, order: Order, signer: Address) -> Any:
        return msgspec.structs.replace(order, sign=to_hex(sign(signer, to_bytes(self.hub.hash(order)))))

    def operation_signature(self, order: Order, operation: int, signer: Address) -> bytes:
        return sign(signer, to_bytes(operation_hash(order, operation, self.hub.domain)))

    def orders(
        self, *, volume: int = 1, dataset: bool = True, pool_price: int = POOL_PRICE, **request: Any
    ) -> tuple[AppOrder, DatasetOrder, WorkerpoolOrder, RequestOrder]:
        """Four orders that fit together, signed."""
        salt = bytes32(next(self.salts))
        tag = request.get("tag", bytes32(0))
        app = AppOrder(app=APP, appprice=APP_PRICE, volume=volume, tag=tag, salt=salt)
        pool = WorkerpoolOrder(
            workerpool=POOL, workerpoolprice=pool_price, volume=volume, tag=tag, trust=2**24 - 1, salt=salt
        )
        data = DatasetOrder(dataset=DATASET, datasetprice=DATASET_PRICE, volume=volume, salt=salt)
        wanted = RequestOrder(
            **{
                "app": APP,
                "appmaxprice": APP_PRICE,
                "dataset": DATASET if dataset else NULL_ADDRESS,
                "datasetmaxprice": DATASET_PRICE,
                "workerpoolmaxprice": pool_price,
                "requester": REQUESTER,
                "volume": volume,
                "trust": 1,
                "salt": salt,
            }
            | request
        )
        return (
            self.signed(app, APP_OWNER),
            self.signed(data, DATASET_OWNER) if dataset else NO_DATASET,
            self.signed(pool, SCHEDULER),
            self.signed(wanted, wanted.requester),
        )

    def match(self, **terms: Any) -> DealId:
        return self.hub.match_orders(*self.orders(**terms), sender=STRANGER, now=START).value

    def started(self, **terms: Any) -> TaskId:
        """A task of a new deal."""
        deal = self.match(**terms)
        return self.hub.initialize(deal, 0).value

    def digest(self, result: bytes) -> ResultDigest:
        return ResultDigest(bytes32(keccak256(result)))

    def authorization(self, worker: Address, task: TaskId, enclave: Address = NULL_ADDRESS) -> bytes:
        return sign(SCHEDULER, ethereum_message_digest(ids.authorization_hash(worker, task, enclave)))

    def contribute(self, task: TaskId, worker: Address, result: bytes = b"right", now: int = START) -> Outcome[None]:
        digest = self.digest(result)
        return self.hub.contribute(
            task,
            ids.result_hash(task, digest),
            ids.result_seal(worker, task, digest),
            NULL_ADDRESS,
            b"",
            self.authorization(worker, task),
            sender=worker,
            now=now,
        )

    def reveal(self, task: TaskId, worker: Address, result: bytes = b"right", now: int = START) -> Outcome[None]:
        return self.hub.reveal(task, self.digest(result), sender=worker, now=now)

    def finalize(self, task: TaskId, now: int = START) -> Outcome[None]:
        return self.hub.finalize(task, b"link", b"", sender=SCHEDULER, now=now)

    def shortcut(self, task: TaskId, worker: Address, now: int = START, callback: bytes = b"") -> Outcome[None]:
        digest = self.digest(callback or b"right")
        return self.hub.contribute_and_finalize(
            task,
            digest,
            b"link",
            callback,
            NULL_ADDRESS,
            b"",
            self.authorization(worker, task),
            sender=worker,
            now=now,
        )

    def holds(self, who: Address) -> tuple[int, int]:
        return self.hub.balance_of(who), self.hub.frozen_of(who)

    def conserved(self) -> bool:
        """Whether every nRLC is somewhere, and the pot backs what is frozen."""
        hub = self.hub
        pot = hub.balance_of(hub.address)
        everything = sum(hub.free.values()) + pot
        held = self.token.balance_of(hub.address)
        return sum(hub.frozen.values()) == pot and everything == hub.total_supply == held
