"""Runs that are killed with SIGKILL: at any time, while they write, during the commit."""

from __future__ import annotations

import random
import signal
import time
from dataclasses import dataclass

from fault_runs import Job, Outcome, Ran, assert_heals, assert_promises, finish, start, wait_for

AIMS = ("anywhere", "while writing", "in the commit")
LONGEST = 1.2
"""Seconds from its start in which a run may be killed: some have ended by then."""


@dataclass(frozen=True)
class Killed:
    """The state after a kill: had the run ended, temporaries, a plan, final files."""

    ended: bool
    temporaries: bool
    plan: bool
    finals: int


def kill_once(job: Job, aim: str, chance: random.Random) -> tuple[Ran, Killed]:
    """Start the job and kill it: at any time, while it writes, or once its commit has begun."""
    process = start(*job.arguments)
    if aim == "anywhere":
        time.sleep(chance.uniform(0, LONGEST))
    elif aim == "while writing":
        wait_for(job.temporary, process)
        time.sleep(chance.uniform(0, 0.1))
    else:
        wait_for(job.commit, process)
        time.sleep(chance.choice([0, 0, 0.0002, 0.001]))
    process.send_signal(signal.SIGKILL)
    ran = finish(process)
    left = job.leftovers()
    killed = Killed(
        ended=ran.code != -signal.SIGKILL,
        temporaries=any(name.endswith(".tmp") for name in left),
        plan=job.commit.name in left,
        finals=len(job.outcome()),
    )
    return ran, killed


def kill_and_heal(
    job: Job, before: Outcome, after: Outcome, aim: str, chance: random.Random
) -> Killed:
    """Kill the job, check that the files left mislead nobody, and let the next run mend them."""
    ran, killed = kill_once(job, aim, chance)
    assert_promises(job, ran, before, after, killed=True)
    assert_heals(job, after)
    return killed
