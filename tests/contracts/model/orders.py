"""Random orders: mostly such as fit together, signed by whom they should be."""

from __future__ import annotations

from typing import Any

import msgspec

from pyiexec.protocol.eip712 import operation_hash
from pyiexec.protocol.orders import AppOrder, DatasetOrder, Order, RequestOrder, WorkerpoolOrder
from pyiexec.protocol.poco.matching import FourOrders
from pyiexec.protocol.primitives import NULL_BYTES32, bytes32, to_bytes, to_hex
from pyiexec.protocol.tags import GPU, SCONE, TDX, TEE

from .dice import Dice
from .stage import CONSUMERS, PEOPLE, Mirror, Stage

STRUCTS = {"app": AppOrder, "dataset": DatasetOrder, "workerpool": WorkerpoolOrder, "request": RequestOrder}
KINDS = tuple(STRUCTS)
#: More than any order can ever serve.
ENDLESS = 2**53 - 1

_RESTRICTIONS = (
    ("app", "datasetrestrict", "dataset"),
    ("app", "workerpoolrestrict", "workerpool"),
    ("app", "requesterrestrict", "requester"),
    ("dataset", "apprestrict", "app"),
    ("dataset", "workerpoolrestrict", "workerpool"),
    ("dataset", "requesterrestrict", "requester"),
    ("workerpool", "apprestrict", "app"),
    ("workerpool", "datasetrestrict", "dataset"),
    ("workerpool", "requesterrestrict", "requester"),
    ("request", "workerpool", "workerpool"),
)

Fields = dict[str, dict[str, Any]]


class OrderMill:
    """Makes orders for one history."""

    def __init__(self, stage: Stage, mirror: Mirror) -> None:
        self.stage = stage
        self.mirror = mirror
        self._salt = 0

    def four(self, dice: Dice, *, boost: bool = False, calm: bool = False) -> FourOrders:
        """Orders that fit together; unless `calm`, now and then not quite."""
        fields = self._fitting(dice, boost)
        disturbed = not calm and dice.chance(20)
        if disturbed:
            for _ in range(dice.pick(1, 2)):
                self._disturb(dice, fields)
        orders = {kind: self._order(kind, fields[kind]) for kind in KINDS}
        odd = None if calm else dice.pick(*[None] * 9, *KINDS)
        signed = {kind: self.signed(dice, order, odd=kind == odd) for kind, order in orders.items()}
        return FourOrders(**signed)

    def _fitting(self, dice: Dice, boost: bool) -> Fields:
        app, dataset = dice.pick("app 0", "app 1"), dice.pick("nobody", "dataset 0", "dataset 1")
        pool, requester = dice.pick(*["workerpool 0"] * 3, "workerpool 1"), self._requester(dice)
        tag = dice.pick(0, 0, 0, TEE | SCONE, GPU)
        price = dice.pick(0, 1000), dice.pick(0, 10**6), dice.pick(10**9, 7, 10**11, 10**9 + 15, 0)
        category = dice.pick(0, 0, 1)
        bag = {"tag": bytes32(tag), "volume": dice.pick(1, 2, 3)}
        without = dataset == "nobody" and dice.usually(70)
        fields: Fields = {
            "app": {"app": app, "appprice": price[0]} | bag,
            "dataset": {"dataset": dataset, "datasetprice": 0 if without else price[1]} | bag,
            "workerpool": {"workerpool": pool, "workerpoolprice": price[2], "category": category, "trust": 300} | bag,
            "request": {
                "app": app,
                "appmaxprice": price[0] + dice.pick(0, 5),
                "dataset": dataset,
                "datasetmaxprice": price[1],
                "workerpool": dice.pick("nobody", pool),
                "workerpoolmaxprice": price[2],
                "requester": requester,
                "category": category,
                "trust": dice.pick(0, 1) if boost else dice.pick(1, 0, 2, 3, 5, 10, 40, 200),
                "beneficiary": dice.pick(requester, "nobody", "stranger"),
                "callback": dice.pick(*["nobody"] * 6, *CONSUMERS, "stranger", "token", "hub"),
                "params": dice.pick("", '{"iexec_args":"1"}', '{"bulk_cid":"' + "x" * 300 + '"}'),
            }
            | bag,
        }
        # What the frameworks of a dataset's tag say binds nobody.
        fields["dataset"]["tag"] = bytes32(tag & ~SCONE | dice.pick(0, TDX)) if tag & TEE else bag["tag"]
        if without:
            fields["dataset"] |= {"tag": NULL_BYTES32, "volume": 0}
        longer = dice.pick((), *((kind,) for kind in KINDS), KINDS)
        for kind in longer:
            if not (kind == "dataset" and without):
                fields[kind]["volume"] = dice.pick(5, ENDLESS, 2**256 - 1) if len(longer) == 1 else ENDLESS
        return fields

    def _requester(self, dice: Dice) -> str:
        return dice.pick(*["requester"] * 3, "sponsor", "yes", "worker 5")

    def _disturb(self, dice: Dice, fields: Fields) -> None:
        """A change that mostly makes the orders unfit."""
        change = dice.pick(
            *["restriction"] * 4, "category", "trust", "price", "tag", "asset", "other", "volume", "party"
        )
        request = fields["request"]
        if change == "restriction":
            kind, field, role = dice.choose(_RESTRICTIONS)
            fitting = request["requester"] if role == "requester" else fields[role][role]
            fields[kind][field] = dice.pick(fitting, "yes", "talkative", "stranger", "no", "angry", "silent", "app 0")
        elif change == "category":
            fields[dice.pick("workerpool", "request")]["category"] = dice.pick(2, 7, 2**200)
            if dice.chance(50):
                request["category"] = fields["workerpool"]["category"]
        elif change == "trust":
            fields[dice.pick("workerpool", "request")]["trust"] = dice.pick(0, 301, 2**20, 2**24, 2**255)
            if dice.chance(30):
                fields["workerpool"]["trust"] = request["trust"]
        elif change == "price":
            kind = dice.choose(KINDS[:3])
            amount = dice.pick(request[f"{kind}maxprice"] + 1, 2**60, 2**96, 2**255)
            fields[kind][f"{kind}price"] = amount
            if dice.chance(50):
                request[f"{kind}maxprice"] = amount
        elif change == "tag":
            fields[dice.choose(KINDS)]["tag"] = bytes32(dice.pick(0, TEE, GPU, 1 << 255, TEE | GPU))
        elif change == "asset":
            request[dice.pick("app", "dataset")] = dice.pick("app 0", "app 1", "dataset 0", "nobody")
        elif change == "other":
            # What no registry, or another one, knows.
            kind = dice.choose(KINDS[:3])
            fields[kind][kind] = dice.pick("yes", "app 0", "dataset 0", "workerpool 0", "stranger")
            request[kind] = fields[kind][kind] if kind != "workerpool" else "nobody"
        elif change == "volume":
            fields[dice.choose(KINDS)]["volume"] = dice.pick(0, 1, 4)
        else:
            request["requester"] = dice.pick(*PEOPLE, "no", "angry", "talkative", "nobody")

    def _order(self, kind: str, fields: dict[str, Any]) -> Order:
        self._salt += 1
        named = {
            name: self.stage.addresses.get(value, value) if isinstance(value, str) else value
            for name, value in fields.items()
        }
        return STRUCTS[kind](**named, salt=bytes32(self._salt))

    # --- signatures ---------------------------------------------------------------------------------------------------

    def owner(self, order: Order) -> str:
        """The name of whoever may sign the order, now."""
        if isinstance(order, RequestOrder):
            return self.stage.name(order.requester)
        kind = next(kind for kind, struct in STRUCTS.items() if struct is type(order))
        owner = self.mirror.registries[f"{kind}s"].entry(getattr(order, kind)).owner
        return self.stage.name(owner)

    def signed(self, dice: Dice, order: Order, *, odd: bool = False) -> Any:
        """The order signed by its owner; when `odd`, in a way that mostly does not count."""
        owner = self.owner(order)
        flavour = dice.pick("plain", "compact", "low") if not odd else dice.pick("stranger", "broken", "short", "none")
        signer = "stranger" if flavour == "stranger" else owner
        digest = to_bytes(self.mirror.hub.hash(order))
        return msgspec.structs.replace(order, sign=to_hex(self._signature(signer, digest, flavour)))

    def again(self, dice: Dice, order: Any, **fields: Any) -> Any:
        """A fresh order on the same terms but for `fields`, signed."""
        self._salt += 1
        return self.signed(dice, msgspec.structs.replace(order, salt=bytes32(self._salt), **fields))

    @staticmethod
    def unsigned(order: Any) -> Any:
        """The order without its signature."""
        return msgspec.structs.replace(order, sign="0x")

    def operation(self, order: Order, operation: int, signer: str) -> bytes:
        """A signature over what is to be done to the order."""
        if operation > 1:
            return b""
        return self._signature(signer, to_bytes(operation_hash(order, operation, self.mirror.hub.domain)), "plain")

    def _signature(self, signer: str, digest: bytes, flavour: str) -> bytes:
        if flavour == "none":
            return b""
        if signer not in self.stage.signers:
            return b"\x11" * (60 if flavour == "short" else 65)
        sign = self.stage.signers[signer].sign_digest(digest)
        if flavour == "compact":
            s = int.from_bytes(sign[32:64], "big") | (sign[64] - 27) << 255
            return sign[:32] + s.to_bytes(32, "big")
        if flavour == "low":
            return sign[:64] + bytes([sign[64] - 27])
        if flavour == "broken":
            return sign[:5] + bytes([sign[5] ^ 1]) + sign[6:]
        return sign[:-3] if flavour == "short" else sign
