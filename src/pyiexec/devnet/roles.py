"""Who is who on a local network: accounts of the public test mnemonic, by role."""

from __future__ import annotations

from pyiexec.chain.anvil import MNEMONIC
from pyiexec.chain.mnemonic import derive
from pyiexec.chain.signer import Signer

ADMINISTRATOR, REQUESTER, APP_PROVIDER, DATASET_PROVIDER, POOL_MANAGER = range(5)
#: Gives away what it has.
FAUCET = 5
#: The first worker's index; the others follow.
FIRST_WORKER = 8
#: Most workers that a local network has accounts for.
MAX_WORKERS = 24


def account(index: int) -> Signer:
    """Test account number `index`."""
    return derive(MNEMONIC, index)


def worker_account(number: int) -> Signer:
    """Account of worker `number`, counted from 1."""
    return account(FIRST_WORKER + number - 1)


#: The accounts handed to users, by name.
NAMED = {
    "administrator": ADMINISTRATOR,
    "requester": REQUESTER,
    "app-provider": APP_PROVIDER,
    "dataset-provider": DATASET_PROVIDER,
    "pool-manager": POOL_MANAGER,
}
