"""What the owner of the hub may set, and categories.

Source: PoCo 6.2, configuration and category management; ERC-173.
"""

from __future__ import annotations

from pyiexec.protocol.poco.refusals import custom, error, nothing, require
from pyiexec.protocol.poco.store import CATEGORIES_MAX, TIMEREF_MAX, Category, Store
from pyiexec.protocol.poco.world import transaction
from pyiexec.protocol.primitives import Address

_NAME_MAX = 256
_DESCRIPTION_MAX = 2048


class Configuration(Store):
    """Settings, and the list of categories, which only grows."""

    def _require_owner(self, sender: Address) -> None:
        require(sender == self.owner, "Ownable: caller is not the owner")

    @transaction
    def transfer_ownership(self, new_owner: Address, *, sender: Address) -> None:
        """Hand the hub over in one step."""
        if sender != self.owner:
            raise custom("NotContractOwner(address,address)", sender, self.owner)
        self.world.emit(self.address, "OwnershipTransferred", previousOwner=self.owner, newOwner=new_owner)
        self.settings["owner"] = new_owner

    @transaction
    def set_tee_broker(self, broker: Address, *, sender: Address) -> None:
        """Name who authorises contributions from enclaves; the null address leaves it to the schedulers."""
        self._require_owner(sender)
        self.settings["tee_broker"] = broker

    @transaction
    def set_callback_gas(self, gas: int, *, sender: Address) -> None:
        """Set the gas that every callback is given."""
        self._require_owner(sender)
        self.settings["callback_gas"] = gas

    @transaction
    def change_registries(self, apps: Address, datasets: Address, workerpools: Address, *, sender: Address) -> None:
        """Replace the registries; deals already made keep what they recorded."""
        self._require_owner(sender)
        self.settings["apps"] = apps
        self.settings["datasets"] = datasets
        self.settings["workerpools"] = workerpools

    @transaction
    def update_domain_separator(self) -> None:
        """Nothing to do: the separator is always that of the chain."""

    @transaction
    def import_score(self, worker: Address) -> None:
        """Take over a worker's score from a hub of old, once; it never sinks by that."""
        if self.scores_imported.get(worker, False):
            raise error("score-already-imported")
        old = self.world.at(Address(str(self.settings["legacy_hub"]))).view_score(worker)
        self.scores[worker] = max(self.score(worker), old)
        self.scores_imported[worker] = True

    @transaction
    def create_category(self, name: str, description: str, work_clock_time_ref: int, *, sender: Address) -> int:
        """Append a category; `work_clock_time_ref` in seconds. Its number, counting from 0."""
        require(len(name.encode()) <= _NAME_MAX and len(description.encode()) <= _DESCRIPTION_MAX)
        self._require_owner(sender)
        number = len(self.categories)
        require(number < CATEGORIES_MAX, "too many categories")
        require(work_clock_time_ref <= TIMEREF_MAX, "workClockTimeRef too long")
        self.categories[number] = Category(name, description, work_clock_time_ref)
        self.world.emit(
            self.address,
            "CreateCategory",
            catid=number,
            name=name,
            description=description,
            workClockTimeRef=work_clock_time_ref,
        )
        return number

    def category(self, number: int) -> Category:
        """Category `number`.

        Raises:
            Refusal: there is none.
        """
        found = self.categories.get(number)
        if found is None:
            raise nothing()
        return found
