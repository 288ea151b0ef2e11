"""How long many pages take on many cores, what they cost, and what is lost when machines are taken away.

    python examples/bulk_plan.py --pages 100e6 --rate 0.5 --cores 4096

It plays a job of `maoocr.ray` or `maoocr batch --shard` chunk by chunk: workers take the next chunk when they are free, chunks
take as long as their pages do, and machines vanish (spot capacity) and come back. A chunk that was under way is read again.
Prices are arguments: put in yours. No dependencies.
"""

import argparse
import heapq
import math
import random
from dataclasses import dataclass
from typing import List, Tuple


@dataclass
class Plan:
    """A job.

    Attributes:
        pages: Pages to read.
        rate: Pages a core-second, measured on pages like these.
        cores: Cores that read, one worker each.
        chunk: Pages a chunk: what is lost at most when a worker dies.
        spread: How unlike each other pages are: standard deviation of a page's time over its mean.
        start: Time until a new worker reads (process, models), s.
        lifetime: Mean time until a machine is taken away, h; 0 for never.
        absence: Mean time until another one is there, s.
        cores_a_machine: They come and go together.
        core_hour: Price of a core-hour.
        put, get, listing: Prices of a thousand requests to the object store.
        page_kb, row_kb: Size of a page and of its row in the output, kB.
        storage: Price of a GB-month.
    """

    pages: float
    rate: float
    cores: int
    chunk: int = 256
    spread: float = 0.8
    start: float = 15.0
    lifetime: float = 0.0
    absence: float = 120.0
    cores_a_machine: int = 16
    core_hour: float = 0.02
    put: float = 0.005
    get: float = 0.0004
    listing: float = 0.005
    page_kb: float = 200.0
    row_kb: float = 6.0
    storage: float = 0.023


@dataclass
class Outcome:
    """What became of it: hours until the end, core-hours paid, the share that was read twice, machines that were replaced,
    requests to the object store by kind, and costs."""

    hours: float
    core_hours: float
    repeated: float
    restarts: int
    gets: float
    puts: float
    listings: float
    compute: float
    requests: float
    storage_month: float


def play(plan: Plan, seed: int = 1) -> Outcome:
    """Plays a job. Above two million chunks a part of it is played and the rest goes at the same pace."""
    rng = random.Random(seed)
    chunks = math.ceil(plan.pages / plan.chunk)
    machines = max(1, plan.cores // plan.cores_a_machine)
    # As many chunks a core as in the whole job, on fewer machines.
    played_machines = max(1, machines // max(1, min(machines, chunks // 200_000)))
    scale = machines / played_machines
    left = math.ceil(chunks / scale)
    mean = plan.chunk / plan.rate
    # A chunk's time is a sum over pages: nearly normal.
    deviation = mean * plan.spread / math.sqrt(plan.chunk)
    #: When a worker is free: time, machine.
    free: List[Tuple[float, int]] = []
    ends = [rng.expovariate(1 / (plan.lifetime * 3600)) if plan.lifetime else math.inf for _ in range(played_machines)]
    #: When the machine that is there now began to read.
    ready = [plan.start] * played_machines
    for machine in range(played_machines):
        free += [(plan.start, machine)] * min(plan.cores_a_machine, plan.cores)
    heapq.heapify(free)
    done_at, lost, useful, restarts, paid_starts = 0.0, 0.0, 0.0, 0, 0.0
    while left > 0:
        now, machine = heapq.heappop(free)
        while now >= ends[machine]:
            # The machine went while nothing of this worker's was under way; another one comes.
            begun = ends[machine] + rng.expovariate(1 / plan.absence)
            ends[machine] = begun + rng.expovariate(1 / (plan.lifetime * 3600))
            ready[machine] = begun + plan.start
            paid_starts += plan.start * plan.cores_a_machine
            restarts += 1
        now = max(now, ready[machine])
        took = max(mean * 0.1, rng.gauss(mean, deviation))
        if now + took > ends[machine]:
            lost += max(0.0, ends[machine] - now)
            heapq.heappush(free, (ends[machine], machine))
            continue
        left -= 1
        useful += took
        done_at = max(done_at, now + took)
        heapq.heappush(free, (now + took, machine))
    workers = len(free)
    core_hours = (useful + lost + paid_starts + workers * plan.start) * scale / 3600
    # The files are listed once and the parts twice, a thousand at a time.
    gets, puts = plan.pages * (1 + lost / max(useful, 1e-9)), float(chunks)
    listings = (plan.pages + 2 * chunks) / 1000
    requests = gets / 1000 * plan.get + puts / 1000 * plan.put + listings / 1000 * plan.listing
    gigabytes = plan.pages * (plan.page_kb + plan.row_kb) / 1e6
    return Outcome(
        hours=done_at / 3600,
        core_hours=core_hours,
        repeated=lost / max(useful, 1e-9),
        restarts=round(restarts * scale),
        gets=gets,
        puts=puts,
        listings=listings,
        compute=core_hours * plan.core_hour,
        requests=requests,
        storage_month=gigabytes * plan.storage,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    for name, kind in Plan.__annotations__.items():
        needed = name in ("pages", "rate", "cores")
        default = None if needed else getattr(Plan, name)
        read = (lambda text: int(float(text))) if kind is int else float
        parser.add_argument("--" + name.replace("_", "-"), type=read, required=needed, default=default)
    outcome = play(Plan(**vars(parser.parse_args())))
    for name, value in vars(outcome).items():
        print(f"{name:>14}  {value:,.4f}" if value < 1 else f"{name:>14}  {value:,.1f}")


if __name__ == "__main__":
    main()
