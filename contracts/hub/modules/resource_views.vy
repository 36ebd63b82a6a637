# pragma version 0.4.3
"""
@title Apps, datasets and workerpools as clients see them
@license Apache-2.0
@dev    Read from the asset itself at the time of the call; whatever has the getters is accepted, registered or not.
"""
from hub.modules import bounds

interface App:
    def owner() -> address: view
    def m_appName() -> String[bounds.ASSET_NAME]: view
    def m_appType() -> String[bounds.ASSET_NAME]: view
    def m_appMultiaddr() -> Bytes[bounds.ASSET_BYTES]: view
    def m_appChecksum() -> bytes32: view
    def m_appMREnclave() -> Bytes[bounds.ASSET_BYTES]: view

interface Dataset:
    def owner() -> address: view
    def m_datasetName() -> String[bounds.ASSET_NAME]: view
    def m_datasetMultiaddr() -> Bytes[bounds.ASSET_BYTES]: view
    def m_datasetChecksum() -> bytes32: view

interface Workerpool:
    def owner() -> address: view
    def m_workerpoolDescription() -> String[bounds.ASSET_NAME]: view
    def m_workerStakeRatioPolicy() -> uint256: view
    def m_schedulerRewardRatioPolicy() -> uint256: view

struct AppInfo:
    owner: address
    m_appName: String[bounds.ASSET_NAME]
    m_appType: String[bounds.ASSET_NAME]
    m_appMultiaddr: Bytes[bounds.ASSET_BYTES]
    m_appChecksum: bytes32
    m_appMREnclave: Bytes[bounds.ASSET_BYTES]

struct DatasetInfo:
    owner: address
    m_datasetName: String[bounds.ASSET_NAME]
    m_datasetMultiaddr: Bytes[bounds.ASSET_BYTES]
    m_datasetChecksum: bytes32

struct WorkerpoolInfo:
    owner: address
    m_workerpoolDescription: String[bounds.ASSET_NAME]
    m_workerStakeRatioPolicy: uint256
    m_schedulerRewardRatioPolicy: uint256


@external
@view
def viewApp(_app: address) -> AppInfo:
    return AppInfo(
        owner=staticcall App(_app).owner(),
        m_appName=staticcall App(_app).m_appName(),
        m_appType=staticcall App(_app).m_appType(),
        m_appMultiaddr=staticcall App(_app).m_appMultiaddr(),
        m_appChecksum=staticcall App(_app).m_appChecksum(),
        m_appMREnclave=staticcall App(_app).m_appMREnclave(),
    )


@external
@view
def viewDataset(_dataset: address) -> DatasetInfo:
    return DatasetInfo(
        owner=staticcall Dataset(_dataset).owner(),
        m_datasetName=staticcall Dataset(_dataset).m_datasetName(),
        m_datasetMultiaddr=staticcall Dataset(_dataset).m_datasetMultiaddr(),
        m_datasetChecksum=staticcall Dataset(_dataset).m_datasetChecksum(),
    )


@external
@view
def viewWorkerpool(_workerpool: address) -> WorkerpoolInfo:
    return WorkerpoolInfo(
        owner=staticcall Workerpool(_workerpool).owner(),
        m_workerpoolDescription=staticcall Workerpool(_workerpool).m_workerpoolDescription(),
        m_workerStakeRatioPolicy=staticcall Workerpool(_workerpool).m_workerStakeRatioPolicy(),
        m_schedulerRewardRatioPolicy=staticcall Workerpool(_workerpool).m_schedulerRewardRatioPolicy(),
    )
