"""Secrets that owners leave with the secret management service: their names, their limits, and what an owner signs.

Two authorisations are spoken. The *legacy* one, of the JS SDK, signs a hash of name and value with ``personal_sign``:
it tells neither chain, service, kind of secret nor moment, so a copy of it is good for ever and everywhere. The *bound*
one is typed data (EIP-712) that names all of them, and serves once.

Source: the iExec SMS (legacy message, limits); EIP-191, EIP-712.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any

import msgspec

from pyiexec.protocol.eip712 import Domain
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address, Bytes32, bytes32, keccak256, to_bytes, to_hex

#: Largest value, bytes of UTF-8.
MAX_VALUE_BYTES = 4096
#: Longest name of a web2 secret, characters.
MAX_WEB2_NAME = 255
#: Longest life of a bound authorisation, seconds: for so long its nonce is remembered.
MAX_LIFE_SECONDS = 600

#: Under these names a beneficiary's public key and a requester's storage token are looked for.
RESULT_KEY_NAME = "iexec-result-encryption-public-key"
STORAGE_TOKEN_NAMES = {"dropbox": "iexec-result-dropbox-token", "ipfs": "iexec-result-iexec-ipfs-token"}

_LEGACY_DOMAIN = keccak256(b"IEXEC_SMS_DOMAIN")
#: An app has one developer secret, the first.
_APP_NAME = "1"
_REQUESTER_NAME = re.compile(r"[0-9A-Za-z_-]{1,64}")
#: What the reference trims from the ends of values: everything up to the blank.
_BLANKS = "".join(map(chr, range(0x21)))

_DOMAIN_TYPE = keccak256(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
_DOMAIN_NAME, _DOMAIN_VERSION = "iExec SMS", "1"
_MEMBERS = (
    ("string", "action"),
    ("string", "kind"),
    ("address", "subject"),
    ("string", "name"),
    ("bytes32", "valueHash"),
    ("string", "service"),
    ("bytes32", "nonce"),
    ("uint256", "deadline"),
)
_TYPE_STRING = f"SecretAuthorization({','.join(f'{kind} {name}' for kind, name in _MEMBERS)})"
_TYPE = keccak256(_TYPE_STRING.encode())


class SecretKind(StrEnum):
    """Whose secret it is; the values are the words of the service's paths.

    A ``web3`` secret is the key of a dataset, a ``web2`` secret a person's own (result key, storage token), an ``app``
    secret its developer's, a ``requester`` secret what a requester hands to an app.
    """

    DATASET = "web3"
    APP = "app"
    WEB2 = "web2"
    REQUESTER = "requester"


class Action(StrEnum):
    """What an authorisation allows."""

    CREATE = "create"
    REPLACE = "replace"
    DELETE = "delete"
    LIST = "list"


class Secret(msgspec.Struct, frozen=True):
    """The name of a secret; build one with the functions below, which check it.

    Attributes:
        kind: whose it is.
        subject: the dataset, the app, or the person.
        name: among the person's; ``1`` for an app's, empty for a dataset's.
    """

    kind: SecretKind
    subject: Address
    name: str = ""


def dataset_secret(dataset: Address) -> Secret:
    """The key of an encrypted dataset."""
    return Secret(SecretKind.DATASET, dataset)


def app_secret(app: Address) -> Secret:
    """What the developer of an app hands to it."""
    return Secret(SecretKind.APP, app, _APP_NAME)


def web2_secret(owner: Address, name: str) -> Secret:
    """A person's own secret.

    Raises:
        IexecError: ``BAD_SECRET`` when the name is empty, longer than 255 characters, or has control characters.
    """
    if not 0 < len(name) <= MAX_WEB2_NAME or not name.isprintable():
        raise IexecError("BAD_SECRET", f"secretName must have 1 to {MAX_WEB2_NAME} printable characters")
    return Secret(SecretKind.WEB2, owner, name)


def requester_secret(requester: Address, name: str) -> Secret:
    """What a requester hands to apps.

    Raises:
        IexecError: ``BAD_SECRET`` when the name is not 1 to 64 letters, digits, ``-`` and ``_`` of ASCII.
    """
    if not _REQUESTER_NAME.fullmatch(name):
        raise IexecError("BAD_SECRET", "a requester's secret has a name of 1 to 64 of 0-9, A-Z, a-z, - and _")
    return Secret(SecretKind.REQUESTER, requester, name)


def read_value(body: bytes) -> str:
    """The value in a request's body, as it was signed.

    Raises:
        IexecError: ``SECRET_TOO_LARGE``; ``BAD_SECRET`` for a value that is not UTF-8, or blank. Neither repeats it.
    """
    if len(body) > MAX_VALUE_BYTES:
        raise IexecError("SECRET_TOO_LARGE", f"the value has more than {MAX_VALUE_BYTES} bytes")
    try:
        value = body.decode()
    except UnicodeDecodeError:
        # Not chained: the error of the decoder carries the value.
        value = ""
    if not stored_form(value):
        raise IexecError("BAD_SECRET", "the value must be UTF-8 text that is not blank")
    return value


def stored_form(value: str) -> str:
    """The value as it is kept: without the blanks around it."""
    return value.strip(_BLANKS)


# --- what is signed -----------------------------------------------------------------------------------------------


def legacy_message(secret: Secret, value: str) -> bytes:
    """The 32 bytes that the JS SDK signs with ``personal_sign`` to set a secret.

    A web2 and a requester secret of the same owner, name and value have the same message.
    """
    name = b"" if secret.kind is SecretKind.DATASET else keccak256(secret.name.encode())
    return keccak256(_LEGACY_DOMAIN + to_bytes(secret.subject) + name + keccak256(value.encode()))


class BoundAuthorization(msgspec.Struct, frozen=True, kw_only=True):
    """What an owner allows: one action, on one secret, at one service, once, soon.

    Attributes:
        action: what may be done.
        subject: as in `Secret`; the person who asks, for a list.
        kind: of the secret; empty for a list.
        name: of the secret; empty for a list.
        value: to be set; empty where none is.
        service: origin of the service, as the client names it.
        nonce: 32 bytes that the owner never used before.
        deadline: second since the Unix epoch from which it is void.
    """

    action: Action
    subject: Address
    kind: str = ""
    name: str = ""
    value: str = ""
    service: str
    nonce: Bytes32
    deadline: int

    @classmethod
    def over(
        cls, action: Action, secret: Secret, value: str = "", *, service: str, nonce: Bytes32, deadline: int
    ) -> BoundAuthorization:
        """For an action on one secret."""
        return cls(
            action=action,
            subject=secret.subject,
            kind=secret.kind,
            name=secret.name,
            value=value,
            service=service,
            nonce=nonce,
            deadline=deadline,
        )

    def __repr__(self) -> str:
        return f"BoundAuthorization({self.action} {self.kind} {self.subject} {self.name!r})"

    def _message(self) -> dict[str, Any]:
        return {
            "action": str(self.action),
            "kind": str(self.kind),
            "subject": self.subject,
            "name": self.name,
            "valueHash": to_hex(keccak256(self.value.encode())),
            "service": self.service,
            "nonce": self.nonce,
            "deadline": self.deadline,
        }

    def digest(self, domain: Domain) -> bytes:
        """The 32 bytes to sign; `domain` is the hub whose registries say who owns what."""
        separator = keccak256(
            _DOMAIN_TYPE
            + keccak256(_DOMAIN_NAME.encode())
            + keccak256(_DOMAIN_VERSION.encode())
            + domain.chain_id.to_bytes(32, "big")
            + to_bytes(domain.verifying_contract).rjust(32, b"\0")
        )
        message = self._message()
        words = b"".join(_word(kind, message[name]) for kind, name in _MEMBERS)
        return keccak256(b"\x19\x01" + separator + keccak256(_TYPE + words))

    def typed_data(self, domain: Domain) -> dict[str, Any]:
        """The JSON that a wallet signs through ``eth_signTypedData_v4``."""
        return {
            "types": {
                "EIP712Domain": [
                    {"name": "name", "type": "string"},
                    {"name": "version", "type": "string"},
                    {"name": "chainId", "type": "uint256"},
                    {"name": "verifyingContract", "type": "address"},
                ],
                "SecretAuthorization": [{"name": name, "type": kind} for kind, name in _MEMBERS],
            },
            "primaryType": "SecretAuthorization",
            "domain": {
                "name": _DOMAIN_NAME,
                "version": _DOMAIN_VERSION,
                "chainId": domain.chain_id,
                "verifyingContract": domain.verifying_contract,
            },
            "message": self._message(),
        }


def _word(kind: str, value: Any) -> bytes:
    if kind == "uint256":
        return int(value).to_bytes(32, "big")
    if kind == "string":
        return keccak256(str(value).encode())
    return to_bytes(value).rjust(32, b"\0")


# --- the header that carries it -----------------------------------------------------------------------------------

_BOUND_HEADER = re.compile(
    r'EIP712 nonce="(?P<nonce>0x[0-9a-f]{64})", deadline="(?P<deadline>[0-9]{1,12})", '
    r'signature="(?P<signature>0x(?:[0-9a-f]{2}){1,1024})"',
    re.ASCII,
)
_LEGACY_HEADER = re.compile(r"0x(?P<signature>(?:[0-9a-fA-F]{2}){1,1024})", re.ASCII)


class LegacySignature(msgspec.Struct, frozen=True):
    """A signature over `legacy_message`."""

    signature: bytes


class BoundSignature(msgspec.Struct, frozen=True):
    """A signature over a `BoundAuthorization`, with what of it the request does not say."""

    nonce: Bytes32
    deadline: int
    signature: bytes


def bound_header(nonce: Bytes32, deadline: int, signature: bytes) -> str:
    """The ``Authorization`` header of a bound authorisation."""
    return f'EIP712 nonce="{nonce}", deadline="{deadline}", signature="{to_hex(signature)}"'


def read_authorization(header: str | None) -> LegacySignature | BoundSignature:
    """The authorisation in an ``Authorization`` header: claimed, not verified.

    Raises:
        IexecError: ``SECRET_REFUSED`` when it has neither form.
    """
    legacy = _LEGACY_HEADER.fullmatch(header or "")
    if legacy:
        return LegacySignature(bytes.fromhex(legacy["signature"]))
    bound = _BOUND_HEADER.fullmatch(header or "")
    if bound:
        return BoundSignature(bytes32(bound["nonce"]), int(bound["deadline"]), to_bytes(bound["signature"]))
    raise IexecError(
        "SECRET_REFUSED",
        'the Authorization header must be a signature, or EIP712 nonce="…", deadline="…", signature="…"',
    )
