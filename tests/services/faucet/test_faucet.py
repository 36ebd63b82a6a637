"""A faucet over a real chain: who is given what, what a crash leaves behind, and what it refuses."""

from __future__ import annotations

import asyncio
import io
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import pytest
import sqlalchemy as sa
from tests.services.serving import SetClock, served

from pyiexec.chain import escrow
from pyiexec.chain.anvil import MNEMONIC, Anvil, AnvilOptions
from pyiexec.chain.deployment import Manifest, deploy
from pyiexec.chain.mnemonic import derive
from pyiexec.chain.networks import NetworkKind
from pyiexec.chain.rpc import JsonRpc
from pyiexec.chain.signer import Signer
from pyiexec.faucet.service import MIGRATIONS, serve
from pyiexec.faucet.settings import FaucetSettings
from pyiexec.faucet.tables import GIFTS
from pyiexec.foundation.database import Database
from pyiexec.foundation.http import http_session
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address, to_hex
from pyiexec.protocol.units import NRLC_PER_RLC
from pyiexec.sdk.faucet import ask_faucet

PAYER = derive(MNEMONIC, 0)
GIFT = 5 * NRLC_PER_RLC


class Chain(NamedTuple):
    url: str
    manifest: Manifest


@pytest.fixture(scope="module", params=["token", "native"])
def chain(request: pytest.FixtureRequest) -> Iterator[Chain]:
    """A hub whose money belongs to the faucet's account."""

    async def prepare(url: str) -> Manifest:
        async with JsonRpc(url) as rpc:
            return await deploy(rpc, PAYER, variant=request.param)

    with asyncio.Runner() as runner:
        anvil = runner.run(Anvil(AnvilOptions(block_time=0.2, mixed=True)).start())
        try:
            yield Chain(anvil.url, runner.run(prepare(anvil.url)))
        finally:
            runner.run(anvil.stop())


class Faucet(NamedTuple):
    """A running faucet."""

    url: str
    chain: Chain
    clock: SetClock

    async def post(
        self, content: bytes | io.BytesIO, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        async with (
            http_session() as session,
            session.post(f"{self.url}/gifts", data=content, headers=headers) as response,
        ):
            return response.status, await response.json()

    async def holds(self, account: Address) -> tuple[int, int]:
        """NRLC and wei in a wallet."""
        async with JsonRpc(self.chain.url) as rpc:
            nrlc = await escrow.wallet_balance(rpc, self.chain.manifest.token, account)
            return nrlc, int(await rpc.call("eth_getBalance", account, "latest"), 16)


def settings_for(chain: Chain, database: str, folder: Path, **more: Any) -> FaucetSettings:
    key = folder / "faucet.key"
    key.touch(mode=0o600)
    key.write_text(to_hex(PAYER.secret))
    return FaucetSettings(
        database_url=database, key_file=key, rpc_url=chain.url, hub=chain.manifest.hub, **{"rate_limit": 1000} | more
    )


@asynccontextmanager
async def running(chain: Chain, settings: FaucetSettings) -> AsyncIterator[Faucet]:
    clock = SetClock()
    async with served(serve, settings, clock=clock) as url:
        yield Faucet(url, chain, clock)


@pytest.fixture
def play(chain: Chain, database_url: str, tmp_path: Path) -> Callable[..., None]:
    """Runs a story with a faucet on a database of each kind."""

    def run(story: Callable[[Faucet], Any], **more: Any) -> None:
        async def whole() -> None:
            async with running(chain, settings_for(chain, database_url, tmp_path, **more)) as faucet:
                await story(faucet)

        asyncio.run(whole())

    return run


def newcomer() -> Signer:
    return Signer.from_key(secrets.token_bytes(32))


def test_a_newcomer_is_given_money_and_coin_for_gas_once_a_day(play: Callable[..., None]) -> None:
    async def story(faucet: Faucet) -> None:
        account = newcomer().address
        gift = await ask_faucet(faucet.url, account)
        assert gift.nrlc == GIFT
        nrlc, wei = await faucet.holds(account)
        native = escrow.is_native(faucet.chain.manifest.token)
        assert nrlc == GIFT
        assert wei == (GIFT * escrow.WEI_PER_NRLC if native else 10**17) == int(gift.wei) + (wei if native else 0)
        assert len(gift.transactions) == (1 if native else 2)
        with pytest.raises(IexecError) as refused:
            await ask_faucet(faucet.url, account)
        assert refused.value.code == "FAUCET_COOLDOWN"
        faucet.clock.offset += 24 * 3600
        with pytest.raises(IexecError) as refused:
            await ask_faucet(faucet.url, account)
        assert refused.value.code == "FAUCET_NOT_NEEDED"

    play(story)


def test_of_many_wishes_for_one_account_at_once_one_is_granted(play: Callable[..., None]) -> None:
    async def story(faucet: Faucet) -> None:
        account = newcomer().address
        answers: list[str] = []

        async def ask() -> None:
            try:
                answers.append((await ask_faucet(faucet.url, account)).account)
            except IexecError as error:
                answers.append(error.code)

        async with anyio.create_task_group() as group:
            for _ in range(8):
                group.start_soon(ask)
        assert sorted(answers) == sorted([account, *["FAUCET_COOLDOWN"] * 7])
        assert (await faucet.holds(account))[0] == GIFT

    play(story)


def test_what_was_promised_before_a_crash_is_paid_once(chain: Chain, database_url: str, tmp_path: Path) -> None:
    settings = settings_for(chain, database_url, tmp_path)
    account = newcomer().address

    async def story() -> None:
        database = await Database.open(settings.database_url, [MIGRATIONS])
        gift = {"account": account, "nrlc": str(GIFT), "wei": "7", "promised_at": SetClock().now()}
        await database.write(lambda connection: connection.execute(sa.insert(GIFTS).values(gift)))
        await database.close()
        for _ in range(2):
            async with running(chain, settings) as faucet:
                other = newcomer().address
                await ask_faucet(faucet.url, other)
                with anyio.fail_after(20):
                    while (await faucet.holds(account))[0] == 0:
                        # Paid beside the other's gift, perhaps in the block after it.
                        async with JsonRpc(chain.url) as rpc:
                            await rpc.call("evm_mine")
            native = escrow.is_native(chain.manifest.token)
            assert await faucet.holds(account) == (GIFT, 7 + (GIFT * escrow.WEI_PER_NRLC if native else 0))

    asyncio.run(story())


def test_a_wish_without_an_address_is_refused(play: Callable[..., None]) -> None:
    wishes = [
        b"",
        b"[]",
        b'{"address": 5}',
        b'{"address": "0x1234"}',
        b'{"address": "0x00000000000000000000000000000000000000zz"}',
        b'{"address": "<script>alert(1)</script>"}',
        b'{"address": "0x\' OR 1=1 --"}',
        b"\xff\xfe",
        b"[" * 900,
        b'{"x":' + b"[" * 900,
    ]

    async def story(faucet: Faucet) -> None:
        for wish in wishes:
            status, answer = await faucet.post(wish)
            assert (status, answer["code"]) == (400, "BAD_REQUEST"), wish

    play(story)


def test_large_bodies_are_refused(play: Callable[..., None]) -> None:
    async def story(faucet: Faucet) -> None:
        status, _ = await faucet.post(io.BytesIO(b"x" * 10_000_000))
        assert status == 413

    play(story)


def test_no_header_lets_a_client_ask_without_end(play: Callable[..., None]) -> None:
    async def story(faucet: Faucet) -> None:
        statuses = []
        for number in range(5):
            forged = {
                "x-forwarded-for": f"10.0.0.{number}",
                "x-real-ip": f"10.0.0.{number}",
                "origin": "https://iex.ec",
            }
            statuses.append((await faucet.post(b"{}", forged))[0])
        assert statuses == [400, 400, 400, 429, 429]

    play(story, rate_limit=3, rate_limit_seconds=3600)


def test_an_empty_faucet_says_so(play: Callable[..., None]) -> None:
    async def story(faucet: Faucet) -> None:
        with pytest.raises(IexecError) as refused:
            await ask_faucet(faucet.url, newcomer().address)
        assert refused.value.code == "FAUCET_EMPTY"

    play(story, nrlc=10**30)


def test_a_main_network_has_none(chain: Chain, tmp_path: Path) -> None:
    settings = settings_for(chain, f"sqlite:///{tmp_path / 'faucet.db'}", tmp_path, network=NetworkKind.MAIN)

    async def story() -> None:
        async with running(chain, settings):
            pass

    with pytest.raises(ExceptionGroup) as failed:
        asyncio.run(story())
    assert failed.group_contains(IexecError, match="nothing is given away")


def test_a_network_without_one_is_told_apart_from_one_that_is_down() -> None:
    with pytest.raises(IexecError) as missing:
        asyncio.run(ask_faucet(None, newcomer().address))
    assert missing.value.code == "FAUCET_MISSING"
    with pytest.raises(IexecError) as down:
        asyncio.run(ask_faucet("http://127.0.0.1:9", newcomer().address))
    assert down.value.code == "FAUCET_UNREACHABLE"
