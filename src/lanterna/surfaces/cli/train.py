"""`lanterna train`: in this process, or in several, on one machine or on many."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from lanterna.devices import choose_device
from lanterna.surfaces.cli.arguments import Request
from lanterna.surfaces.cli.common import fetch_missing
from lanterna.surfaces.cli.run_network import run_network
from lanterna.surfaces.cli.techniques import command_of
from lanterna.techniques.train.parallel import Processes, in_a_team, join, leave
from lanterna.techniques.train.technique import TRAIN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lanterna.techniques.technique import Settings


def run(what: Request, options: Mapping[str, Any]) -> int | None:
    """Train, in as many processes as are asked for, or as one of those that torchrun started."""
    plain = {name: value for name, value in options.items() if name not in ("settings", "options")}
    work = partial(take_part, what.settings, plain)  # which can be sent to another process
    if in_a_team():
        return work()
    processes = options["options"] or Processes()
    if processes == Processes():
        return run_network(what, options)
    from lanterna.surfaces.cli.distributed import launch

    fetch_missing("mnist", quiet=options["quiet"])
    return launch(work, choose_device(options["device"]), processes)


def take_part(settings: Settings, options: Mapping[str, Any]) -> int:
    """What each of several processes does: meet the others, and train with them."""
    team = join(choose_device(options["device"]))
    code = run_network(Request(TRAIN, settings, {}, {}), options, team)
    leave()
    return code or 0


train = command_of([TRAIN], run=run)
