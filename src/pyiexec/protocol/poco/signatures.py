"""Who stands behind an order or a contribution, and who may be dealt with.

Source: PoCo 6.2, generic signature verifier and restrictions; ERC-1271, ERC-734, EIP-2098, EIP-191.
"""

from __future__ import annotations

from functools import partial

from pyiexec.protocol.poco.refusals import require
from pyiexec.protocol.poco.store import SIGNATURE_MAX, Store
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, OrderHash, to_bytes

_KEY_LENGTHS = (64, 65)


class Signatures(Store):
    """Signatures by keys, by contracts, and by transactions made before."""

    def _signed(self, account: Address, digest: bytes, signature: bytes) -> bool:
        """Whether `signature` over `digest` is by `account`; never for the null address.

        Raises:
            Refusal: ``invalid-signature-format`` when no contract stands there and no key makes such a signature.
        """
        by_key = len(signature) in _KEY_LENGTHS
        if by_key and account != NULL_ADDRESS and self.world.recover(digest, signature) == account:
            return True
        contract = self.world.contracts.get(account)
        if contract is not None:
            return self.world.agrees(partial(contract.is_valid_signature, digest, signature))
        require(by_key, "invalid-signature-format")
        return False

    def _authorized(self, account: Address, order: OrderHash, signature: bytes) -> bool:
        """Whether `account` signed the order, on chain before or now."""
        return self.verify_presignature(account, order) or self._signed(account, to_bytes(order), signature)

    def is_member(self, group: Address, account: Address) -> bool:
        """Whether `group` is a contract that has `account` as a member."""
        contract = self.world.contracts.get(group)
        return contract is not None and self.world.agrees(partial(contract.has_member, account))

    def _allows(self, restriction: Address, account: Address) -> bool:
        """Whether an order's restriction is none, is `account`, or is a group that it belongs to."""
        return restriction in (NULL_ADDRESS, account) or self.is_member(restriction, account)

    # --- views --------------------------------------------------------------------------------------------------------

    def verify_signature(self, identity: Address, digest: OrderHash, signature: bytes) -> bool:
        """Whether `signature` over `digest` is by `identity`.

        Raises:
            Refusal: ``invalid-signature-format``.
        """
        require(len(signature) <= SIGNATURE_MAX)
        return self._signed(identity, to_bytes(digest), signature)

    def verify_presignature(self, identity: Address, order: OrderHash) -> bool:
        """Whether `identity` signed the order by a transaction."""
        return identity != NULL_ADDRESS and self.presigned.get(order) == identity

    def verify_presignature_or_signature(self, identity: Address, order: OrderHash, signature: bytes) -> bool:
        """Whether either holds.

        Raises:
            Refusal: ``invalid-signature-format``, unless the order was signed by a transaction.
        """
        return self.verify_presignature(identity, order) or self.verify_signature(identity, order, signature)
