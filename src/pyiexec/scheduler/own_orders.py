"""The orders that a scheduler signed to sell its pool's capacity, as they are kept between runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec
import sqlalchemy as sa
from msgspec.structs import replace

from pyiexec.chain.signer import Signer
from pyiexec.foundation.statements import Statement, upsert
from pyiexec.protocol.eip712 import Domain, order_hash
from pyiexec.protocol.orders import WorkerpoolOrder
from pyiexec.protocol.primitives import Address, OrderHash, bytes32, to_bytes, to_hex
from pyiexec.scheduler.sales_plan import Listed, Standing, Terms
from pyiexec.scheduler.tables import offers

#: Blocks after which no reorganisation is expected to give back what an order had sold.
FINAL_BLOCKS = 64

_PUT = upsert(offers)
_DELETE = Statement(sa.delete(offers).where(offers.c.order_hash == sa.bindparam("gone")))


class OwnOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A signed order of the pool.

    Attributes:
        consumed: tasks of it that were matched, as far as is known.
        reason: code of why it was withdrawn, or of what the order book had against it; empty while nothing is wrong.
        used_up_at: number of the block as of which nothing of it was left; None before.
    """

    order_hash: OrderHash
    order: WorkerpoolOrder
    standing: Standing = Standing.SIGNED
    consumed: int = 0
    reason: str = ""
    used_up_at: int | None = None

    @property
    def remaining(self) -> int:
        """Tasks of it that can still be matched."""
        return max(self.order.volume - self.consumed, 0)

    @property
    def listed(self) -> Listed:
        """The order as planning sees it."""
        terms = terms_of_order(self.order)
        return Listed(order_hash=self.order_hash, terms=terms, remaining=self.remaining, standing=self.standing)

    def counted(self, consumed: int, block: int) -> OwnOrder:
        """The order when so much of it was consumed as of a block."""
        used_up_at = (self.used_up_at or block) if consumed >= self.order.volume else None
        return replace(self, consumed=consumed, used_up_at=used_up_at)

    def is_over(self, block: int) -> bool:
        """Whether it can be forgotten: it was used up, or closed, long before a block."""
        return self.used_up_at is not None and block >= self.used_up_at + FINAL_BLOCKS


def terms_of_order(order: WorkerpoolOrder) -> Terms:
    """The terms that an order was made on."""
    return Terms(
        category=order.category,
        price=order.workerpoolprice,
        trust=order.trust,
        tag=order.tag,
        app=order.apprestrict,
        dataset=order.datasetrestrict,
        requester=order.requesterrestrict,
    )


def new_order(
    terms: Terms,
    volume: int,
    *,
    workerpool: Address,
    signer: Signer,
    domain: Domain,
    entropy: Callable[[int], bytes],
) -> OwnOrder:
    """An order signed by the pool's owner.

    Args:
        terms: what it says.
        volume: tasks on offer.
        workerpool: the pool.
        signer: its owner.
        domain: of the hub.
        entropy: random bytes, for the salt.
    """
    unsigned = WorkerpoolOrder(
        workerpool=workerpool,
        workerpoolprice=terms.price,
        volume=volume,
        tag=terms.tag,
        category=terms.category,
        trust=terms.trust,
        apprestrict=terms.app,
        datasetrestrict=terms.dataset,
        requesterrestrict=terms.requester,
        salt=bytes32(entropy(32)),
    )
    name = order_hash(unsigned, domain)
    return OwnOrder(order_hash=name, order=replace(unsigned, sign=to_hex(signer.sign_digest(to_bytes(name)))))


def load_orders(connection: sa.Connection) -> dict[OrderHash, OwnOrder]:
    """All that are kept."""
    found = connection.scalars(sa.select(offers.c.record)).all()
    orders = (msgspec.json.decode(record, type=OwnOrder) for record in found)
    return {order.order_hash: order for order in orders}


def keep_orders(connection: sa.Connection, orders: Iterable[OwnOrder]) -> None:
    """Write orders, in place of what was known of them."""
    _PUT.run_all(
        connection, ({"order_hash": order.order_hash, "record": msgspec.json.encode(order)} for order in orders)
    )


def forget_orders(connection: sa.Connection, hashes: Iterable[OrderHash]) -> None:
    """Delete orders."""
    _DELETE.run_all(connection, ({"gone": name} for name in hashes))
