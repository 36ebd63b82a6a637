"""Which authorised request may change a secret, for every history of requests and copies of them."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import checksum
from pyiexec.protocol.secrets import (
    Action,
    Secret,
    SecretKind,
    app_secret,
    dataset_secret,
    requester_secret,
    web2_secret,
)
from pyiexec.sms.rules import Standing, check_change, check_moment

OWNER = checksum("0x" + "11" * 20)
SECRETS = [
    dataset_secret(OWNER),
    app_secret(OWNER),
    web2_secret(OWNER, "one"),
    web2_secret(OWNER, "two"),
    requester_secret(OWNER, "one"),
]


def message(secret: Secret, value: str) -> tuple[object, ...]:
    """What a legacy message distinguishes: web2 and requester secrets of one name are the same to it."""
    kind = "person" if secret.kind in (SecretKind.WEB2, SecretKind.REQUESTER) else secret.kind
    return kind, secret.name, value


class Histories(RuleBasedStateMachine):
    """An owner sets secrets in both forms while somebody who hears everything sends copies of the legacy ones."""

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[Secret, str] = {}
        self.by: dict[Secret, tuple[object, ...] | None] = {}
        self.bound: set[Secret] = set()
        self.spent: dict[tuple[object, ...], SecretKind] = {}
        self.heard: list[tuple[Secret, str]] = []
        #: Values that the owner has replaced or deleted: they must never be held again by a copy.
        self.past: set[tuple[Secret, str]] = set()

    def request(self, action: Action, secret: Secret, value: str, *, legacy: bool) -> bool:
        key = message(secret, value) if legacy else None
        standing = Standing(
            exists=secret in self.held,
            bound=secret in self.bound,
            spent=self.spent.get(key) if key else None,
            current=key is not None and self.by.get(secret) == key and secret in self.held,
        )
        try:
            changed = check_change(action, secret, standing, legacy=legacy)
        except IexecError:
            return False
        if not changed:
            assert self.held[secret] == value
            return True
        if secret in self.held:
            self.past.add((secret, self.held[secret]))
        if not legacy:
            self.bound.add(secret)
        if action is Action.DELETE:
            del self.held[secret], self.by[secret]
            return True
        self.held[secret], self.by[secret] = value, key
        if key:
            assert key not in self.spent
            self.spent[key] = secret.kind
        return True

    @rule(
        action=st.sampled_from([Action.CREATE, Action.REPLACE]),
        secret=st.sampled_from(SECRETS),
        value=st.sampled_from("abc"),
    )
    def the_owner_uses_the_javascript_client(self, action: Action, secret: Secret, value: str) -> None:
        self.heard.append((secret, value))
        self.request(action, secret, value, legacy=True)

    @rule(
        action=st.sampled_from([Action.CREATE, Action.REPLACE, Action.DELETE]),
        secret=st.sampled_from(SECRETS),
        value=st.sampled_from("abc"),
    )
    def the_owner_uses_ours(self, action: Action, secret: Secret, value: str) -> None:
        exists = secret in self.held
        assert self.request(action, secret, value, legacy=False) == (exists != (action is Action.CREATE))
        self.past.discard((secret, value))

    @rule(data=st.data(), action=st.sampled_from(Action))
    def somebody_sends_a_copy(self, data: st.DataObject, action: Action) -> None:
        if not self.heard:
            return
        secret, value = data.draw(st.sampled_from(self.heard))
        # Of the same message, to any place it fits.
        places = [other for other in SECRETS if message(other, value) == message(secret, value)]
        place = data.draw(st.sampled_from(places))
        before = dict(self.held)
        self.request(action, place, value, legacy=True)
        changed = {other for other in SECRETS if before.get(other) != self.held.get(other)}
        for other in changed:
            assert (other, self.held[other]) not in self.past, "an old value came back"
            assert before.get(other) is None or other.kind is SecretKind.WEB2
            assert other not in self.bound

    @invariant()
    def one_message_sets_one_secret(self) -> None:
        messages = [key for key in self.by.values() if key]
        assert len(set(messages)) == len(messages)


TestHistories = Histories.TestCase


@pytest.mark.parametrize("secret", SECRETS)
def test_statuses_are_those_of_the_paths(secret: Secret) -> None:
    cases = [
        (Action.CREATE, Standing(exists=True), "SECRET_EXISTS"),
        (Action.REPLACE, Standing(), "SECRET_UNKNOWN"),
        (Action.DELETE, Standing(), "SECRET_UNKNOWN"),
        (Action.DELETE, Standing(exists=True), "SECRET_REFUSED"),
        (Action.CREATE, Standing(bound=True), "SECRET_REFUSED"),
        (Action.CREATE, Standing(spent=SecretKind.WEB2), "SECRET_REFUSED"),
    ]
    for action, standing, code in cases:
        with pytest.raises(IexecError) as refusal:
            check_change(action, secret, standing, legacy=True)
        assert refusal.value.code == code
        assert secret.subject in refusal.value.what or code == "SECRET_REFUSED"


def test_saying_again_what_holds_is_no_change_and_no_offence() -> None:
    standing = Standing(exists=True, spent=SecretKind.WEB2, current=True)
    assert not check_change(Action.REPLACE, web2_secret(OWNER, "one"), standing, legacy=True)


@pytest.mark.parametrize(("life", "fits"), [(-1, False), (0, False), (1, True), (600, True), (601, False)])
def test_a_bound_authorisation_is_for_the_next_minutes(life: int, fits: bool) -> None:
    if fits:
        check_moment(1000 + life, 1000)
    else:
        with pytest.raises(IexecError) as refusal:
            check_moment(1000 + life, 1000)
        assert refusal.value.code == "SECRET_REFUSED"
