"""`lanterna train`: in one process, or in several, on one machine or many."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from lanterna.devices import choose_device
from lanterna.surfaces.cli.arguments import Request
from lanterna.surfaces.cli.common import fetch_missing
from lanterna.surfaces.cli.run_network import run_network
from lanterna.surfaces.cli.techniques import command_of
from lanterna.techniques.train.parallel import Processes, join, launched_by_torchrun, leave
from lanterna.techniques.train.technique import TRAIN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lanterna.techniques.technique import Settings


def run(request: Request, options: Mapping[str, Any]) -> int | None:
    """Train in the requested number of processes, or as one of those that torchrun started."""
    picklable = {name: value for name, value in options.items() if name not in ("settings", "options")}
    work = partial(train_in_team, request.settings, picklable)
    if launched_by_torchrun():
        return work()
    processes = options["options"] or Processes()
    if processes == Processes():
        return run_network(request, options)
    from lanterna.surfaces.cli.distributed import launch

    fetch_missing("mnist", quiet=options["quiet"])
    return launch(work, choose_device(options["device"]), processes)


def train_in_team(settings: Settings, options: Mapping[str, Any]) -> int:
    """Train as one of several processes: join the others, train, leave, and return the exit code."""
    team = join(choose_device(options["device"]))
    code = run_network(Request(TRAIN, settings, {}, {}), options, team)
    leave()
    return code or 0


train = command_of([TRAIN], run=run)
