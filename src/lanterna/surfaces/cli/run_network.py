"""Run a technique that trains a network: show its progress, stop and resume it, film it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lanterna.networks.naming import output_folder
from lanterna.networks.trained import CHECKPOINT, trained_folder
from lanterna.surfaces.cli.common import emit_json, fetch_missing, report_device, say, stoppable
from lanterna.surfaces.cli.preview import watching
from lanterna.techniques import execute
from lanterna.techniques.train.parallel import RESTARTS, SINGLE_PROCESS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from lanterna.surfaces.cli.arguments import Request
    from lanterna.techniques.execute import Job
    from lanterna.techniques.technique import Frame, Work
    from lanterna.techniques.train.parallel import Team


def run_network(request: Request, options: Mapping[str, Any], team: Team = SINGLE_PROCESS) -> int | None:
    """Run the request, show how the network learns, report its score, and return the exit code.

    In a `team` the first process prints and saves; restarted after a lost process, it resumes from the
    checkpoint. Errors: those of the technique, and of `place_for`.
    """
    technique, quiet = request.technique, options["quiet"] or not team.is_first
    title = options["output"] or technique.default_name(request.settings, request.files)
    folder = trained_folder(title)
    checkpoint, films = folder / CHECKPOINT, list(dict.fromkeys(options.get("film") or ()))
    if options.get("film") == []:
        films = [folder / "film.html", folder / "film.webp"]
    resume, force = options["resume"], options["force"]
    if team.restarts:
        resume, force = team.run_on_first(checkpoint.exists), True
        start = " from the checkpoint" if resume else ""
        say(f"a process was lost: restarting all{start} ({team.restarts} of {RESTARTS})", quiet=quiet)
    else:
        team.run_on_first(lambda: _check(title, request, films, resume=resume, force=force))
    run_options = technique.run_options(options.get("options"))
    job = execute.Job(
        technique, request.settings, request.files, device=options.get("device", "auto"),
        checkpoint=checkpoint, resume=resume, force=force, title=title,
        notify=lambda text: say(text, quiet=quiet), fetch_item=lambda item: fetch_missing(item, quiet=quiet),
        options={**run_options, "team": team, "film": folder / "film.pt" if films else None},
    )  # fmt: skip
    work = execute.begin(job)
    report_device(job.device, quiet=quiet)
    frame = None
    display = watching(technique.title.lower(), technique.describe, technique.log_lines, quiet=quiet)
    with stoppable() as should_stop, display as watch:
        for frame in work.frames:
            watch(frame)
            if team.run_on_first(should_stop):
                break
        work.frames.close()
    assert frame is not None
    if team.is_first:
        return _finish(job, work, frame, films, json=options["json"], quiet=quiet)
    return 130 if frame.step < frame.steps else None


def _check(title: str, request: Request, films: Sequence[Path], *, resume: bool, force: bool) -> None:
    """Check the output paths before training begins. Errors: `UsageError`, `MissingError`."""
    from lanterna.surfaces.web.film import check_places

    folder = output_folder(title, kind=getattr(request.settings, "network", ""), resume=resume, force=force)
    check_places(films, force=force or resume)
    if not resume:  # or a restart after a lost process would resume from an old checkpoint
        (folder / CHECKPOINT).unlink(missing_ok=True)


def _finish(
    job: Job, work: Work, frame: Frame, films: Sequence[Path], *, json: bool, quiet: bool
) -> int | None:
    """Save the network and its film, print its score, and return the exit code."""
    learned = bool(work.results(frame, job.settings))
    finished = learned and frame.step == frame.steps
    report = work.report(frame)
    document = {"folder": str(trained_folder(job.title)), "finished": finished, **report.document}
    if films:
        from lanterna.surfaces.web.film import save

        for path in films:
            save(work.film, path, force=job.force or job.resume)
        document["film"] = [str(path) for path in films]
    for warning in report.warnings:
        say(warning)
    if json and learned:
        emit_json(document)
    for note in report.notes:
        say(note, quiet=quiet or json)
    if films:
        say(f"film saved: {', '.join(map(str, films))}", quiet=quiet)
    if not finished:
        again = "add --resume to the same command" if job.checkpoint and job.checkpoint.exists() else (
            "give the same command again"
        )  # fmt: skip
        say(f"stopped early: {again} to continue", quiet=quiet)
        return 130
    execute.clean_up(job)
    if films:
        work.film.path.unlink(missing_ok=True)
    return None
