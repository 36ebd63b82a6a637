"""Asking the secret management service for the account that a task's enclaves sign with.

Workers prove with that account that a result comes from an enclave: the pool's authorization names it, so it must be
known before anybody is given the task.

Source: the SMS's ``POST /tee/challenges/{taskId}``; the pool's owner signs keccak256(task id) with the EIP-191 prefix.
"""

from __future__ import annotations

import aiohttp

from pyiexec.chain.signer import Signer
from pyiexec.foundation.clients import Answer, read_json
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, TaskId, checksum, keccak256, to_bytes, to_hex

#: Most bytes read of an answer.
_ANSWER_BYTES = 4_096
#: Most characters repeated of what the service says.
_SAID = 200
#: Answers after which asking again may help: the service's node may be behind ours.
_LATER = frozenset({404, 408, 425, 429, 500, 502, 503, 504})


class EnclaveDesk:
    """The SMS, as far as a scheduler needs it.

    Args:
        url: its origin; None when the pool has none.
        signer: the pool's owner.
    """

    def __init__(self, url: str | None, signer: Signer, session: aiohttp.ClientSession) -> None:
        self._url = url.rstrip("/") if url else None
        self._signer = signer
        self._session = session

    async def challenge(self, task_id: TaskId) -> Address:
        """The account of the task's enclaves.

        Raises:
            IexecError: ``TEE_UNAVAILABLE`` when there is no enclave for the task; ``SMS_UNREACHABLE`` when asking again
                may help.
        """
        if self._url is None:
            raise IexecError("TEE_UNAVAILABLE", "this workerpool has no secret management service, and so no enclaves")
        signature = self._signer.sign_message_hash(keccak256(to_bytes(task_id)))
        headers = {"Authorization": to_hex(signature), "Accept": "application/json"}
        try:
            async with self._session.post(f"{self._url}/tee/challenges/{task_id}", headers=headers) as response:
                status, body = response.status, await response.content.read(_ANSWER_BYTES)
        except (aiohttp.ClientError, TimeoutError) as error:
            reason = type(error).__name__
            raise IexecError("SMS_UNREACHABLE", f"the secret management service does not answer: {reason}") from None
        return read_answer(status, body)


def read_answer(status: int, body: bytes) -> Address:
    """The account in an answer: bare, as a JSON string, or as the ``data`` of an object.

    Raises:
        IexecError: as of `EnclaveDesk.challenge`.
    """
    text = body.decode(errors="replace").strip()
    answer = Answer(status, read_json(body))
    if status == 200:
        said = answer.content
        found = said.get("data") if isinstance(said, dict) else said or text
        try:
            challenge = checksum(found if isinstance(found, str) else "")
        except IexecError:
            challenge = NULL_ADDRESS
        if challenge == NULL_ADDRESS:
            raise IexecError(
                "TEE_UNAVAILABLE", "the secret management service named no account for the task's enclaves"
            )
        return challenge
    reason = (answer.reason or text or f"HTTP {status}")[:_SAID]
    if answer.code != "TEE_UNAVAILABLE" and status in _LATER:
        raise IexecError("SMS_UNREACHABLE", f"the secret management service cannot serve the task yet: {reason}")
    raise IexecError("TEE_UNAVAILABLE", f"no enclave runs this task: {reason}")
