# pragma version 0.4.3
"""
@title Configuration
@license Apache-2.0
"""
from hub.modules import bounds
from hub.modules import labels
from hub.modules import orders
from hub.modules import ownership
from hub.modules import rules
from hub.modules import store

uses: store
uses: labels
uses: ownership

interface LegacyHub:
    def viewScore(worker: address) -> uint256: nonpayable

struct EIP712Domain:
    name: String[8]
    version: String[5]
    chainId: uint256
    verifyingContract: address


@external
def configure(
    _token: address,
    _name: String[bounds.TOKEN_NAME],
    _symbol: String[bounds.TOKEN_SYMBOL],
    _decimal: uint8,
    _appregistryAddress: address,
    _datasetregistryAddress: address,
    _workerpoolregistryAddress: address,
    _v3_iexecHubAddress: address,
):
    """
    @notice The owner completes the deployment, once.
    @param _token RLC.
    @param _v3_iexecHubAddress A hub of old whose scores may be imported, or zero.
    """
    ownership._check_owner()
    assert not store.configured, "already-configured"
    store.configured = True
    store.token = _token
    store.token_decimals = _decimal
    store.app_registry = _appregistryAddress
    store.dataset_registry = _datasetregistryAddress
    store.workerpool_registry = _workerpoolregistryAddress
    store.legacy_hub = _v3_iexecHubAddress
    store.callback_gas = rules.DEFAULT_CALLBACK_GAS
    labels._record(labels.TOKEN, _name, _symbol)


@external
@view
def domain() -> EIP712Domain:
    """@return The EIP-712 domain that orders are signed in."""
    return EIP712Domain(
        name=orders.DOMAIN_NAME, version=orders.DOMAIN_VERSION, chainId=chain.id, verifyingContract=self
    )


@external
def updateDomainSeparator():
    """@notice Nothing to do once configured: the separator is always that of the chain it is asked on."""
    assert store.configured, "not-configured"


@external
def importScore(_worker: address):
    """@notice Take over a worker's score from the old hub, once per worker; never lowers it."""
    assert not store.score_imported[_worker], "score-already-imported"
    old: uint256 = extcall LegacyHub(store.legacy_hub).viewScore(_worker)
    store.scores[_worker] = max(store.scores[_worker], old)
    store.score_imported[_worker] = True


@external
def setTeeBroker(_teebroker: address):
    """@notice Name who authorises contributions from enclaves; zero leaves it to the schedulers."""
    ownership._check_owner()
    store.tee_broker = _teebroker


@external
def setCallbackGas(_callbackgas: uint256):
    """@notice Set the gas every callback is given."""
    ownership._check_owner()
    store.callback_gas = _callbackgas


@external
def changeRegistries(
    _appregistryAddress: address, _datasetregistryAddress: address, _workerpoolregistryAddress: address
):
    """@notice Replace the registries; deals already made are not affected."""
    ownership._check_owner()
    store.app_registry = _appregistryAddress
    store.dataset_registry = _datasetregistryAddress
    store.workerpool_registry = _workerpoolregistryAddress
