"""Call data of the hub's transactions: one pure function for each.

Byte strings are `bytes`, hashes and addresses ``0x`` strings, amounts nRLC. Who may send what, and when it reverts, is
told by PoCo 6.2.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyiexec.chain.hub import FUNCTIONS
from pyiexec.protocol.orders import (
    AppOrder,
    DatasetOrder,
    Order,
    OrderOperation,
    RequestOrder,
    WorkerpoolOrder,
    order_to_abi,
)
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, DealId, ResultDigest, ResultHash, ResultSeal, TaskId

_MANAGE = {
    AppOrder: FUNCTIONS["manageAppOrder"],
    DatasetOrder: FUNCTIONS["manageDatasetOrder"],
    WorkerpoolOrder: FUNCTIONS["manageWorkerpoolOrder"],
    RequestOrder: FUNCTIONS["manageRequestOrder"],
}


# --- escrow -------------------------------------------------------------------------------------------------------


def deposit(amount: int) -> bytes:
    """Move `amount` nRLC, approved beforehand, from the sender's wallet into its account."""
    return FUNCTIONS["deposit"].encode(amount)


def deposit_for(amount: int, target: Address) -> bytes:
    """Move `amount` nRLC from the sender's wallet into the account of `target`."""
    return FUNCTIONS["depositFor"].encode(amount, target)


def deposit_for_array(amounts: Sequence[int], targets: Sequence[Address]) -> bytes:
    """`deposit_for` several accounts at once."""
    return FUNCTIONS["depositForArray"].encode(amounts, targets)


def withdraw(amount: int) -> bytes:
    """Pay `amount` free nRLC of the sender's account out to its wallet."""
    return FUNCTIONS["withdraw"].encode(amount)


def withdraw_to(amount: int, target: Address) -> bytes:
    """Pay `amount` free nRLC of the sender's account out to the wallet of `target`."""
    return FUNCTIONS["withdrawTo"].encode(amount, target)


def transfer(recipient: Address, amount: int) -> bytes:
    """Move `amount` free nRLC between two accounts of the hub."""
    return FUNCTIONS["transfer"].encode(recipient, amount)


# --- orders -------------------------------------------------------------------------------------------------------


def match_orders(
    app: AppOrder,
    dataset: DatasetOrder,
    workerpool: WorkerpoolOrder,
    request: RequestOrder,
    *,
    sponsor: bool = False,
    boost: bool = False,
) -> bytes:
    """Make a deal of four orders, paid by the requester; with `sponsor`, by the sender.

    With `boost` each task takes a single transaction, `push_result_boost`.
    """
    function = FUNCTIONS[("sponsorMatchOrders" if sponsor else "matchOrders") + ("Boost" if boost else "")]
    orders: tuple[Order, ...] = (app, dataset, workerpool, request)
    return function.encode(*map(order_to_abi, orders))


def manage_order(order: Order, operation: OrderOperation, sign: bytes = b"") -> bytes:
    """Sign or close an order on chain; `sign` is needed when the sender does not own what is offered."""
    return _MANAGE[type(order)].encode((order_to_abi(order), int(operation), sign))


# --- tasks --------------------------------------------------------------------------------------------------------


def initialize(deal_id: DealId, index: int) -> bytes:
    """Open a task of a deal for contributions; `index` counts from the deal's ``bot_first``."""
    return FUNCTIONS["initialize"].encode(deal_id, index)


def initialize_array(deal_ids: Sequence[DealId], indexes: Sequence[int]) -> bytes:
    """`initialize` several tasks; all or none."""
    return FUNCTIONS["initializeArray"].encode(deal_ids, indexes)


def contribute(
    task_id: TaskId,
    result_hash: ResultHash,
    result_seal: ResultSeal,
    authorization_sign: bytes,
    enclave_challenge: Address = NULL_ADDRESS,
    enclave_sign: bytes = b"",
) -> bytes:
    """Commit to a result and lock the worker's stake."""
    return FUNCTIONS["contribute"].encode(
        task_id, result_hash, result_seal, enclave_challenge, enclave_sign, authorization_sign
    )


def contribute_and_finalize(
    task_id: TaskId,
    result_digest: ResultDigest,
    results: bytes,
    authorization_sign: bytes,
    results_callback: bytes = b"",
    enclave_challenge: Address = NULL_ADDRESS,
    enclave_sign: bytes = b"",
) -> bytes:
    """Contribute, reveal and finalize in one step, where a single worker suffices (trust 0 or 1)."""
    return FUNCTIONS["contributeAndFinalize"].encode(
        task_id, result_digest, results, results_callback, enclave_challenge, enclave_sign, authorization_sign
    )


def reveal(task_id: TaskId, result_digest: ResultDigest) -> bytes:
    """Open the commitment of the sender, after consensus."""
    return FUNCTIONS["reveal"].encode(task_id, result_digest)


def reopen(task_id: TaskId) -> bytes:
    """Start another round when nobody revealed in time."""
    return FUNCTIONS["reopen"].encode(task_id)


def finalize(task_id: TaskId, results: bytes, results_callback: bytes = b"") -> bytes:
    """Publish where the result is and settle the money."""
    return FUNCTIONS["finalize"].encode(task_id, results, results_callback)


def claim(task_id: TaskId) -> bytes:
    """Refund a task that missed its final deadline."""
    return FUNCTIONS["claim"].encode(task_id)


def claim_array(task_ids: Sequence[TaskId]) -> bytes:
    """`claim` several tasks; all or none."""
    return FUNCTIONS["claimArray"].encode(task_ids)


def initialize_and_claim_array(deal_ids: Sequence[DealId], indexes: Sequence[int]) -> bytes:
    """Refund tasks that were never even initialized."""
    return FUNCTIONS["initializeAndClaimArray"].encode(deal_ids, indexes)


def push_result_boost(
    deal_id: DealId,
    index: int,
    results: bytes,
    authorization_sign: bytes,
    results_callback: bytes = b"",
    enclave_challenge: Address = NULL_ADDRESS,
    enclave_sign: bytes = b"",
) -> bytes:
    """Do a task of a Boost deal; `index` counts from 0."""
    return FUNCTIONS["pushResultBoost"].encode(
        deal_id, index, results, results_callback, authorization_sign, enclave_challenge, enclave_sign
    )


def claim_boost(deal_id: DealId, index: int) -> bytes:
    """Refund a task of a Boost deal that missed its deadline."""
    return FUNCTIONS["claimBoost"].encode(deal_id, index)


# --- administration -----------------------------------------------------------------------------------------------


def configure(
    token: Address,
    apps: Address,
    datasets: Address,
    workerpools: Address,
    *,
    name: str = "Staked RLC",
    symbol: str = "SRLC",
    decimals: int = 9,
    v3_hub: Address = NULL_ADDRESS,
) -> bytes:
    """Set token and registries, once, by the owner."""
    return FUNCTIONS["configure"].encode(token, name, symbol, decimals, apps, datasets, workerpools, v3_hub)


def create_category(name: str, description: str, work_clock_time_ref: int) -> bytes:
    """Append a category whose unit of time is `work_clock_time_ref` seconds; by the owner."""
    return FUNCTIONS["createCategory"].encode(name, description, work_clock_time_ref)


def set_callback_gas(gas: int) -> bytes:
    """Gas kept for callbacks; by the owner."""
    return FUNCTIONS["setCallbackGas"].encode(gas)


def set_tee_broker(broker: Address) -> bytes:
    """Account trusted to vouch for enclaves; by the owner."""
    return FUNCTIONS["setTeeBroker"].encode(broker)


def change_registries(apps: Address, datasets: Address, workerpools: Address) -> bytes:
    """Replace the three registries; by the owner."""
    return FUNCTIONS["changeRegistries"].encode(apps, datasets, workerpools)


def transfer_ownership(new_owner: Address) -> bytes:
    """Give the hub to `new_owner`; by the owner."""
    return FUNCTIONS["transferOwnership"].encode(new_owner)


def import_score(worker: Address) -> bytes:
    """Take a worker's reputation over from the older hub, once."""
    return FUNCTIONS["importScore"].encode(worker)
