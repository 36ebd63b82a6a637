"""Where people bring orders and take them back: login, checks, and the one transaction that makes them public."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pyiexec.foundation.batches import Batches
from pyiexec.foundation.clock import Clock
from pyiexec.foundation.database import Database
from pyiexec.foundation.glances import Glances
from pyiexec.market import challenges, publishing, queries, rules
from pyiexec.market.bodies import Withdrawal
from pyiexec.market.chain_facts import ChainFacts
from pyiexec.market.challenges import invalid_authorization
from pyiexec.market.listing import LIVE, Listing, Status, resource_name
from pyiexec.market.messages import refusal
from pyiexec.market.queries import NewChallenge
from pyiexec.protocol.eip712 import Domain, challenge_hash, challenge_typed_data, order_hash
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.logins import Login
from pyiexec.protocol.orders import Order
from pyiexec.protocol.primitives import Address, OrderHash

#: Challenges that are written down together at most.
_CHALLENGES_AT_ONCE = 256
#: Times that the chain is read for one publication while it moves.
_ATTEMPTS = 5


class Desk:
    """Publication and withdrawal of orders.

    Args:
        database: the book.
        glances: short reads of it.
        chain: questions to the hub.
        domain: hub and chain that orders must be signed for.
        clock: for expiry and publication times.
        entropy: random bytes, for challenges.
        quota: orders of one kind that a signer may have in the book.
        challenge_seconds: life of a challenge.
    """

    def __init__(
        self,
        database: Database,
        glances: Glances,
        chain: ChainFacts,
        domain: Domain,
        clock: Clock,
        *,
        entropy: Callable[[int], bytes],
        quota: int,
        challenge_seconds: int,
    ) -> None:
        self._database = database
        self._glances = glances
        self._chain = chain
        self._domain = domain
        self._clock = clock
        self._entropy = entropy
        self._quota = quota
        self._challenge_seconds = challenge_seconds
        self._challenges = Batches(self._remember, _CHALLENGES_AT_ONCE)

    async def challenge(self, address: Address) -> dict[str, Any]:
        """A fresh challenge for an address, as typed data to be signed; others of the address stay good."""
        text = challenges.challenge_text(self._entropy)
        digest = challenge_hash(text, self._domain.chain_id)
        expires_at = self._clock.now() + self._challenge_seconds
        await self._challenges.add(NewChallenge(digest, address, expires_at))
        return challenge_typed_data(text, self._domain.chain_id)

    async def recognise(self, header: str | None) -> Login:
        """Check a login; the challenge can still be used.

        Raises:
            IexecError: ``LOGIN_INVALID``, ``CHAIN_UNREACHABLE``.
        """
        token = challenges.read_token(header)
        now = self._clock.now()
        known = await self._glances.ask(queries.ANSWERABLE, digest=token.digest, address=token.address, now=now)
        if not known or not await self._chain.is_signed(token.address, token.digest, token.signature):
            raise invalid_authorization()
        return token

    async def publish(self, token: Login, order: Order) -> Listing:
        """List a signed order; the login is used up even when a rule refuses the order.

        Raises:
            IexecError: ``LOGIN_INVALID``, ``CHAIN_UNREACHABLE``, and as `rules.check_publication`.
        """
        name = order_hash(order, self._domain)
        if await self._is_published(name):
            await self._burn(token)
            raise refusal("published")
        for _ in range(_ATTEMPTS):
            facts = await self._chain.about(order, name, token.address)
            outcome = await self._database.write(self._publication(token, order, name, facts))
            if isinstance(outcome, IexecError):
                raise outcome
            if outcome is not None:
                return outcome
        raise refusal("retry")

    def _publication(
        self, token: Login, order: Order, name: OrderHash, facts: rules.Facts
    ) -> Callable[[Any], Listing | IexecError | None]:
        now = self._clock.now()

        def publish(db: Any) -> Listing | IexecError | None:
            # Nobody can come between these checks and the listing: of two equal publications one is refused.
            around = publishing.look_around(db, order, name, token.address)
            if around.is_outdated(facts):
                return None
            if not queries.burn_challenge(db, token.digest, token.address, now):
                return invalid_authorization()
            newest = around.update(facts)
            try:
                rules.check_publication(order, newest, publishing.book_around(db, around), self._quota)
            except IexecError as refused:
                # Given back and not raised: the login stays used up.
                return refused
            remaining = order.volume - newest.consumed
            listing = Listing(
                order_hash=name,
                chain_id=self._domain.chain_id,
                order=order,
                signer=token.address,
                remaining=remaining,
                fillable=remaining,
                status=Status.OPEN,
                published_at=int(now * 1000),
            )
            return publishing.publish(db, listing, newest, around)

        return publish

    async def unpublish(self, token: Login, kind: str, wanted: Withdrawal) -> list[OrderHash]:
        """Take one order back by its hash, or the last, or all of a resource.

        Raises:
            IexecError: ``LOGIN_INVALID``, ``ORDER_NOT_PUBLISHED``, ``ORDER_SIGNER_WRONG``.
        """
        await self._burn(token)
        now = int(self._clock.now() * 1000)
        return await self._database.write(lambda db: withdraw(db, kind, token.address, wanted, now))

    async def _is_published(self, name: OrderHash) -> bool:
        found = await self._glances.ask(queries.STATUS_OF, order_hash=name)
        return bool(found) and found[0][0] not in (Status.SUSPENDED, Status.UNPUBLISHED)

    async def _remember(self, new: Sequence[NewChallenge]) -> Sequence[None]:
        now = self._clock.now()
        await self._database.write(lambda db: queries.add_challenges(db, new, now))
        return [None] * len(new)

    async def _burn(self, token: Login) -> None:
        now = self._clock.now()
        if not await self._database.write(lambda db: queries.burn_challenge(db, token.digest, token.address, now)):
            raise invalid_authorization()


def withdraw(db: Any, kind: str, caller: Address, wanted: Withdrawal, now: int) -> list[OrderHash]:
    """Take orders of a kind out of the book for whoever calls; their hashes.

    Raises:
        IexecError: ``ORDER_NOT_PUBLISHED``, ``ORDER_SIGNER_WRONG``.
    """
    if wanted.order_hash is not None:
        listing = queries.listing(db, kind, wanted.order_hash)
        if listing is None or listing.status not in LIVE:
            raise refusal("not published", kind=kind, order_hash=wanted.order_hash)
        if listing.signer != caller:
            raise refusal("withdrawer", signer=listing.signer)
        hashes = [wanted.order_hash]
    else:
        assert wanted.resource is not None, "a withdrawal names one of the two"
        hashes = queries.withdrawable(db, kind, caller, wanted.resource)
        if not hashes:
            field = resource_name(kind)
            raise refusal("none published", kind=kind, signer=caller, field=field, resource=wanted.resource)
        if wanted.target == "unpublish_last":
            hashes = hashes[:1]
    queries.unpublish(db, kind, hashes, now)
    return hashes
