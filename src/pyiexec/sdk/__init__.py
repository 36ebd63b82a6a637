"""What a Python user imports: `Client` for plain programs, `AsyncClient` for asyncio."""

from pyiexec.chain.networks import NetworkProfile, load_profile
from pyiexec.chain.signer import Signer
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.secrets import Secret, app_secret, dataset_secret, requester_secret, web2_secret
from pyiexec.sdk.blocking import Client
from pyiexec.sdk.client import AsyncClient, Execution
from pyiexec.sdk.deals import TaskUpdate
from pyiexec.sdk.endings import Endings, Failure
from pyiexec.sdk.explanations import Explanation
from pyiexec.sdk.outlook import Obstacle
from pyiexec.sdk.purchase import Quote
from pyiexec.sdk.tasks import TaskResult

__all__ = [
    "AsyncClient",
    "Client",
    "Endings",
    "Execution",
    "Explanation",
    "Failure",
    "IexecError",
    "NetworkProfile",
    "Obstacle",
    "Quote",
    "Secret",
    "Signer",
    "TaskResult",
    "TaskUpdate",
    "app_secret",
    "dataset_secret",
    "load_profile",
    "requester_secret",
    "web2_secret",
]
