"""A transaction is submitted once, sent in order, and ends in a block or in an explained error."""

import time

import anyio
import pytest

from pyiexec.chain.anvil import MNEMONIC, AnvilOptions
from pyiexec.chain.mnemonic import derive
from pyiexec.chain.rpc import JsonRpc
from pyiexec.chain.signer import Signer, Transaction
from pyiexec.chain.transactions import TransactionManager, TransactionStatus
from pyiexec.foundation.database import Database
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import to_hex

from . import bell
from .conftest import CHAIN_ID, OpenManager

pytestmark = pytest.mark.anyio


async def rung(rpc: JsonRpc) -> list[int]:
    logs = await rpc.call("eth_getLogs", {"address": bell.ADDRESS, "fromBlock": "0x0", "toBlock": "latest"})
    return [bell.number_of(log) for log in logs]


async def ring(manager: TransactionManager, number: int, **given: object) -> int:
    arguments: dict[str, object] = {"gas": bell.GAS} | given
    with anyio.fail_after(30):
        receipt = await manager.execute("bell", f"ring {number}", bell.ADDRESS, bell.ring(number), **arguments)
    return receipt.block_number


async def test_a_submitted_transaction_reaches_a_block(open_manager: OpenManager, rpc: JsonRpc) -> None:
    async with open_manager() as manager:
        receipt = await manager.execute("bell", "ring", bell.ADDRESS, bell.ring(7))
    assert receipt.succeeded
    assert [bell.number_of(log) for log in receipt.logs] == [7]
    assert receipt.fee == receipt.gas_used * receipt.effective_gas_price > 0


async def test_the_same_action_on_the_same_object_happens_once(open_manager: OpenManager, rpc: JsonRpc) -> None:
    async with open_manager() as manager:
        records = []

        async def submit() -> None:
            records.append(await manager.submit("bell", "ring", bell.ADDRESS, bell.ring(1), gas=bell.GAS))

        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(submit)
        await manager.wait(records[0])
        again = await manager.submit("bell", "ring", bell.ADDRESS, bell.ring(1))
    assert {record.id for record in [*records, again]} == {records[0].id}
    assert await rung(rpc) == [1]


async def test_it_happens_once_across_restarts(open_manager: OpenManager, rpc: JsonRpc) -> None:
    async with open_manager() as manager:
        first = await manager.execute("bell", "ring", bell.ADDRESS, bell.ring(1))
    async with open_manager() as manager:
        second = await manager.execute("bell", "ring", bell.ADDRESS, bell.ring(1))
    assert first.transaction_hash == second.transaction_hash
    assert await rung(rpc) == [1]


async def test_what_would_revert_is_explained_before_anything_is_sent(open_manager: OpenManager, rpc: JsonRpc) -> None:
    async with open_manager() as manager:
        with pytest.raises(IexecError, match="silence") as refusal:
            await manager.execute("bell", "nothing", bell.ADDRESS, b"")
        assert refusal.value.code == "CONTRACT_REVERTED"
        assert await manager.find("bell", "nothing") is None
    assert int(await rpc.call("eth_getTransactionCount", derive(MNEMONIC, 0).address, "pending"), 16) == 0


async def test_what_reverts_on_chain_tells_why_and_is_retried_only_on_demand(open_manager: OpenManager) -> None:
    async with open_manager() as manager:
        record = await manager.submit("bell", "ring", bell.ADDRESS, b"", gas=bell.GAS)
        with pytest.raises(IexecError, match="silence") as refusal:
            await manager.wait(record)
        assert refusal.value.code == "TRANSACTION_REVERTED"
        assert (await manager.submit("bell", "ring", bell.ADDRESS, bell.ring(1), gas=bell.GAS)).id == record.id
        retried = await manager.submit("bell", "ring", bell.ADDRESS, bell.ring(1), gas=bell.GAS, retry=True)
        assert retried.attempt == 2
        assert (await manager.wait(retried)).succeeded


async def test_running_out_of_gas_is_told_as_such(open_manager: OpenManager) -> None:
    async with open_manager() as manager:
        with pytest.raises(IexecError, match="ran out of its 21900 units of gas"):
            await manager.execute("bell", "ring", bell.ADDRESS, bell.ring(1), gas=21_900)


async def test_an_old_revert_is_still_explained_after_a_restart(open_manager: OpenManager) -> None:
    async with open_manager() as manager:
        record = await manager.submit("bell", "ring", bell.ADDRESS, b"", gas=bell.GAS)
        with pytest.raises(IexecError):
            await manager.wait(record)
    async with open_manager() as manager:
        with pytest.raises(IexecError, match="silence"):
            await manager.execute("bell", "ring", bell.ADDRESS, b"", gas=bell.GAS)


async def test_an_account_without_coins_is_told_so_and_may_try_again_once_funded(
    open_manager: OpenManager, rpc: JsonRpc
) -> None:
    pauper = Signer.from_key(b"\x07" * 32)
    async with open_manager(signer=pauper) as manager:
        with anyio.fail_after(20):
            for _ in range(2):
                with pytest.raises(IexecError) as refusal:
                    await manager.execute("bell", "ring", bell.ADDRESS, bell.ring(1), gas=bell.GAS)
                assert refusal.value.code == "INSUFFICIENT_FUNDS"
                assert pauper.address in refusal.value.what
            await rpc.call("anvil_setBalance", pauper.address, hex(10**18))
            assert (await manager.execute("bell", "ring", bell.ADDRESS, bell.ring(1), gas=bell.GAS)).succeeded


async def test_one_that_no_node_takes_does_not_hold_up_the_others(open_manager: OpenManager, rpc: JsonRpc) -> None:
    async with open_manager() as manager:
        records = [
            await manager.submit("bell", f"ring {n}", bell.ADDRESS, bell.ring(n), gas=10**9 if n == 2 else bell.GAS)
            for n in range(6)
        ]
        with anyio.fail_after(30):
            for number, record in enumerate(records):
                if number == 2:
                    with pytest.raises(IexecError) as refusal:
                        await manager.wait(record)
                    assert refusal.value.code == "CHAIN_REFUSED"
                else:
                    await manager.wait(record)
    # A later one may take the nonce that became free, so only here the order is not that of submission.
    assert sorted(await rung(rpc)) == [0, 1, 3, 4, 5]


async def test_no_more_than_the_bound_are_in_flight_and_all_arrive_in_order(
    open_manager: OpenManager, rpc: JsonRpc
) -> None:
    most = 0
    async with open_manager(in_flight=4) as manager:
        records = []
        for number in range(40):
            records.append(await manager.submit("bell", str(number), bell.ADDRESS, bell.ring(number), gas=bell.GAS))
            most = max(most, manager.in_flight)
        with anyio.fail_after(30):
            for record in records:
                await manager.wait(record)
                most = max(most, manager.in_flight)
    assert most <= 4
    assert await rung(rpc) == list(range(40))


async def test_a_contract_is_created(open_manager: OpenManager, rpc: JsonRpc) -> None:
    initcode = bytes.fromhex("60015ff3")  # its code is one byte: STOP
    async with open_manager() as manager:
        receipt = await manager.execute("network", "deploy", None, initcode)
    assert receipt.contract_address is not None
    assert await rpc.call("eth_getCode", receipt.contract_address, "latest") != "0x"


async def test_a_failed_creation_is_explained(open_manager: OpenManager) -> None:
    async with open_manager() as manager:
        with pytest.raises(IexecError) as refusal:
            await manager.execute("network", "deploy", None, bytes.fromhex("5f5ffd"), gas=100_000)
    assert refusal.value.code == "TRANSACTION_REVERTED"


async def test_another_program_that_uses_the_account_is_survived(
    open_manager: OpenManager, rpc: JsonRpc, signer: Signer
) -> None:
    async with open_manager() as manager:
        await ring(manager, 0)
        foreign = Transaction(
            chain_id=CHAIN_ID,
            nonce=1,
            max_priority_fee_per_gas=10**9,
            max_fee_per_gas=10**11,
            gas=21_000,
            to=signer.address,
        )
        await rpc.call("eth_sendRawTransaction", to_hex(signer.sign_transaction(foreign)))
        records = [
            await manager.submit("bell", f"ring {n}", bell.ADDRESS, bell.ring(n), gas=bell.GAS) for n in (1, 2, 3)
        ]
        with anyio.fail_after(30):
            for record in records:
                assert (await manager.wait(record)).succeeded
    assert sorted(await rung(rpc)) == [0, 1, 2, 3]


async def test_a_node_of_another_chain_is_refused(open_manager: OpenManager) -> None:
    async with open_manager(chain_id=1) as manager:
        with pytest.raises(IexecError, match="chain 31337, not 1"):
            await manager.submit("bell", "ring", bell.ADDRESS, bell.ring(1), gas=bell.GAS)


async def test_a_cancelled_caller_leaves_the_transaction_to_happen(open_manager: OpenManager, rpc: JsonRpc) -> None:
    async with open_manager() as manager:
        await ring(manager, 0)
        async with anyio.create_task_group() as group:
            group.start_soon(ring, manager, 1)
            await anyio.lowlevel.checkpoint()
            await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
        await ring(manager, 2)
        if await manager.find("bell", "ring 1"):
            await ring(manager, 1)
    assert await rung(rpc) in ([0, 1, 2], [0, 2])


async def test_an_idle_manager_asks_nothing_and_writes_nothing(
    open_manager: OpenManager, rpc: JsonRpc, database: Database
) -> None:
    async with open_manager() as manager:
        await ring(manager, 0)
        await database.write(lambda _: None)
        requests, commits = rpc.count, database.commits
        await anyio.sleep(2.5)
        assert (rpc.count, database.commits) == (requests, commits)


async def test_settled_records_say_in_which_block(open_manager: OpenManager) -> None:
    async with open_manager() as manager:
        block = await ring(manager, 0)
        record = await manager.find("bell", "ring 0")
    assert record is not None
    assert (record.status, record.block_number, record.nonce) == (TransactionStatus.INCLUDED, block, 0)


class TestManySenders:
    """The development chain mines a block for every transaction and still takes a pipeline."""

    @pytest.fixture
    def options(self) -> AnvilOptions:
        return AnvilOptions()

    async def test_two_thousand_transactions_of_three_senders_are_mined_in_order(
        self, open_manager: OpenManager, rpc: JsonRpc
    ) -> None:
        counts = (667, 667, 666)
        began = time.perf_counter()

        async def send(index: int, count: int) -> None:
            async with open_manager(signer=derive(MNEMONIC, index)) as manager, anyio.create_task_group() as group:
                for number in range(count):
                    data = bell.ring(index * 10_000 + number)
                    record = await manager.submit("bell", str(number), bell.ADDRESS, data, gas=bell.GAS)
                    group.start_soon(manager.wait, record)

        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                for index, count in enumerate(counts):
                    group.start_soon(send, index, count)
        print(f"2,000 transactions in {time.perf_counter() - began:.1f} s")
        numbers = await rung(rpc)
        for index, count in enumerate(counts):
            assert [n - index * 10_000 for n in numbers if n // 10_000 == index] == list(range(count))
