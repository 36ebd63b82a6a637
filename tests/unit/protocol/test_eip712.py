import time

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct, encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from pyiexec.chain.signer import recover
from pyiexec.protocol.eip712 import (
    Domain,
    challenge_hash,
    challenge_typed_data,
    domain_separator,
    ethereum_message_digest,
    operation_hash,
    operation_type_hash,
    order_hash,
    struct_hash,
    type_hash,
    typed_data,
)
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.orders import (
    ORDER_KINDS,
    AppOrder,
    DatasetOrder,
    Order,
    OrderOperation,
    RequestOrder,
    WorkerpoolOrder,
)
from pyiexec.protocol.primitives import Address, bytes32, checksum, keccak256, to_hex

orders: st.SearchStrategy[Order] = st.one_of(*map(st.from_type, ORDER_KINDS.values()))
domains = st.builds(Domain, st.integers(1, 2**64), st.binary(min_size=20, max_size=20).map(checksum))

#: Key 0 of the mnemonic that every development chain knows.
KEY_0 = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
DOMAIN = Domain(31337, checksum("0xeB196D71Bf359bfDB7Ee54429236A09DBF3966B3"))


def small(number: int) -> Address:
    return checksum(number.to_bytes(20, "big"))


APP = AppOrder(app=small(0xA1), appprice=1000, volume=5, tag=bytes32(1), salt=bytes32(0x11))
DATASET = DatasetOrder(dataset=small(0xD1), datasetprice=1_000_000, volume=5, tag=bytes32(3), salt=bytes32(0x22))
WORKERPOOL = WorkerpoolOrder(
    workerpool=small(0xB1),
    workerpoolprice=1_000_000_000,
    volume=5,
    tag=bytes32(9),
    category=2,
    trust=3,
    salt=bytes32(0x33),
)
REQUEST = RequestOrder(
    app=small(0xA1),
    appmaxprice=1000,
    dataset=small(0xD1),
    datasetmaxprice=1_000_000,
    workerpool=small(0xB1),
    workerpoolmaxprice=1_000_000_000,
    requester=checksum("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"),
    volume=5,
    tag=bytes32(1),
    category=2,
    trust=3,
    beneficiary=small(0xBE),
    callback=small(0xCB),
    params='{"iexec_args":"hello"}',
    salt=bytes32(0x44),
)


def signed_digest(typed: dict[str, object]) -> bytes:
    """The digest that eth-account would sign."""
    message = encode_typed_data(full_message=typed)
    return keccak256(b"\x19" + message.version + message.header + message.body)


def test_the_domain_separator_is_that_of_poco() -> None:
    assert to_hex(domain_separator(DOMAIN)) == "0x45e0a4766117f93e3b8ef23e482aed68e1f68432430bfa659968ce778d206ff1"


@pytest.mark.parametrize(
    ("struct", "expected", "operation"),
    [
        (
            AppOrder,
            "60815a0eeec47dddf1615fe53b31d016c31444e01b9d796db365443a6445d008",
            "0638bb0702457e2b4b01be8a202579b8bf97e587fb4f2cc4d4aad01f21a06ee0",
        ),
        (
            DatasetOrder,
            "6cfc932a5a3d22c4359295b9f433edff52b60703fa47690a04a83e40933dd47c",
            "075eb6f7578ff4292c241bd2484cd5c1d5e6ecc2ddd3317e1d8176b5a45865ec",
        ),
        (
            WorkerpoolOrder,
            "aa3429fb281b34691803133d3d978a75bb77c617ed6bc9aa162b9b30920022bb",
            "322d980b7d7a6a1f7c39ff0c5445da6ae1d8e0393ff0dd468c8be3e2c8644388",
        ),
        (
            RequestOrder,
            "f24e853034a3a450aba845a82914fbb564ad85accca6cf62be112a154520fae0",
            "0ded7b52c2d77595a40d242eca751df172b18e686326dbbed3f4748828af77c7",
        ),
    ],
)
def test_type_hashes_are_those_of_poco(struct: type[Order], expected: str, operation: str) -> None:
    assert type_hash(struct).hex() == expected
    assert operation_type_hash(struct).hex() == operation


@pytest.mark.parametrize(
    ("order", "struct", "typed", "sign", "close"),
    [
        (
            APP,
            "0xba722502807666b190bb3720e95343d803871f991a98834010f6eb0ad165a367",
            "0xa9532351f88ca61c63d3ad3cb753a5393e77bb150e5eaf945bdb73d183e3ff83",
            "0x78fb3b3b1805a6178bce6e9003fbbf417178fe160cfccbf838a06a2dbdb302ab",
            "0x722f50394acb37f7c01e8c81744605d0612b2b13686a9ff5cfa98fa322727b63",
        ),
        (
            DATASET,
            "0xdd41ee03b5db486cf001ab85cf30f3414178e10c653f2e9217ed18217fc161c8",
            "0xa4cd37ca3078af48749ce2a809f814fa663307619b80b10ee2d6cc5c8f4f7158",
            "0xd959ea2f8bb972cd16c9fc725e8e9df27a50ab58312cfb2f07e382fd99d342b0",
            "0xadd2c9b6abd6645aa681f332931995b3b6f9e471f4f02c6b0a57d29598c79f28",
        ),
        (
            WORKERPOOL,
            "0xb6d865530b9c9c63920b0dcfa1f914b567b38ccf1d5fc5c17f4b4a64e9cb57c8",
            "0x62f1b0b4299cbda4ce3eb2515b2898534ace36234d3ad15e0087cbaa461c2408",
            "0x78716a03293f91188442dd0e48d326d6b32c8fd9716871d0b2b25882413949b4",
            "0xe26c1ec5f02dd34dca99677e78d8dd5221a80b66a3c914aec396db9c98ba05b0",
        ),
        (
            REQUEST,
            "0x8daaa8f9dafedfd1f5427e8cb1a928a4fa458f02411780a3e7afc2b553585e15",
            "0x43e466b0f38b113472badd32a35268523527311813d21bc9a17ebf8886d58685",
            "0x377c109233e6f3b4f49ff1241a933d00374ae7d343486a00326f25718fa859f4",
            "0xd3e0f9b5764a831ce4d6efdfe34ec5561dec0d5b3719e1f0c0a97704fee91999",
        ),
    ],
)
def test_orders_hash_as_the_reference_hub_hashes_them(
    order: Order, struct: str, typed: str, sign: str, close: str
) -> None:
    assert to_hex(struct_hash(order)) == struct
    assert order_hash(order, DOMAIN) == typed
    assert operation_hash(order, OrderOperation.SIGN, DOMAIN) == sign
    assert operation_hash(order, OrderOperation.CLOSE, DOMAIN) == close


def test_the_request_of_the_vectors_has_the_signature_of_the_vectors() -> None:
    expected = (
        "0x878235194fc4f27854fe1f9fccfc56a68cd2d08e07051aeac9cc063cb5ad7e8a"
        "445909b2bd0e56e68ae36d5d591f458235e62865ea83a613bb071fa9ef545bfa1c"
    )
    signed = Account.sign_message(encode_typed_data(full_message=typed_data(REQUEST, DOMAIN)), KEY_0)
    assert to_hex(bytes(signed.signature)) == expected
    assert to_hex(bytes(signed.message_hash)) == order_hash(REQUEST, DOMAIN)


def test_an_order_captured_from_the_js_client_has_its_hash() -> None:
    order = AppOrder(
        app=checksum("0x43a112e717C318aA76777b01A307e59b115950A5"),
        appprice=500_000_000,
        volume=3,
        tag=bytes32(9),
        salt=bytes32("0x4a48b017d0425b75aa0d00e088465b21b7696be9ecf0ff245c7821d371a5a733"),
    )
    domain = Domain(65535, checksum("0x5FC8d32690cc91D4c39d9d3abcBD16989F875707"))
    assert order_hash(order, domain) == "0x7623498602528b8da9fe0e89d12da5686453b7ad943f4918896f5314d0800ba7"


@given(orders, domains)
def test_order_hashes_agree_with_eth_account(order: Order, domain: Domain) -> None:
    assert to_hex(signed_digest(typed_data(order, domain))) == order_hash(order, domain)


@given(orders, domains, st.sampled_from(OrderOperation))
def test_operation_hashes_agree_with_eth_account(order: Order, domain: Domain, operation: OrderOperation) -> None:
    typed = typed_data(order, domain)
    name = typed["primaryType"]
    typed["types"][f"{name}Operation"] = [
        {"name": "order", "type": name},
        {"name": "operation", "type": "uint256"},
    ]
    wrapped = typed | {
        "primaryType": f"{name}Operation",
        "message": {"order": typed["message"], "operation": int(operation)},
    }
    assert to_hex(signed_digest(wrapped)) == operation_hash(order, operation, domain)


@given(st.from_type(AppOrder), domains)
def test_the_signature_is_not_part_of_the_hash(order: AppOrder, domain: Domain) -> None:
    unsigned = AppOrder(**{name: getattr(order, name) for name in order.__struct_fields__ if name != "sign"})
    assert order_hash(order, domain) == order_hash(unsigned, domain)


@pytest.mark.parametrize(
    "order",
    [
        AppOrder(app=Address("0x12")),
        AppOrder(app=small(1), appprice=-1),
        AppOrder(app=small(1), appprice=2**256),
        AppOrder(app=small(1), tag=bytes32(0)[:-2]),  # type: ignore[arg-type]
        AppOrder(app=small(1), appprice="1"),  # type: ignore[arg-type]
        AppOrder(app=None),  # type: ignore[arg-type]
    ],
)
def test_an_order_built_with_a_member_that_does_not_fit_has_no_hash(order: AppOrder) -> None:
    with pytest.raises(IexecError) as refusal:
        order_hash(order, DOMAIN)
    assert refusal.value.code == "BAD_ORDER"


@pytest.mark.parametrize(
    ("service", "text", "digest"),
    [
        (
            "iExec Gateway",
            "Sign this message to log into iExec Gateway: 5IB4RLXIXTGXIZOHVGSPV7XRXG46WEIE",
            "0xacaa81e1e4b0bea05b45ec3b82967bd91859867cabed753d911b736c4785e23b",
        ),
        (
            "iExec Core",
            "LdGNHKECBmetjRDbgNDg5qt54qaYx1UiJYKXNdABMj4=",
            "0xc9d6d02036f1c7367282e221b495f1d647a9c1576970f838c824dd811690993e",
        ),
    ],
)
def test_login_challenges_hash_as_the_js_client_signs_them(service: str, text: str, digest: str) -> None:
    assert challenge_hash(text, 65535, service) == digest
    typed = challenge_typed_data(text, 65535, service)
    assert to_hex(signed_digest(typed)) == digest


@pytest.mark.parametrize("compact", [False, True])
def test_both_forms_of_the_signature_of_the_vectors_name_the_requester(compact: bool) -> None:
    r, s = "878235194fc4f27854fe1f9fccfc56a68cd2d08e07051aeac9cc063cb5ad7e8a", "445909b2bd0e56e68ae36d5d591f4582"
    rest = "35e62865ea83a613bb071fa9ef545bfa"
    signature = bytes.fromhex(r + "c" + s[1:] + rest if compact else r + s + rest + "1c")
    assert recover(bytes.fromhex(order_hash(REQUEST, DOMAIN)[2:]), signature) == REQUEST.requester


def test_message_digests_agree_with_eth_account() -> None:
    message = encode_defunct(keccak256(b"anything"))
    assert ethereum_message_digest(keccak256(b"anything")) == keccak256(
        b"\x19" + message.version + message.header + message.body
    )


def test_hashing_an_order_takes_well_under_a_hundred_microseconds() -> None:
    order_hash(REQUEST, DOMAIN)
    best = min(_seconds_of_hundred() for _ in range(50))
    assert best / 100 < 100e-6


def _seconds_of_hundred() -> float:
    """Time of this thread alone, so that a busy machine does not matter."""
    start = time.thread_time()
    for _ in range(100):
        order_hash(REQUEST, DOMAIN)
    return time.thread_time() - start
