"""The one error type, and the catalogue of everything that can go wrong.

Each code says once what to do about it and whether trying again helps; a raise site adds what happened. Services turn
the code into an HTTP status, the CLI prints cause and remedy.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Entry(NamedTuple):
    """What the catalogue knows of a code."""

    remedy: str
    retry: bool = False
    http_status: int = 400


#: Every code, in alphabetical order. `docs/errors.md` is checked against it.
CATALOGUE: dict[str, Entry] = {
    "ANVIL_UNAVAILABLE": Entry(
        "Install npm (Debian: apt install npm), or name an anvil 1.7.1 binary in PYIEXEC_ANVIL.", http_status=500
    ),
    "APP_BAD_OUTPUT": Entry("Have the application leave plain files and folders in $IEXEC_OUT, no links or devices."),
    "APP_CHECKSUM_MISMATCH": Entry(
        "The app's owner must register an app whose checksum is the SHA-256 of what is stored.", http_status=409
    ),
    "APP_EXITED_NON_ZERO": Entry("Read the application's log; correct its arguments or inputs, or tell its owner."),
    "APP_IMAGE_UNAVAILABLE": Entry(
        "See whether the registry is up, and still has an image of this digest.", retry=True, http_status=404
    ),
    "APP_INVALID_IMAGE": Entry(
        "Build the image for Linux on the workers' processors, with a start command and no volume in /iexec_in or"
        " /iexec_out."
    ),
    "APP_INVALID_MODULE": Entry(
        "Build the application as a WASI preview 1 command, as `zig cc -target wasm32-wasi` does."
    ),
    "APP_LOG_FLOOD": Entry("Have the application print less, and write what matters into $IEXEC_OUT."),
    "APP_NOT_DETERMINISTIC": Entry("Remove what differs between two runs before anyone stakes on this application."),
    "APP_NOT_HASHED": Entry(
        "Register the app under an address that names its content by hash, such as /ipfs/Qm...", http_status=409
    ),
    "APP_NO_RESULT": Entry("Have the application write computed.json and the file or folder it names into $IEXEC_OUT."),
    "APP_ORDER_MISSING": Entry(
        "Ask the app's owner to publish an order (`pyiexec app publish`), or choose another app.", http_status=404
    ),
    "APP_OUTPUT_TOO_LARGE": Entry("Have the application write less, or split its work into more tasks."),
    "APP_OUT_OF_FUEL": Entry("Choose a category with more time, or split the work into more tasks."),
    "APP_OUT_OF_MEMORY": Entry("Have the application use less memory, or split its work into more tasks."),
    "APP_TIMEOUT": Entry("Choose a category with more time, or a faster worker.", retry=True),
    "APP_TOO_MANY_PROCESSES": Entry("Have the application run with fewer processes and threads."),
    "APP_TRAPPED": Entry("Tell the application's owner: it crashed. Its log may say where."),
    "APP_UNKNOWN": Entry("Check the address; `pyiexec app deploy` registers an app and prints it.", http_status=404),
    "APP_UNSUPPORTED": Entry("Choose a workerpool whose workers have a runtime for this kind of app.", http_status=409),
    "APP_WROTE_OUTSIDE": Entry("Have the application write into $IEXEC_OUT only."),
    "ARTIFACT_MISSING": Entry("Run `make contracts` to compile the contracts.", http_status=500),
    "ASSET_UNKNOWN": Entry("Check the address: no app, dataset or workerpool stands there.", http_status=404),
    "AUTHORIZATION_INVALID": Entry(
        "The scheduler must sign assignments with the key of the workerpool's owner.", http_status=403
    ),
    "BAD_ADDRESS": Entry("Give an address of 0x and 40 hexadecimal digits."),
    "BAD_AMOUNT": Entry("Give an amount such as `1.5 RLC` or `100 nRLC`; 1 RLC is 1,000,000,000 nRLC."),
    "BAD_BLOCK": Entry("Give a UnixFS block of at most 1 MiB whose links are named by SHA-256."),
    "BAD_BYTES32": Entry("Give 0x and 64 hexadecimal digits."),
    "BAD_CID": Entry("Give a CID such as Qm… or bafybei…, of SHA-256 content."),
    "BAD_HEX": Entry("Give 0x and an even number of hexadecimal digits."),
    "BAD_IMAGE": Entry("Give an image such as registry.example/team/app@sha256:..., with the digest of its manifest."),
    "BAD_KEY": Entry("Give a private key of 0x and 64 hexadecimal digits, through a keystore file or the environment."),
    "BAD_KEYSTORE": Entry("Give a version 3 keystore file as `pyiexec wallet create` or the JS CLI writes it."),
    "BAD_MESSAGE": Entry("Run the same version of pyiexec on both sides of the worker channel."),
    "BAD_MULTIADDR": Entry("Give an address such as /ipfs/Qm… or https://… for the content."),
    "BAD_ORDER": Entry("Correct the field of the order that the message names."),
    "BAD_PARAMS": Entry("Correct the key of the request's params that the message names."),
    "BAD_REQUEST": Entry("Correct the request as the message says."),
    "BAD_RESULT": Entry("Have the application write its result as its documentation says; do not use this one."),
    "BAD_SECRET": Entry("Give 1 to 4096 bytes of UTF-8 text, under a name that the kind of secret allows."),
    "BAD_SETTINGS": Entry("Correct the settings file or the PYIEXEC_ variable named."),
    "BAD_SIGNATURE": Entry("Sign with the key of the account named; signatures have 65 bytes, or 64 in compact form."),
    "BAD_TAG": Entry("Give names such as `tee,tdx`, or 0x and 64 hexadecimal digits."),
    "BAD_TRANSITION": Entry(
        "This step cannot follow the state reached: please report it with the log.", http_status=409
    ),
    "BAD_URL": Entry("Give an origin such as https://pool.example:443, without user, path or query."),
    "BALANCE_TOO_LOW": Entry("Get RLC first, or deposit less.", http_status=409),
    "CACHE_UNSAFE": Entry("Remove the folder named, or give it to this user alone (chmod 700).", http_status=500),
    "CATEGORY_REFUSED": Entry("Choose a shorter category, or a workerpool that runs longer tasks.", http_status=409),
    "CATEGORY_UNKNOWN": Entry("Choose one of the categories the hub has; they are numbered from 0.", http_status=404),
    "CHAIN_ID_WRONG": Entry("Name a node of the chain that is meant; see --rpc and --chain-id.", http_status=409),
    "CHAIN_REFUSED": Entry("Read the node's message; the transaction was not accepted.", http_status=502),
    "CHAIN_UNREACHABLE": Entry(
        "Check that the node runs and that its URL is right; `pyiexec status` shows both.", retry=True, http_status=503
    ),
    "CHANNEL_REFUSED": Entry("Ask the workerpool's manager to let the worker in.", retry=True, http_status=403),
    "CLAIMED": Entry("The sponsor of the deal has its money back; order again.", http_status=409),
    "COMPASS_UNREACHABLE": Entry("Check that the compass runs and that its URL is right.", retry=True, http_status=503),
    "CONFIRMATION_NEEDED": Entry("Add --yes to go ahead without being asked."),
    "CONSENSUS_REACHED": Entry("Nothing: the task no longer needed this worker.", http_status=409),
    "CONTENT_IS_FOLDER": Entry("Name a file in the folder: /ipfs/<cid>/<path>."),
    "CONTENT_MISMATCH": Entry(
        "Do not use the content; fetch it from another gateway, or publish it again.", http_status=502
    ),
    "CONTENT_NOT_FOUND": Entry("Check the CID, and that its owner published the content.", http_status=404),
    "CONTENT_TOO_LARGE": Entry("Send or ask for less, or raise the limit in the settings.", http_status=413),
    "CONTRACT_REVERTED": Entry("The contract refused the call for the reason named.", http_status=409),
    "CONTRIBUTION_ALREADY_SET": Entry("Give the task to another worker.", http_status=409),
    "CONTRIBUTION_REJECTED": Entry(
        "Check the worker: other workers agreed on another result, and its stake is lost.", http_status=409
    ),
    "CONTRIBUTION_TIMEOUT": Entry(
        "Claim the refund after the final deadline; choose a longer category next time.", http_status=409
    ),
    "DATABASE_UNAVAILABLE": Entry(
        "Check the database's URL, that its server runs, or the rights on its folder.", retry=True, http_status=503
    ),
    "DATASET_CHECKSUM_MISMATCH": Entry(
        "The dataset's owner must register the SHA-256 of what is stored.", http_status=409
    ),
    "DATASET_UNKNOWN": Entry("Check the dataset's address.", http_status=404),
    "DEAL_NOT_ADMITTED": Entry(
        "Claim the price back after the final deadline (`pyiexec deal claim`), and buy from another workerpool.",
        http_status=403,
    ),
    "DEAL_UNKNOWN": Entry("Check the deal id and the network.", http_status=404),
    "DECRYPTION_FAILED": Entry("Use the key that the content was encrypted for, and check that the file is whole."),
    "DEPLOYMENT_CONFLICT": Entry(
        "Ask for what the chain has, or set a deployment of your own apart with --salt.", http_status=409
    ),
    "DOWNLOAD_FAILED": Entry(
        "Install npm (Debian: apt install npm) and check that the package registry can be reached.",
        retry=True,
        http_status=502,
    ),
    "ENCRYPTION_NEEDS_ENCLAVE": Entry("Ask for an enclave (tag tee,tdx), or for a result that is not encrypted."),
    "ENGINE_FAILED": Entry("Read the container engine's log; the message is its own.", retry=True, http_status=502),
    "ENGINE_UNAVAILABLE": Entry(
        "Start the container engine, or correct `engine` in the worker's runtimes.docker.", retry=True, http_status=503
    ),
    "ENGINE_UNSAFE": Entry(
        "Give the container engine what it lacks (cgroups, seccomp), or leave runtimes.docker out.", http_status=500
    ),
    "FACTORY_UNAVAILABLE": Entry(
        "Have the chain's operator create the deterministic deployment proxy "
        "(0x4e59b44847b379578588920cA78FbF26c0B4956C), or allow transactions without replay protection.",
        http_status=409,
    ),
    "FAUCET_COOLDOWN": Entry(
        "Ask again later; what an account was given lately is meant to last.", retry=True, http_status=429
    ),
    "FAUCET_EMPTY": Entry(
        "Have whoever runs the faucet send coin and RLC to its account.", retry=True, http_status=503
    ),
    "FAUCET_MISSING": Entry("Ask the network's people for coin and RLC, or choose a test network.", http_status=404),
    "FAUCET_NOT_NEEDED": Entry("Use what the account holds; deposits in the hub do not count.", http_status=409),
    "FAUCET_REFUSED": Entry("Run a faucet on a local or test network.", http_status=403),
    "FAUCET_UNREACHABLE": Entry("Check that the faucet runs and that its URL is right.", retry=True, http_status=503),
    "FILE_UNUSABLE": Entry("Check the path, the rights on it and the free space."),
    "FINAL_DEADLINE_REACHED": Entry(
        "Claim the refund with `pyiexec task claim`; choose a longer category next time.", http_status=409
    ),
    "INITIALIZE_REFUSED": Entry(
        "Claim the refund with `pyiexec deal claim`: the chain did not open the task.", http_status=409
    ),
    "INPUT_NOT_HASHED": Entry("Give input files by URLs that name their content: .../ipfs/<cid>.", http_status=409),
    "INPUT_UNAVAILABLE": Entry("Check that the input file's URL answers.", retry=True, http_status=502),
    "INSUFFICIENT_FUNDS": Entry("Send native coin for gas to the account named.", http_status=409),
    "INTERNAL": Entry("This is a defect of pyiexec: please report it with the log.", http_status=500),
    "KEEPER_UNREACHABLE": Entry("Check that the keeper runs and that its URL is right.", retry=True, http_status=503),
    "KEY_RING_MISSING": Entry(
        "Put the key ring back from its backup: without it the secrets stored cannot be read.", http_status=500
    ),
    "KEY_RING_UNSAFE": Entry("Take the rights on the key ring from everybody else: chmod 600.", http_status=500),
    "KEY_RING_WRONG": Entry(
        "Name the key ring that belongs to this database, or put it back from its backup.", http_status=500
    ),
    "LEADERSHIP_LOST": Entry("Nothing: another process has taken over, or will.", retry=True, http_status=503),
    "LISTENERS_TOO_MANY": Entry(
        "Come back later, or ask another of the service's processes.", retry=True, http_status=503
    ),
    "LOGIN_INVALID": Entry("Ask for a new challenge, sign it and send the token once.", http_status=403),
    "LOGS_UNKNOWN": Entry(
        "Wait until a worker runs the application; logs are kept for some days after the task's end.",
        retry=True,
        http_status=404,
    ),
    "LOG_ACCESS_REFUSED": Entry("Sign with the wallet that ordered the task.", http_status=403),
    "LOG_TOKEN_INVALID": Entry("Ask for a new challenge and sign it.", http_status=401),
    "MARKET_REFUSED": Entry("Correct the request as the order book's message says.", http_status=403),
    "MARKET_UNREACHABLE": Entry(
        "Check that the order book runs and that its URL is right.", retry=True, http_status=503
    ),
    "NETWORK_RUNNING": Entry("Use it, or stop it first with `pyiexec down`.", http_status=409),
    "NETWORK_STOPPED": Entry("Start it with `pyiexec up`.", retry=True, http_status=503),
    "NETWORK_UNKNOWN": Entry("Start one with `pyiexec up`, or name a profile file with --network.", http_status=404),
    "NOT_OWNER": Entry("Use the wallet of the owner.", http_status=403),
    "NO_CONSENSUS": Entry(
        "Claim the refund after the final deadline; ask for less trust or a pool with more workers.", http_status=409
    ),
    "NO_WORKER": Entry(
        "Wait: the task goes on when a worker joins the pool; otherwise claim the refund after the final deadline.",
        retry=True,
        http_status=503,
    ),
    "ORDER_CONSUMED": Entry("Sign a new order: all of this one was matched, or it was closed.", http_status=403),
    "ORDER_MISMATCH": Entry("Change the order named so that the four fit together.", http_status=409),
    "ORDER_NOT_PUBLISHED": Entry("Look up which of your orders are open: `pyiexec orderbook`.", http_status=403),
    "ORDER_PUBLISHED": Entry("Nothing to do; sign again, with a new salt, to sell more.", http_status=403),
    "ORDER_QUOTA": Entry("Unpublish orders, or sign fewer with larger volumes.", http_status=403),
    "ORDER_SIGNER_WRONG": Entry("Use the wallet of the account named.", http_status=403),
    "ORDER_SIGN_INVALID": Entry("Sign the order for this network's hub and chain id.", http_status=403),
    "ORDER_STAKE_TOO_LOW": Entry(
        "Deposit what is missing (`pyiexec account deposit AMOUNT`), or lower price or volume.", http_status=403
    ),
    "ORDER_UNKNOWN": Entry("Check the order hash and its kind; withdrawn orders are forgotten.", http_status=404),
    "ORDER_UNSERVED": Entry("Raise the maximum price, or wait until what is asked for is offered.", http_status=403),
    "OUTPUT_EXISTS": Entry("Choose another --output, or move the folder away.", http_status=409),
    "PORT_TAKEN": Entry("Stop what listens there, or choose another port.", retry=True, http_status=503),
    "PRICE_TOO_LOW": Entry("Raise --max-price to the price shown, or wait for cheaper orders.", http_status=409),
    "RANGE_UNSATISFIABLE": Entry("Ask for bytes that the content has; its size is in Content-Range.", http_status=416),
    "RATE_LIMITED": Entry("Wait as long as Retry-After says, and ask less often.", retry=True, http_status=429),
    "REGISTRATION_OUTDATED": Entry("Sign the registration again, with a later deadline.", http_status=409),
    "REPLICATE_UNKNOWN": Entry("Look up which workers have the task: `pyiexec task debug`.", http_status=404),
    "REQUIREMENTS_UNMET": Entry(
        "Wait until a worker that has it joins the pool, or order from a pool that has such workers; otherwise claim"
        " the refund after the final deadline.",
        retry=True,
        http_status=503,
    ),
    "RESOURCE_NOT_DEPLOYED": Entry("Check the address, or deploy the resource first.", http_status=403),
    "RESULT_LOST": Entry("Ask another worker of the task; this one lost its data folder.", http_status=404),
    "RESULT_STORED": Entry("Nothing: the first result uploaded for a task is the one kept.", http_status=409),
    "RESULT_WRONG": Entry(
        "Do not use it. Report the task: its stored result is not what the chain recorded.", http_status=409
    ),
    "REVEAL_TIMEOUT": Entry(
        "Check the worker's connection to the chain: it voted right and revealed too late.", http_status=409
    ),
    "SAMPLE_MISSING": Entry("Install the wheel, or work in a checkout.", http_status=500),
    "SANDBOX_LOST": Entry(
        "Look in the system's log for why it was ended, for want of memory perhaps; lend fewer slots.", http_status=500
    ),
    "SCHEDULER_UNREACHABLE": Entry(
        "Check that the pool's scheduler runs (`pyiexec status`): the deal stands, and goes on when it is back.",
        retry=True,
        http_status=503,
    ),
    "SECRET_CORRUPT": Entry(
        "Restore the database from a backup: somebody or something changed what it holds.", http_status=500
    ),
    "SECRET_EXISTS": Entry("Replace it with `pyiexec secret rotate`, or delete it first.", http_status=409),
    "SECRET_REFUSED": Entry(
        "Sign with the key of the owner, for this service, and use each authorisation once.", http_status=401
    ),
    "SECRET_TOO_LARGE": Entry(
        "Store at most 4096 bytes; of anything larger, store the key it is encrypted with.", http_status=413
    ),
    "SECRET_UNKNOWN": Entry("Push it first: `pyiexec secret push`.", http_status=404),
    "SERVICE_FAILED": Entry("Read the service's log (`pyiexec logs SERVICE`).", http_status=500),
    "SMS_UNREACHABLE": Entry(
        "Check that the secret management service runs and that its URL is right.", retry=True, http_status=503
    ),
    "STAKE_TOO_LOW": Entry("Deposit what is missing: `pyiexec account deposit AMOUNT`.", http_status=409),
    "STORE_FULL": Entry(
        "Have the content store's operator make room or raise its capacity.", retry=True, http_status=507
    ),
    "STORE_UNREACHABLE": Entry(
        "Check that the content store runs and that its URL is right.", retry=True, http_status=503
    ),
    "STORE_UNWRITABLE": Entry(
        "Check the free space and the rights of the content store's folder.", retry=True, http_status=503
    ),
    "TASK_ABORTED": Entry("Nothing: the scheduler no longer wanted the task from this worker.", http_status=409),
    "TASK_CLAIMED": Entry("Nothing: the task ended without result and all stakes were given back.", http_status=409),
    "TASK_LIKELY_LATE": Entry(
        "Nothing now: should it come too late, what it cost can be claimed back. Buy urgent tasks from another pool.",
        retry=True,
        http_status=409,
    ),
    "TASK_NOT_ACTIVE": Entry("Check the task on chain; contributions are taken while it is ACTIVE.", http_status=409),
    "TASK_NOT_CLAIMABLE": Entry(
        "A task can be claimed after its final deadline unless it was completed.", http_status=409
    ),
    "TASK_NOT_COMPLETED": Entry(
        "Wait with `pyiexec task watch`; a task past its final deadline is refunded by `pyiexec task claim`.",
        http_status=409,
    ),
    "TASK_UNKNOWN": Entry("Check the task id and the network; a task exists once it is initialised.", http_status=404),
    "TEE_NOT_SUPPORTED": Entry("Choose a workerpool with enclaves, or drop the tee tag.", http_status=409),
    "TEE_UNAVAILABLE": Entry(
        "Drop the tee tag, or choose a network whose secret management service runs enclaves.", http_status=501
    ),
    "TEST_KEY": Entry("Use a key that nobody else has: `pyiexec wallet create`.", http_status=403),
    "TOKEN_INVALID": Entry("Log in again and send the new token.", http_status=401),
    "TRANSACTION_REPLACED": Entry(
        "Use the key with one program at a time: another transaction took its place.", http_status=409
    ),
    "TRANSACTION_REVERTED": Entry(
        "The contract refused the transaction for the reason named; its gas is spent.", http_status=409
    ),
    "UPLOAD_CONFLICT": Entry("Ask where the upload stands (HEAD) and send what follows.", retry=True, http_status=409),
    "UPLOAD_QUOTA": Entry("Wait: what one account may upload is counted over a day.", retry=True, http_status=413),
    "UPLOAD_REFUSED": Entry(
        "Upload what the chain recorded, as the one who found it, while the task waits for it.", http_status=401
    ),
    "UPLOAD_UNKNOWN": Entry("Begin a new upload; unfinished ones are forgotten after a while.", http_status=404),
    "VERSION_MISMATCH": Entry(
        "Upgrade pyiexec on the side whose versions are the lower ones, worker or scheduler.", http_status=409
    ),
    "WALLET_MISSING": Entry("Create one with `pyiexec wallet create`, or name it with --wallet.", http_status=404),
    "WORKERPOOL_ORDER_MISSING": Entry(
        "Lower trust or volume, choose another category, or wait for a pool to publish.", retry=True, http_status=404
    ),
    "WORKERPOOL_UNKNOWN": Entry("Check the workerpool's address.", http_status=404),
    "WORKERPOOL_URL_UNKNOWN": Entry(
        "Ask the owner of the workerpool to register its URL: `pyiexec workerpool set-url`.", http_status=404
    ),
    "WORKERS_FAILED": Entry(
        "Read why each worker failed; claim the refund after the final deadline and choose another pool.",
        http_status=409,
    ),
    "WORKER_DISK_FULL": Entry(
        "Raise disk_bytes in the worker's settings, or wait until its tasks have ended.", http_status=507
    ),
    "WORKER_FORGOT": Entry("Nothing: another worker was given the task. Keep a worker's data folder.", http_status=409),
    "WORKER_REFUSED": Entry("Ask the manager of the workerpool to let this worker in.", http_status=403),
    "WORKER_STOPPED": Entry(
        "Start it: `pyiexec worker start`, or the systemd unit it was given.", retry=True, http_status=503
    ),
    "WORKER_SUSPENDED": Entry(
        "Nothing: the worker's owner uses the machine; the task goes to another worker.", http_status=409
    ),
    "WRONG_PASSWORD": Entry("Give the password the keystore file was made with.", http_status=403),
    "WRONG_WORKERPOOL": Entry("Check workerpool, hub and scheduler_url in the worker's settings.", http_status=409),
}


class IexecError(Exception):
    """Something that went wrong, explained.

    Attributes:
        code: stable name, a key of `CATALOGUE`.
        what: what happened, one sentence without a final full stop.
        remedy: what to do about it.
        retry: whether the same attempt may succeed later.
        details: machine-readable facts (never secrets).
    """

    def __init__(
        self, code: str, what: str, *, remedy: str | None = None, retry: bool | None = None, **details: Any
    ) -> None:
        entry = CATALOGUE[code]
        super().__init__(what)
        self.code = code
        self.what = what
        self.remedy = entry.remedy if remedy is None else remedy
        self.retry = entry.retry if retry is None else retry
        self.details = details

    def __str__(self) -> str:
        return f"{self.what} [{self.code}]"

    @property
    def http_status(self) -> int:
        """The HTTP status a service answers with."""
        return CATALOGUE[self.code].http_status

    def as_json(self) -> dict[str, Any]:
        """The form in which services and ``--json`` report it."""
        report = {"ok": False, "error": self.what, "code": self.code, "remedy": self.remedy, "retry": self.retry}
        return report | ({"details": self.details} if self.details else {})
