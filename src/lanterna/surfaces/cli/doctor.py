"""`lanterna doctor`: check this machine, and say how to fix what is missing."""

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from lanterna import __version__, settings, shelf
from lanterna.errors import UsageError
from lanterna.files import format_size
from lanterna.shelf.wheels import has_pip
from lanterna.surfaces.cli import settings_file
from lanterna.surfaces.cli.common import Json, console, emit_json
from lanterna.techniques import registry

PACKAGES = (
    "torch",
    "numpy",
    "pillow",
    "safetensors",
    "pydantic",
    "cyclopts",
    "rich",
    "platformdirs",
    "pyfive",
)


def doctor(*, json: Json = False) -> int:
    """Check versions, devices, data and folders; say how to fix what is missing.

    The exit code is 1 if torch cannot be imported, as nothing works without it.
    """
    advice: list[str] = []
    torch_facts, broken = _torch(advice)
    facts: dict[str, Mapping[str, object]] = {
        "lanterna": {"version": __version__, "place": str(Path(__file__).parents[3])},
        "python": {"version": platform.python_version(), "place": sys.executable},
        "machine": {"system": platform.platform(), "processor": platform.machine(), "cores": os.cpu_count()},
        "packages": {name: _version(name) for name in PACKAGES},
        "techniques": _techniques(advice),
        "torch": torch_facts,
        "pictures": _pictures(advice),
        "fetching": _fetching(advice),
        "shelf": _shelf(advice),
        "folders": {
            "shelf": _folder(settings.shelf_folder(), advice),
            "networks": _folder(settings.networks_folder(), advice),
            "studio": _folder(settings.studio_folder(), advice),
            "answers": _folder(settings.answers_folder(), advice),
            "classes": _folder(settings.classes_folder(), advice),
        },
        "settings file": _settings_file(advice),
        "environment": {key: os.environ[key] for key in sorted(os.environ) if key.startswith("LANTERNA_")},
    }
    if json:
        emit_json(dict(facts) | {"advice": advice})
    else:
        _print(facts, advice)
    return 1 if broken else 0


def _torch(advice: list[str]) -> tuple[dict[str, object], bool]:
    try:
        import torch

        from lanterna.devices import choose_device, fast_dtype
    except Exception as error:  # a broken build fails in many ways: a missing library, a wrong processor
        advice.append(
            "torch cannot be imported, and nothing works without it: pip install --force-reinstall torch"
        )
        return {"error": f"{type(error).__name__}: {error}"}, True
    best = choose_device("auto")
    if settings.precision() == "float32":
        advice.append("LANTERNA_PRECISION is float32: bfloat16 is off, even if this machine has it")
    elif best.type == "cpu" and fast_dtype(best) == torch.float32:
        advice.append("this processor has no bfloat16: everything runs in float32, at about half the speed")
    devices = ["cpu"]
    devices += [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    devices += ["mps"] if torch.backends.mps.is_available() else []
    return {
        "version": torch.__version__,
        "build": f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU or Apple",
        "devices": devices,
        "auto": str(best),
        "precision": str(fast_dtype(best)).removeprefix("torch."),
        "threads": torch.get_num_threads(),
    }, False


def _pictures(advice: list[str]) -> dict[str, bool]:
    from PIL import features

    supported = {name: bool(features.check(name)) for name in ("jpg", "webp", "avif", "littlecms2")}
    supported["heic"] = importlib.util.find_spec("pillow_heif") is not None
    if not supported["heic"]:
        advice.append("to open an iPhone's HEIC photographs: pip install 'lanterna[heic]'")
    advice += [
        f"Pillow is built without {name}: pip install --force-reinstall pillow"
        for name in supported
        if not supported[name] and name != "heic"
    ]
    return supported


def _fetching(advice: list[str]) -> dict[str, object]:
    tools = {"pip": has_pip(), "uv": shutil.which("uv") is not None, "offline": settings.offline()}
    if not tools["pip"] and not tools["uv"]:
        advice.append(
            "neither pip nor uv is installed: python -m ensurepip, or `lanterna shelf import FILE.whl`"
        )
    if tools["offline"]:
        advice.append("LANTERNA_OFFLINE is set: nothing is fetched")
    return dict(tools)


def _shelf(advice: list[str]) -> dict[str, bool]:
    fetched = {name: shelf.is_fetched(name) for name in shelf.ITEMS}
    missing = [name for name in fetched if not fetched[name]]
    if missing:
        size = format_size(sum(shelf.ITEMS[name].size for name in missing))
        advice.append(f"not on the shelf yet ({size}): lanterna shelf fetch {' '.join(missing)}")
    return fetched


def _folder(folder: Path, advice: list[str]) -> dict[str, object]:
    """Return where a folder is, whether it can be written or created, and the free space."""
    nearest = next((parent for parent in (folder, *folder.parents) if parent.exists()), Path("/"))
    writable = nearest.is_dir() and os.access(nearest, os.W_OK)
    if not writable:
        advice.append(f"{folder} cannot be written: set LANTERNA_HOME to one of your own folders")
    free = shutil.disk_usage(nearest).free
    if free < 1e9:
        advice.append(f"{nearest} has only {format_size(free)} of free space")
    return {"place": str(folder), "exists": folder.exists(), "writable": writable, "free_bytes": free}


def _settings_file(advice: list[str]) -> Mapping[str, object]:
    try:
        return settings_file.facts()
    except UsageError as error:
        advice.append(str(error))
        return {"file": "not used"}


def _techniques(advice: list[str]) -> Mapping[str, object]:
    """Return the techniques of installed packages, by verb."""
    broken = registry.load_errors()
    advice += [f"{reason}: update or uninstall its package" for reason in broken.values()]
    return {verb: "cannot be used" if verb in broken else text for verb, text in registry.summaries().items()}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _print(facts: Mapping[str, Mapping[str, object]], advice: list[str]) -> None:
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="bold")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for section, content in facts.items():
        for index, (name, value) in enumerate(content.items()):
            table.add_row("" if index else section, name, _format(value))
    out = console(stdout=True)
    out.print(table)
    out.print()
    for line in advice or ["everything is fine"]:
        out.print(f"- {line}", soft_wrap=True)


def _format(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):  # a folder
        state = "" if value["writable"] else ", cannot be written"
        return f"{value['place']} ({format_size(value['free_bytes'])} free{state})"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "missing" if value is None else str(value)
