"""Where people bring orders and take them back: login, checks, and the one transaction that makes them public."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pyiexec.foundation.clock import Clock
from pyiexec.foundation.database import Database
from pyiexec.market import challenges, queries, rules
from pyiexec.market.chain_facts import ChainFacts
from pyiexec.market.challenges import Token, invalid_authorization
from pyiexec.market.filters import read_bytes32
from pyiexec.market.listing import Listing, Status
from pyiexec.protocol.eip712 import Domain, challenge_hash, challenge_typed_data, order_hash
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.orders import ORDER_KINDS, Order, decode_order
from pyiexec.protocol.primitives import Address, OrderHash, checksum, is_address


class Desk:
    """Publication and withdrawal of orders.

    Args:
        database: the book.
        chain: questions to the hub.
        domain: hub and chain that orders must be signed for.
        clock: for expiry and publication times.
        entropy: random bytes, for challenges.
        quota: open orders of one kind that a signer may have.
        challenge_seconds: life of a challenge.
    """

    def __init__(
        self,
        database: Database,
        chain: ChainFacts,
        domain: Domain,
        clock: Clock,
        *,
        entropy: Callable[[int], bytes],
        quota: int,
        challenge_seconds: int,
    ) -> None:
        self._database = database
        self._chain = chain
        self._domain = domain
        self._clock = clock
        self._entropy = entropy
        self._quota = quota
        self._challenge_seconds = challenge_seconds

    async def challenge(self, address: Address) -> dict[str, Any]:
        """A fresh challenge for an address, as typed data to be signed."""
        text = challenges.challenge_text(self._entropy)
        digest = challenge_hash(text, self._domain.chain_id)
        now = self._clock.now()
        expires_at = now + self._challenge_seconds
        await self._database.write(lambda db: queries.add_challenge(db, digest, address, now, expires_at))
        return challenge_typed_data(text, self._domain.chain_id)

    async def recognise(self, header: str | None) -> Token:
        """Check a login; the challenge can still be used.

        Raises:
            IexecError: ``LOGIN_INVALID``.
        """
        token = challenges.read_token(header)
        now = self._clock.now()
        known = await self._database.read(lambda db: queries.has_challenge(db, token.digest, token.address, now))
        if not known or not await self._chain.is_signed(token.address, token.digest, token.signature):
            raise invalid_authorization()
        return token

    async def publish(self, token: Token, kind: str, body: Mapping[str, Any]) -> Listing:
        """List a signed order; the login is used up even when the order is refused.

        Raises:
            IexecError: ``BAD_ORDER``, ``LOGIN_INVALID``, and as `rules.check_publication`.
        """
        order = _read_order(kind, body)
        rules.check_form(order)
        name = order_hash(order, self._domain)
        await self._burn(token)
        signer = token.address
        rules.check_unpublished(await self._database.read(lambda db: queries.book_around(db, order, name, signer)))
        facts = await self._chain.about(order, name, signer)
        new = Listing(
            order_hash=name,
            chain_id=self._domain.chain_id,
            order=order,
            signer=signer,
            remaining=order.volume - facts.consumed,
            status=Status.OPEN,
            published_at=int(self._clock.now() * 1000),
        )

        def publish(db: Any) -> Listing:
            # Looked at again where nobody can come between: of two equal publications one is refused.
            rules.check_publication(order, facts, queries.book_around(db, order, name, signer), self._quota)
            listed = queries.publish(db, new, facts.consumed)
            if listed.status is not Status.OPEN:
                raise IexecError("ORDER_CONSUMED", "order already consumed")
            return listed

        return await self._database.write(publish)

    async def unpublish(self, token: Token, kind: str, body: Mapping[str, Any]) -> list[OrderHash]:
        """Take one order back by its hash, or the last, or all of a resource.

        Raises:
            IexecError: ``BAD_REQUEST``, ``LOGIN_INVALID``, ``ORDER_NOT_PUBLISHED``, ``ORDER_SIGNER_WRONG``.
        """
        target = body.get("target", "unpublish_orderHash")
        if target == "unpublish_orderHash":
            wanted = OrderHash(read_bytes32(_text(body, "orderHash"), "orderHash"))
            await self._burn(token)
            return await self._database.write(lambda db: _unpublish_one(db, kind, wanted, token.address))
        if target not in ("unpublish_last", "unpublish_all"):
            raise IexecError(
                "BAD_REQUEST",
                "target must be one of the following values: unpublish_orderHash, unpublish_last, unpublish_all",
            )
        field = queries.resource_name(kind)
        text = _text(body, field)
        if not is_address(text):
            raise IexecError("BAD_REQUEST", f"{field} is not a valid ethereum address")
        resource = checksum(text.lower())
        await self._burn(token)
        last = target == "unpublish_last"
        return await self._database.write(lambda db: _unpublish_many(db, kind, token.address, resource, last))

    async def _burn(self, token: Token) -> None:
        now = self._clock.now()
        if not await self._database.write(lambda db: queries.burn_challenge(db, token.digest, token.address, now)):
            raise invalid_authorization()


def _unpublish_one(db: Any, kind: str, order_hash: OrderHash, caller: Address) -> list[OrderHash]:
    listing = queries.listing(db, kind, order_hash)
    if listing is None or listing.status is not Status.OPEN:
        raise IexecError("ORDER_NOT_PUBLISHED", f"{kind} with orderHash {order_hash} is not published")
    if listing.signer != caller:
        raise IexecError("ORDER_SIGNER_WRONG", f"only order signer {listing.signer} can unpublish an order")
    queries.unpublish(db, [order_hash])
    return [order_hash]


def _unpublish_many(db: Any, kind: str, caller: Address, resource: Address, last: bool) -> list[OrderHash]:
    hashes = queries.latest_of(db, kind, caller, resource)
    if not hashes:
        field = queries.resource_name(kind)
        raise IexecError("ORDER_NOT_PUBLISHED", f"no open {kind} published by signer {caller} for {field} {resource}")
    if last:
        hashes = hashes[:1]
    queries.unpublish(db, hashes)
    return hashes


def _read_order(kind: str, body: Mapping[str, Any]) -> Order:
    if "order" not in body:
        raise IexecError("BAD_ORDER", "order is a required field")
    fields = body["order"]
    if not isinstance(fields, dict):
        raise IexecError("BAD_ORDER", "order must be an object")
    known = ORDER_KINDS[kind].__struct_fields__
    for name in known:
        if name not in fields:
            raise IexecError("BAD_ORDER", f"order.{name} is a required field")
    return decode_order(kind, {name: fields[name] for name in known})


def _text(body: Mapping[str, Any], name: str) -> str:
    if name not in body:
        raise IexecError("BAD_REQUEST", f"{name} is a required field")
    if not isinstance(body[name], str):
        raise IexecError("BAD_REQUEST", f"{name} must be a string")
    return str(body[name])
