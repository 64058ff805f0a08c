"""The recipe in every saved picture: everything needed to create it again.

It is JSON: in a PNG the text `lanterna`, in other formats part of an XMP packet. Recipes are read from
untrusted files, so their size is limited, and they are parsed as JSON and validated field by field.
"""

from __future__ import annotations

import hashlib
import html
import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import torch
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    ValidationError,
    model_serializer,
    model_validator,
)

import lanterna
from lanterna import shelf
from lanterna.documents import check_document
from lanterna.errors import UsageError, escape, field_name
from lanterna.files import sha256
from lanterna.images.decoding import Source, open_image, source_name
from lanterna.renamed import current_recipe, original_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from PIL.ImageFile import ImageFile
    from torch import nn

KEYWORD = "lanterna"
MAX_RECIPE_BYTES = 60_000
"""The maximum size of a recipe: one segment of a JPEG, with room for the packet around it."""

DeviceType = Literal["cpu", "cuda", "mps"]
Word = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, Field(max_length=4096)]
_settings = TypeAdapter(dict[str, JsonValue])


class RecipeInput(BaseModel):
    """An input picture: its path (`-` for standard input) and the sha256 of its file.

    `role` is empty for the main picture, otherwise for example `guide` or `mask`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Text
    sha256: Sha256
    role: Literal[""] | Word = ""

    @model_serializer(mode="wrap")
    def _without_empty_role(self, fields: SerializerFunctionWrapHandler) -> dict[str, str]:
        return {name: value for name, value in fields(self).items() if name != "role" or value}


class RecipeNetwork(BaseModel):
    """The network that was used: its name, and the sha256 of its weights (None: the current ones)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Text
    sha256: Sha256 | None


class Change(BaseModel):
    """Settings that were changed during a run, and the step after which they applied."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: int = Field(ge=0)
    settings: dict[str, JsonValue]


class Recipe(BaseModel):
    """How a picture was created: the verb, its settings, its inputs and the machine.

    `settings` are the final ones; `changes` lists the settings that were changed during the run, and when.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    lanterna: Text
    torch: Text
    machine: Text
    device: DeviceType
    threads: int = Field(ge=1, le=4096)
    verb: Word
    output: Word
    settings: dict[str, JsonValue]
    inputs: tuple[RecipeInput, ...] = ()
    network: RecipeNetwork | None = None
    seed: int = Field(ge=0, lt=2**63)
    shelf: dict[str, dict[str, str]] = {}
    changes: tuple[Change, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _with_current_names(cls, fields: object) -> object:
        return current_recipe(fields)

    @model_serializer(mode="wrap")
    def _without_empty_changes(self, fields: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in fields(self).items() if name != "changes" or value}


def make_recipe(
    verb: str,
    output: str,
    settings: Mapping[str, Any] | BaseModel,
    *,
    device: torch.device | str = "cpu",
    inputs: Iterable[str | Path | RecipeInput] = (),
    network: nn.Module | None = None,
    network_name: str | None = None,
    shelf_items: Iterable[str] = (),
) -> Recipe:
    """Create the recipe of a picture that this process has computed.

    `output` is the verb's output (`page`, `steps`); the seed is the settings' `seed`. `inputs` are the input
    files, or `RecipeInput`s for data that did not come from files; `network` is the one that was used, saved
    under `network_name` or else its `name`; `shelf_items` are the shelf's items that were used.
    Errors: `UsageError` if an input cannot be read or the recipe is too long.
    """
    if isinstance(settings, BaseModel):
        settings = settings.model_dump(mode="json")
    recipe_inputs = tuple(
        entry if isinstance(entry, RecipeInput) else make_recipe_input(entry) for entry in inputs
    )
    recipe_network = None
    if network is not None:
        recipe_network = RecipeNetwork(name=network_name or str(network.name), sha256=weights_sha256(network))
    recipe = Recipe(
        lanterna=lanterna.__version__,
        torch=torch.__version__,
        machine=describe_machine(torch.device(device)),
        device=cast("DeviceType", torch.device(device).type),
        threads=torch.get_num_threads(),
        verb=verb,
        output=output,
        settings=_settings.validate_python(dict(settings)),
        inputs=recipe_inputs,
        network=recipe_network,
        seed=settings.get("seed", 0),
        shelf={item: dict(shelf.hashes(item)) for item in shelf_items},
    )
    to_json(recipe)
    return recipe


def with_changes(recipe: Recipe, changes: Iterable[Mapping[str, Any]]) -> Recipe:
    """Return a recipe with the settings' changes during the run, each as `{step, settings}`."""
    return recipe.model_copy(update={"changes": tuple(Change.model_validate(change) for change in changes)})


def make_recipe_input(path: str | Path | bytes, *, role: str = "", name: str | None = None) -> RecipeInput:
    """Describe an input file, or the bytes read from standard input, for a recipe.

    `name` is the name under which the user knows the file, if that is not its path. A path in the user's home
    is saved as `~/…`, because pictures are shared.
    """
    if isinstance(path, bytes):
        return RecipeInput(path="-", sha256=hashlib.sha256(path).hexdigest(), role=role)
    try:
        digest = sha256(Path(path).expanduser())
    except (OSError, ValueError, RuntimeError) as error:
        raise UsageError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    return RecipeInput(path=name or _private(Path(path)), sha256=digest, role=role)


def _private(path: Path) -> str:
    # A file's name need not be UTF-8, a recipe must be.
    path = Path(os.fsencode(path).decode("utf-8", "backslashreplace"))
    if not path.is_absolute():
        return str(path)
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 (it never fails)
    for folder, prefix in ((Path.cwd(), ""), (home, "~/")):
        if path.is_relative_to(folder):
            return f"{prefix}{path.relative_to(folder)}"
    return str(path)


def weights_sha256(network: nn.Module) -> str:
    """Return the sha256 of a network's weights: names, dtypes, shapes and values, not the file's format."""
    digest = hashlib.sha256()
    for name, weights in sorted(network.state_dict().items()):
        values = weights.detach().cpu().contiguous()
        digest.update(f"{original_name(name)} {values.dtype} {tuple(values.shape)}\n".encode())
        digest.update(values.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def describe_machine(device: torch.device) -> str:
    """Describe what determines rounding: the system, the processor's instructions, the GPU if one is used."""
    words = [platform.system(), platform.machine(), torch.backends.cpu.get_cpu_capability()]
    if device.type == "cuda":
        words.append(torch.cuda.get_device_name(device))
    return " ".join(words)


def to_json(recipe: Recipe) -> str:
    """Return the recipe as one line of ASCII JSON that can be embedded in XML unescaped.

    Errors: `UsageError` if it is longer than `MAX_RECIPE_BYTES`.
    """
    text = recipe.model_dump_json(ensure_ascii=True)
    for char in "&<>":
        text = text.replace(char, f"\\u{ord(char):04x}")
    if len(text) > MAX_RECIPE_BYTES:
        raise UsageError(
            f"the recipe is {len(text):,} bytes long, a picture holds {MAX_RECIPE_BYTES:,}: use fewer inputs"
        )
    return text


def from_json(text: str | bytes, name: str) -> Recipe:
    """Parse an untrusted recipe; `name` is the file's, for errors. Errors: `UsageError` in one line."""
    if len(text) > MAX_RECIPE_BYTES:
        raise UsageError(
            f"{name} holds a recipe of more than {MAX_RECIPE_BYTES:,} bytes, which Lanterna never writes"
        )
    try:
        recipe = Recipe.model_validate_json(text)
        check_document(recipe.model_dump())
        return recipe
    except UsageError as error:
        raise UsageError(f"{name} holds a broken recipe: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if first["loc"] == ("format",):
            raise UsageError(
                f"{name} holds a recipe of a newer Lanterna: update Lanterna to read it"
            ) from error
        field = printable(field_name(first)) or "JSON"
        raise UsageError(f"{name} holds a broken recipe: {field}: {printable(first['msg'])}") from error


def to_xmp(recipe: Recipe) -> bytes:
    """Return the recipe as an XMP packet (ISO 16684-1), in Lanterna's namespace."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:lanterna="urn:lanterna:1">'
        f"<lanterna:record>{to_json(recipe)}</lanterna:record>"
        "</rdf:Description></rdf:RDF></x:xmpmeta>"
        '<?xpacket end="w"?>'
    ).encode()


def read_recipe(source: Source) -> Recipe:
    """Return the recipe in a picture that Lanterna saved, without decoding the pixels.

    Errors: `UsageError`, one line, if it is no picture, or carries no recipe or a broken one.
    """
    name = source_name(source)
    with open_image(source) as picture:
        text = _embedded(picture)
    if text is None:
        raise UsageError(f"{name} carries no recipe: only pictures that Lanterna saved do")
    return from_json(text, name)


def _embedded(picture: ImageFile) -> str | bytes | None:
    if picture.format == "PNG" and KEYWORD in picture.info:
        return str(picture.info[KEYWORD])
    if picture.format == "GIF":
        comment = picture.info.get("comment", b"")
        return comment if isinstance(comment, bytes) and comment.startswith(b"{") else None
    packet = picture.info.get("xmp")
    if isinstance(packet, str):
        packet = packet.encode()
    if not isinstance(packet, bytes):
        return None
    # Found by its tags, not by an XML parser, which a hostile packet could occupy for ever. Editors that
    # rewrite the packet may escape quotation marks.
    start, end = packet.find(b"<lanterna:record>"), packet.find(b"</lanterna:record>")
    if start < 0 or end < start:
        return None
    return html.unescape(packet[start + len(b"<lanterna:record>") : end].decode("utf-8", "replace"))


def printable(text: str, max_length: int = 300) -> str:
    """Escape and shorten text from an untrusted file, so that it is safe to print on a terminal."""
    escaped = escape(text[:max_length])
    return escaped if len(text) <= max_length else f"{escaped}…"
