"""Random histories of the marketplace: deals that go well, deals that go wrong, and calls that make no sense.

A history is decided by its seed and by what the chain answers. Half of the steps continue a task as its parties would;
the others are drawn from everything anybody may try.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import msgspec

from pyiexec.chain import registries, token
from pyiexec.chain.hub import FUNCTIONS
from pyiexec.protocol import ids
from pyiexec.protocol.orders import order_to_abi
from pyiexec.protocol.primitives import NULL_BYTES32, Bytes32, OrderHash, bytes32, keccak256, to_hex

from .chain import Chain
from .coverage import Coverage
from .moves import view
from .player import Player
from .worlds import KINDS, Call, OrderPlan, Outcome, World

RIGHT, WRONG = b"right", b"wrong"
WORKERS = [f"worker {number}" for number in range(7)]
PEOPLE = ["app owner", "dataset owner", "scheduler", "requester", "sponsor", "stranger", *WORKERS]
GROUPS = ["yes", "no", "angry", "talkative"]
TEE, FRAMEWORK, GPU = 1, 2, 256
ACTIVE, REVEALING = 1, 2

Order = dict[str, Any]
STEPS = 70
#: Every so many steps everything is looked at, after the others what the step may have changed.
THOROUGH = 5


class Step(msgspec.Struct, frozen=True):
    """A call, when it is made, and what to do once it went through in both worlds."""

    call: Call
    at: int
    then: Callable[[Outcome], None] | None = None


class History:
    """One history; `step` draws the next call, `questions` are what both hubs must agree on after it."""

    def __init__(self, seed: int, worlds: tuple[World, World], now: int) -> None:
        self.dice = random.Random(seed)
        self.worlds = worlds
        self.now = now
        self.orders = 0
        self.known: dict[str, list[OrderPlan]] = {kind: [] for kind in KINDS}
        #: deal -> plan of its request, and how the hub describes the deal
        self.deals: dict[str, OrderPlan] = {}
        self.described: dict[str, Any] = {}
        #: the four orders of each deal
        self.matched: list[list[OrderPlan]] = []
        #: tasks that were initialised -> deal; their state as last seen
        self.tasks: dict[str, str] = {}
        self.states: dict[str, Any] = {}
        #: what each worker voted for
        self.votes: dict[tuple[str, str], bytes] = {}
        self.revealed: set[tuple[str, str]] = set()
        self.broker = "nobody"
        self.owners = {
            "app 0": "app owner",
            "app 1": "requester",
            "dataset 0": "dataset owner",
            "dataset 1": "scheduler",
            "workerpool 0": "scheduler",
            "workerpool 1": "worker 0",
        }
        self.touched: list[Call] = []

    def opening(self) -> list[Step]:
        """Deposits that let most deals be made."""
        rich = ["scheduler", "requester", "sponsor", *WORKERS[:6]]
        deposits = [self._hub("requester", "depositFor", 10**12, "yes")]
        deposits += [self._hub(name, "deposit", 10**12) for name in rich]
        return [Step(call, self._later(1)) for call in deposits]

    def step(self) -> Step:
        live = [task for task, state in self.states.items() if state[0] in (ACTIVE, REVEALING)]
        if not self.deals or (len(live) < 2 and self.dice.random() < 0.25):
            return self._match()
        if len(live) < 3 and self.dice.random() < 0.35:
            return self._initialize()
        if live and self.dice.random() < 0.7:
            return self._continue(self.dice.choice(live))
        pick: Callable[[], Step] = self.dice.choices(
            [
                self._match,
                self._manage,
                self._initialize,
                self._any_task_call,
                self._money,
                self._policy,
                self._sale,
                self._settings,
                self._odd_deposit,
            ],
            [6, 3, 4, 5, 6, 1, 1, 1, 1],
        )[0]
        return pick()

    # --- time -----------------------------------------------------------------------------------------------------

    def _later(self, most: int = 20) -> int:
        self.now += self.dice.randint(1, most)
        return self.now

    def _at(self, moment: int) -> int:
        """The second `moment` if it is still to come."""
        self.now = max(self.now + 1, moment)
        return self.now

    def _some_time(self, task: str | None = None) -> int:
        """Mostly soon; sometimes the last second of a term, or the first after it."""
        if task and self.dice.random() < 0.04:
            state = self.states[task]
            moment = self.dice.choice([state[4], state[5], state[5]])
            if moment - self.now < 4000:
                return self._at(moment + self.dice.choice([-1, 0]))
        return self._later()

    # --- calls ----------------------------------------------------------------------------------------------------

    def _hub(self, sender: str, name: str, *arguments: Any, value: int = 0) -> Call:
        def resolved(world: World) -> list[Any]:
            def look(item: Any) -> Any:
                if isinstance(item, list):
                    return [look(each) for each in item]
                return world[item] if isinstance(item, str) and not item.startswith("0x") else item

            return [look(item) for item in arguments]

        return Call(sender, "hub", FUNCTIONS[name], resolved, f"{arguments}", value)

    # --- orders ---------------------------------------------------------------------------------------------------

    def _plan(self, kind: str, signer: str, fields: Order) -> OrderPlan:
        self.orders += 1
        flavour = self.dice.choices(["plain", "compact", "broken", "short"], [88, 8, 2, 2])[0]
        return OrderPlan(self.orders, kind, {**fields, "salt": bytes32(self.orders)}, signer, flavour)

    def _four(self) -> list[OrderPlan]:
        """Orders that fit together, then now and then a few changes to them."""
        dice = self.dice
        app, pool = dice.choice(["app 0", "app 0", "app 1"]), dice.choice(["workerpool 0"] * 4 + ["workerpool 1"])
        dataset = dice.choice(["nobody", "dataset 0", "dataset 1"])
        requester = dice.choice(["requester"] * 5 + ["sponsor", "yes", "worker 5"])
        tag = dice.choices([0, TEE | FRAMEWORK, GPU], [70, 20, 10])[0]
        prices = dice.choice([0, 1, 1000]), dice.choice([0, 10**6]), dice.choice([0, 1, 7, 10**9, 10**9 + 15])
        trust = dice.choice([0, 1, 2, 3, 5, 10, 40, 200])
        volume = dice.choice([1, 2, 3])
        category = dice.choice([0, 0, 0, 1])
        bag: Order = {"tag": bytes32(tag), "volume": volume}
        callback = dice.choices(["nobody", "recorder", "refuser", "reenterer", "stranger", "token"], [60] + [8] * 5)[0]
        fields: dict[str, Order] = {
            "app": {"app": app, "appprice": prices[0]} | bag,
            "dataset": {"dataset": dataset, "datasetprice": prices[1]} | bag,
            "workerpool": {"workerpool": pool, "workerpoolprice": prices[2], "category": category, "trust": 200} | bag,
            "request": {
                "app": app,
                "appmaxprice": prices[0] + dice.choice([0, 5]),
                "dataset": dataset,
                "datasetmaxprice": prices[1],
                "workerpool": dice.choice(["nobody", pool]),
                "workerpoolmaxprice": prices[2],
                "requester": requester,
                "category": category,
                "trust": trust,
                "beneficiary": dice.choice([requester, "nobody", "stranger"]),
                "callback": callback,
                "params": dice.choice(["", '{"iexec_args":"1"}', '{"bulk_cid":"' + "x" * 300 + '"}']),
            }
            | bag,
        }
        # what the frameworks of a dataset's tag mean is a known difference
        fields["dataset"]["tag"] = bytes32(tag & ~FRAMEWORK)
        for kind in KINDS:
            if dice.random() < 0.5:
                fields[kind]["volume"] = dice.choice([1, 2, 5, 2**53 - 1] if kind != "workerpool" else [1, 1, 2])
        if dataset == "nobody" and dice.random() < 0.7:
            fields["dataset"] |= {"datasetprice": 0, "tag": NULL_BYTES32, "volume": 0}
        if dice.random() < 0.3:
            self._disturb(fields)
        signers = {kind: self.owners.get(str(fields[kind][kind]), "") for kind in KINDS[:3]}
        signers["request"] = fields["request"]["requester"]
        if dice.random() < 0.05:
            signers[dice.choice(KINDS)] = dice.choice(PEOPLE)
        plans = [self._plan(kind, signers[kind], fields[kind]) for kind in KINDS]
        for position, kind in enumerate(KINDS):
            fitting = [plan for plan in self.known[kind] if self._alike(plan, fields[kind])]
            if fitting and dice.random() < 0.4:
                plans[position] = dice.choice(fitting)
            elif dice.random() < 0.5:
                self.known[kind].append(plans[position])
        return plans

    def _again(self) -> list[OrderPlan]:
        """The orders of a former deal, for what is left of them; mostly with a new one of the pool."""
        app, dataset, workerpool, request = self.dice.choice(self.matched)
        if self.dice.random() < 0.8:
            resource = str(workerpool.fields["workerpool"])
            workerpool = self._plan("workerpool", self.owners[resource], workerpool.fields)
        return [app, dataset, workerpool, request]

    @staticmethod
    def _alike(plan: OrderPlan, fields: Order) -> bool:
        """Whether a former order would do instead of a new one."""
        own = {"volume", "params", "beneficiary", "callback"}
        rest = {name: value for name, value in plan.fields.items() if name != "salt"}
        return {n: v for n, v in rest.items() if n not in own} == {n: v for n, v in fields.items() if n not in own}

    def _disturb(self, fields: dict[str, Order]) -> None:
        """One to three changes, so that the order of the checks shows."""
        dice = self.dice
        restrictions = [
            ("app", "datasetrestrict", "dataset 0"),
            ("app", "workerpoolrestrict", "workerpool 0"),
            ("app", "requesterrestrict", "requester"),
            ("dataset", "apprestrict", "app 0"),
            ("dataset", "workerpoolrestrict", "workerpool 0"),
            ("dataset", "requesterrestrict", "requester"),
            ("workerpool", "apprestrict", "app 0"),
            ("workerpool", "datasetrestrict", "dataset 0"),
            ("workerpool", "requesterrestrict", "requester"),
            ("request", "workerpool", "workerpool 0"),
        ]
        for _ in range(dice.choice([1, 1, 2, 3])):
            change = dice.randrange(14)
            if change < 5:
                kind, field, welcome = dice.choice(restrictions)
                fields[kind][field] = dice.choice([welcome, "stranger", *GROUPS])
            elif change == 5:
                fields[dice.choice(["workerpool", "request"])]["category"] = dice.choice([2, 7, 2**200])
                if dice.random() < 0.5:
                    fields["request"]["category"] = fields["workerpool"]["category"]
            elif change == 6:
                fields[dice.choice(["workerpool", "request"])]["trust"] = dice.choice([0, 201, 2**20])
            elif change == 7:
                kind = dice.choice(KINDS[:3])
                fields[kind][f"{kind}price"] = dice.choice([2**60, fields["request"][f"{kind}maxprice"] + 1])
            elif change == 8:
                kind, tag = dice.choice(KINDS), dice.choice([0, TEE, GPU, 2**255, TEE | GPU])
                fields[kind]["tag"] = bytes32(tag)
            elif change == 9:
                fields["request"]["app"] = dice.choice(["app 0", "app 1", "nobody"])
            elif change == 10:
                fields["request"]["dataset"] = dice.choice(["dataset 0", "dataset 1", "nobody"])
            elif change == 11:
                # an address with an owner that no registry knows, in the right and in the wrong place
                kind = dice.choice(KINDS[:3])
                fields[kind][kind] = dice.choice(["yes", "app 0", "dataset 0", "workerpool 0"])
                if kind != "workerpool":
                    fields["request"][kind] = fields[kind][kind]
                else:
                    fields["request"]["workerpool"] = "nobody"
            elif change == 12:
                fields[dice.choice(KINDS)]["volume"] = dice.choice([0, 1, 4])
            else:
                fields["request"]["requester"] = dice.choice([*PEOPLE, "no", "angry", "talkative"])

    def _orders(self, plans: list[OrderPlan]) -> Callable[[World], list[Any]]:
        return lambda world: [order_to_abi(world.order(plan)) for plan in plans]

    def _match(self) -> Step:
        dice = self.dice
        plans = self._again() if self.deals and dice.random() < 0.2 else self._four()
        sponsored = self.dice.random() < 0.3
        sender = self.dice.choice(["sponsor", "sponsor", *PEOPLE]) if sponsored else self.dice.choice(PEOPLE)
        name = "sponsorMatchOrders" if sponsored else "matchOrders"
        for kind, plan in zip(KINDS, plans, strict=True):
            for world in self.worlds:
                world.order(plan)
            self.touched += [view("viewConsumed", f"hash of {kind} order {plan.number}")]
        note = "\n    ".join(["", *(f"{plan.fields} by {plan.signer} ({plan.flavour})" for plan in plans)])
        self.touched.append(Call("stranger", "hub", FUNCTIONS["computeDealVolume"], self._orders(plans), note))
        deal = f"deal {len(self.deals)}"
        request = plans[3]
        first = sum(self.described[made][12] for made, plan in self.deals.items() if plan == request)
        for world in self.worlds:
            world.call_it(deal, ids.deal_id(OrderHash(Bytes32(world.order_hash(request))), first))

        if self.deals:
            self._ask_compatibility(plans[1], dice.choice(list(self.deals)))

        def made(_: Outcome) -> None:
            self.deals[deal] = request
            self.matched.append(plans)
            self._ask_compatibility(plans[1], deal)
            self.touched.append(view("viewDeal", deal))

        return Step(Call(sender, "hub", FUNCTIONS[name], self._orders(plans), note), self._later(), made)

    def _ask_compatibility(self, plan: OrderPlan, deal: str) -> None:
        if not plan.fields["dataset"].startswith(("dataset ", "nobody")):
            # orders of what no registry knows are a known difference
            return
        function = FUNCTIONS["assertDatasetDealCompatibility"]
        question = Call(
            "stranger", "hub", function, lambda world: [order_to_abi(world.order(plan)), world[deal]], f"{plan} {deal}"
        )
        self.touched.append(question)

    def _manage(self) -> Step:
        dice = self.dice
        kind = dice.choice(KINDS)
        plans = self.known[kind]
        if not plans or dice.random() < 0.4:
            fresh = dict(zip(KINDS, self._four(), strict=True))
            plan = msgspec.structs.replace(fresh[kind], flavour="short", signer="")
            # signed on chain, it may be matched without a signature later
            self.known[kind].append(plan)
        else:
            plan = dice.choice(plans)
        resource = str(plan.fields["requester" if kind == "request" else kind])
        if kind != "request" and not resource.startswith((f"{kind} ", "nobody")):
            # orders of what no registry knows are a known difference
            return self._manage()
        owner = resource if kind == "request" else self.owners.get(resource, "stranger")
        operation = dice.choices([0, 1, 2], [70, 25, 5])[0]
        sender, signer = owner if owner in PEOPLE else "stranger", ""
        if dice.random() < 0.3:
            sender = dice.choice(PEOPLE)
            signer = dice.choice([owner if owner in PEOPLE else "", "stranger", ""])
        function = FUNCTIONS[f"manage{kind.capitalize()}Order"]
        for world in self.worlds:
            world.order(plan)
        name = f"hash of {kind} order {plan.number}"
        self.touched += [view("viewPresigned", name), view("viewConsumed", name)]
        if owner in PEOPLE:
            self.touched.append(view("verifyPresignature", owner, name))
        note = f"{operation} by signature of {signer or 'nobody'} on {plan}"
        call = Call(sender, "hub", function, lambda world: [world.operation(plan, operation, signer)], note)
        return Step(call, self._later())

    # --- tasks ----------------------------------------------------------------------------------------------------

    def _initialize(self, sender: str = "stranger") -> Step:
        dice = self.dice
        deal = dice.choice(list(self.deals))
        described = self.described[deal]
        first, size = described[11], described[12]
        chosen = [(deal, first + dice.choice([*range(size), *range(size), -1 if first else size, size]))]
        while dice.random() < 0.3:
            other = dice.choice(list(self.deals))
            chosen.append((other, self.described[other][11]))
        at = self._later()
        if dice.random() < 0.02:
            final = described[10] + 10 * (300 if described[4] == 0 else 1200)
            at = self._at(final + dice.choice([-1, 0])) if final - self.now < 5000 else at
            name = "initializeAndClaimArray"
        else:
            name = "initialize" if len(chosen) == 1 else "initializeArray"
        names = []
        for each, index in chosen:
            for world in self.worlds:
                task = world.task(each, index)
            names.append((task, each))

        def started(_: Outcome) -> None:
            self.tasks.update(names)

        if name == "initialize":
            return Step(self._hub(sender, name, *chosen[0]), at, started)
        deals, indexes = [each for each, _ in chosen], [index for _, index in chosen]
        if dice.random() < 0.03:
            indexes.append(0)
        return Step(self._hub(sender, name, deals, indexes), at, started)

    def _continue(self, task: str) -> Step:
        """What the parties of the task would do next."""
        dice, state = self.dice, self.states[task]
        status, contributors = state[0], list(state[10])
        scheduler = self.described[self.tasks[task]][2][1]
        if status == ACTIVE:
            fresh = [worker for worker in WORKERS[:6] if worker not in contributors]
            if not fresh or dice.random() < (0.01 if self.now < state[4] else 0.8):
                return Step(self._hub("stranger", "claim", task), self._at(state[6] - dice.choice([0, 0, 1])))
            if not contributors and self.described[self.tasks[task]][3] == 1 and dice.random() < 0.4:
                return self._shortcut(task, fresh[0])
            return self._contribute(task, dice.choice(fresh), dice.choices([RIGHT, WRONG], [75, 25])[0])
        winning = str(state[7])
        pending = [worker for worker in contributors if f"hash of {self.votes[task, worker]!r} for {task}" == winning]
        silent = [worker for worker in pending if (task, worker) not in self.revealed]
        if silent and dice.random() < 0.8:
            worker = dice.choice(silent)
            return self._reveal(task, worker, self.votes[task, worker])
        at = self._some_time(task)
        if silent:
            at = self._at(state[5] - dice.choice([0, 0, 1])) if state[5] - self.now < 4000 else at
        if silent and not state[8]:
            return Step(self._hub(scheduler, "reopen", task), at)
        return self._finalize(task, scheduler, at)

    def _any_task_call(self) -> Step:
        """A call for some task by somebody, whether or not it is the time for it."""
        dice = self.dice
        if not self.tasks:
            return self._initialize()
        task = dice.choice(list(self.tasks))
        worker, result = dice.choice(WORKERS), dice.choice([RIGHT, WRONG])
        at = self._some_time(task)
        pick = dice.randrange(8)
        if pick == 0:
            return self._contribute(task, worker, result)
        if pick == 1:
            return self._reveal(task, worker, result)
        if pick == 2:
            return Step(self._hub(dice.choice([*PEOPLE, "scheduler"]), "reopen", task), at)
        if pick == 3:
            return self._finalize(task, dice.choice(["scheduler", "scheduler", *PEOPLE]), at)
        if pick == 4:
            return Step(self._hub("stranger", "claim", task), at)
        if pick == 5:
            several = [dice.choice(list(self.tasks)) for _ in range(dice.choice([0, 1, 2, 3]))]
            return Step(self._hub("stranger", "claimArray", several), at)
        if pick == 6:
            return self._shortcut(task, worker)
        unknown = "0x" + "ab" * 32
        name = dice.choice(["claim", "reopen", "finalize", "initialize", "reveal"])
        arguments = {"finalize": [unknown, b"", b""], "initialize": [unknown, 0], "reveal": [unknown, unknown]}
        return Step(self._hub("scheduler", name, *arguments.get(name, [unknown])), at)

    def _papers(self, task: str) -> tuple[str, str, str]:
        """Enclave, who authorises, and who signs for the enclave: mostly as it should be."""
        dice = self.dice
        deal = self.described[self.tasks[task]]
        enclave = "enclave" if int(str(deal[5]), 16) & TEE or dice.random() < 0.1 else "nobody"
        if dice.random() < 0.05:
            enclave = dice.choice(["enclave", "nobody", "yes", "no"])
        signer = self.broker if enclave != "nobody" and self.broker != "nobody" else str(deal[2][1])
        if dice.random() < 0.05:
            signer = dice.choice(PEOPLE)
        return enclave, signer, "enclave" if dice.random() < 0.95 else "stranger"

    def _contribute(self, task: str, worker: str, result: bytes) -> Step:
        enclave, signer, attester = self._papers(task)
        malformed = self.dice.random() < 0.02

        def arguments(world: World) -> list[Any]:
            hash_, seal = world.commitment(task, worker, result)
            authorization = world.authorization(task, worker, enclave, signer)
            attestation = b""
            if enclave != "nobody":
                attestation = world.enclave_signature(task, worker, result, attester)
            if malformed:
                authorization = authorization[:-3]
            return [world[task], hash_, seal, world[enclave], attestation, authorization]

        def voted(_: Outcome) -> None:
            self.votes[task, worker] = result

        self.touched.append(view("viewContribution", task, worker))
        note = f"{result!r} for {task}, {enclave}, authorised by {signer}"
        call = Call(worker, "hub", FUNCTIONS["contribute"], arguments, note)
        return Step(call, self._some_time(task), voted)

    def _reveal(self, task: str, worker: str, result: bytes) -> Step:
        digest = "digest of " + repr(result)
        self._name_digest(result)

        def revealed(_: Outcome) -> None:
            self.revealed.add((task, worker))

        self.touched.append(view("viewContribution", task, worker))
        return Step(self._hub(worker, "reveal", task, digest), self._some_time(task), revealed)

    def _name_digest(self, result: bytes) -> str:
        for world in self.worlds:
            name = world.call_it("digest of " + repr(result), to_hex(keccak256(result)))
        return name

    def _finalize(self, task: str, sender: str, at: int) -> Step:
        payload = self._payload(task)
        results = self.dice.choice([b"", b"link", b"x" * 84, b"y" * 1000])
        self.touched.append(view("resultFor", task))
        return Step(self._hub(sender, "finalize", task, results, payload), at)

    def _payload(self, task: str) -> bytes:
        """What the callback is to receive, mostly as it should be."""
        dice, consensus = self.dice, str(self.states[task][7]) if task in self.states else ""
        if dice.random() < 0.15:
            return dice.choice([RIGHT, WRONG, b""])
        if self.described[self.tasks[task]][8] == "nobody":
            return b""
        return WRONG if consensus == f"hash of {WRONG!r} for {task}" else RIGHT

    def _shortcut(self, task: str, worker: str) -> Step:
        enclave, signer, attester = self._papers(task)
        digest, payload = self._name_digest(RIGHT), self._payload(task)
        results = self.dice.choice([b"", b"link"])

        def arguments(world: World) -> list[Any]:
            world.commitment(task, worker, RIGHT)
            authorization = world.authorization(task, worker, enclave, signer)
            attestation = b""
            if enclave != "nobody":
                attestation = world.enclave_signature(task, worker, RIGHT, attester)
            return [world[task], world[digest], results, payload, world[enclave], attestation, authorization]

        self.touched += [view("viewContribution", task, worker), view("resultFor", task)]
        note = f"{task}, {enclave}, authorised by {signer}, callback {payload!r}"
        return Step(Call(worker, "hub", FUNCTIONS["contributeAndFinalize"], arguments, note), self._some_time(task))

    # --- everything else ------------------------------------------------------------------------------------------

    def _money(self) -> Step:
        dice = self.dice
        sender, other, third = dice.choice(PEOPLE), dice.choice([*PEOPLE, "nobody"]), dice.choice(PEOPLE)
        amount = dice.choice([0, 1, 10**6, 10**9, 10**12, 10**16, 2**200])
        self.touched.append(view("allowance", sender, other))
        self.touched.append(view("allowance", third, sender))
        calls: list[tuple[Any, ...]] = [
            ("deposit", amount),
            ("depositFor", amount, other),
            ("depositForArray", [amount, 5], dice.choice([[third, other], [third]])),
            ("withdraw", amount),
            ("withdrawTo", amount, third),
            ("transfer", other, amount),
            ("approve", other, amount),
            ("transferFrom", dice.choice([third, "nobody"]), other, amount),
            ("transferFrom", third, other, amount),
            ("increaseAllowance", other, amount),
            ("decreaseAllowance", other, amount),
            ("approveAndCall", dice.choice([third, "yes", "token", "hub"]), amount, b"data"),
            ("recover",),
        ]
        name, *arguments = dice.choice(calls)
        sender = "admin" if name == "recover" and dice.random() < 0.7 else sender
        value = 1 if dice.random() < 0.02 else 0
        return Step(self._hub(sender, name, *arguments, value=value), self._later())

    def _odd_deposit(self) -> Step:
        """RLC sent to the hub: with a notice, which deposits it, or without, which does not."""
        amount = self.dice.choice([0, 7, 10**9, 10**16])
        function = token.FUNCTIONS[self.dice.choice(["transfer", "approveAndCall"])]
        rest = [b""] if function.name == "approveAndCall" else []
        sender = self.dice.choice(PEOPLE)
        call = Call(sender, "token", function, lambda world: [world["hub"], amount, *rest], f"{amount}")
        return Step(call, self._later())

    def _policy(self) -> Step:
        pool = self.dice.choice(["workerpool 0", "workerpool 1"])
        sender = self.dice.choice([self.owners[pool], self.owners[pool], "stranger"])
        sender = sender if sender in PEOPLE else "stranger"
        ratios = self.dice.choice([0, 30, 100, 1000]), self.dice.choice([0, 1, 50, 100, 101])
        call = Call(sender, pool, registries.FUNCTIONS["changePolicy"], lambda _: ratios, f"{ratios}")
        self.touched.append(view("viewWorkerpool", pool))
        return Step(call, self._later())

    def _sale(self) -> Step:
        asset = self.dice.choice(list(self.owners))
        registry, seller = f"{asset.split()[0]}_registry", self.owners[asset]
        buyer = self.dice.choice([*PEOPLE, "yes"])
        sender = seller if seller in PEOPLE and self.dice.random() < 0.8 else "stranger"

        def arguments(world: World) -> list[Any]:
            return [world[seller], world[buyer], int(world[asset], 16)]

        def sold(_: Outcome) -> None:
            self.owners[asset] = buyer

        function = registries.FUNCTIONS["transferFrom"]
        return Step(Call(sender, registry, function, arguments, f"{asset} to {buyer}"), self._later(), sold)

    def _settings(self) -> Step:
        broker = self.dice.choice(["nobody", "broker"])
        sender = self.dice.choice(["admin", "admin", "stranger"])

        def changed(_: Outcome) -> None:
            self.broker = broker

        return Step(self._hub(sender, "setTeeBroker", broker), self._later(), changed)

    # --- questions ------------------------------------------------------------------------------------------------

    def questions(self, *, thorough: bool = True) -> list[Call]:
        """What the last step may have changed; `thorough` with all accounts and scores."""
        asked, self.touched = self.touched, []
        if not thorough:
            return asked + [view("viewTask", task) for task in self.tasks]
        people = [*PEOPLE, "yes", "kitty", "hub", "app owner", "admin"]
        asked += [view("viewTask", task) for task in self.tasks]
        asked += [view("viewAccount", name) for name in people]
        asked += [view("viewScore", worker) for worker in WORKERS]
        asked += [view("totalSupply"), view("balanceOf", "hub"), view("frozenOf", "kitty")]
        return asked

    def learn(self, call: Call, answer: Outcome) -> None:
        """Take note of what a hub says of deals and tasks: the next steps build upon it."""
        if call.function.name == "viewTask" and answer.values[0][0]:
            self.states[call.subject] = answer.values[0]
        elif call.function.name == "viewDeal":
            self.described[call.subject] = answer.values[0]

    def last_questions(self) -> list[Call]:
        """Everything there is."""
        asked = [view("viewDeal", deal) for deal in self.deals]
        for task in self.tasks:
            asked.append(view("resultFor", task))
            asked += [view("viewContribution", task, worker) for worker in WORKERS]
        return asked + self.questions()


def play(chain: Chain, coverage: Coverage, seed: int) -> None:
    """Play the history with this seed to both hubs as deployed.

    Raises:
        Difference: they tell different stories.
    """
    player = Player(chain, coverage, f"history {seed}")
    history = History(seed, chain.worlds, chain.now())

    def make(step: Step) -> None:
        outcome = player.make(step.call, step.at)
        if outcome.succeeded and step.then:
            step.then(outcome)

    def ask(questions: list[Call]) -> None:
        for call, answer in zip(questions, player.ask(questions), strict=True):
            history.learn(call, answer)

    for step in history.opening():
        make(step)
    for number in range(STEPS):
        make(history.step())
        ask(history.questions(thorough=number % THOROUGH == 0))
    ask(history.last_questions())
    assert history.deals
