"""The recipe in every saved picture: all that is needed to make it again, and nothing of whom it shows.

It is JSON, in a PNG as the text `lanterna`, elsewhere in an XMP packet. It comes back from strangers' files,
so it is bounded, parsed as nothing but JSON, and checked field by field.
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
from lanterna.errors import UsageError, escape
from lanterna.files import sha256
from lanterna.images.decoding import Source, open_image, source_name
from lanterna.renamed import current_recipe, original_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from PIL.ImageFile import ImageFile
    from torch import nn

KEYWORD = "lanterna"
MAX_RECIPE_BYTES = 60_000
"""The most bytes a recipe may have: what one segment of a JPEG holds, with room for the packet around it."""

DeviceKind = Literal["cpu", "cuda", "mps"]
Word = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, Field(max_length=4096)]
_settings = TypeAdapter(dict[str, JsonValue])


class RecipeInput(BaseModel):
    """A picture that went in: where it was (`-` for standard input), and the sha256 of its file.

    `role` says what it was for where it is not the picture itself: `guide`, `mask`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Text
    sha256: Sha256
    role: Literal[""] | Word = ""

    @model_serializer(mode="wrap")
    def _without_empty_role(self, fields: SerializerFunctionWrapHandler) -> dict[str, str]:
        return {name: value for name, value in fields(self).items() if name != "role" or value}


class RecipeNetwork(BaseModel):
    """The network that was used, by name, and the sha256 of its weights (None: whatever it has now)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Text
    sha256: Sha256 | None


class Change(BaseModel):
    """Settings that were changed while the work ran, and the step after which they counted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: int = Field(ge=0)
    settings: dict[str, JsonValue]


class Recipe(BaseModel):
    """How a picture was made: which verb, with which settings, from what, on which machine.

    `settings` are those that it ended with; `changes` says which of them were changed on the way, and when.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    lanterna: Text
    torch: Text
    machine: Text
    device: DeviceKind
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
    """The recipe of a picture that is being made here and now.

    `output` says which of the verb's pictures it is (`page`, `steps`); the seed is the settings' own `seed`.
    `inputs` are the files that went in, or their notes where they are no files; `network` is the one that
    was used (its `name` unless `network_name` says how it is asked for); `shelf_items` are what it all
    stands on. Errors: `UsageError` where an input cannot be read or the recipe is too long to be kept.
    """
    if isinstance(settings, BaseModel):
        settings = settings.model_dump(mode="json")
    noted = tuple(note if isinstance(note, RecipeInput) else make_recipe_input(note) for note in inputs)
    used = None
    if network is not None:
        used = RecipeNetwork(name=network_name or str(network.name), sha256=weights_sha256(network))
    recipe = Recipe(
        lanterna=lanterna.__version__,
        torch=torch.__version__,
        machine=this_machine(torch.device(device)),
        device=cast("DeviceKind", torch.device(device).type),
        threads=torch.get_num_threads(),
        verb=verb,
        output=output,
        settings=_settings.validate_python(dict(settings)),
        inputs=noted,
        network=used,
        seed=settings.get("seed", 0),
        shelf={item: dict(shelf.hashes(item)) for item in shelf_items},
    )
    to_json(recipe)
    return recipe


def with_changes(recipe: Recipe, changes: Iterable[Mapping[str, Any]]) -> Recipe:
    """The recipe of work whose settings were changed on the way: `{step, settings}` of each `Change`."""
    return recipe.model_copy(update={"changes": tuple(Change.model_validate(each) for each in changes)})


def make_recipe_input(path: str | Path | bytes, *, role: str = "", name: str | None = None) -> RecipeInput:
    """The note of an input file, or of the bytes that came by standard input.

    `name` is how its owner knows the file, where that is not its path.

    A path in the user's home is kept as `~/…`: pictures are shown to others.
    """
    if isinstance(path, bytes):
        return RecipeInput(path="-", sha256=hashlib.sha256(path).hexdigest(), role=role)
    try:
        digest = sha256(Path(path).expanduser())
    except (OSError, ValueError, RuntimeError) as error:
        raise UsageError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    return RecipeInput(path=name or _private(Path(path)), sha256=digest, role=role)


def _private(path: Path) -> str:
    path = Path(os.fsencode(path).decode("utf-8", "backslashreplace"))  # names need not be UTF-8, recipes are
    if not path.is_absolute():
        return str(path)
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 (it never fails)
    for folder, prefix in ((Path.cwd(), ""), (home, "~/")):
        if path.is_relative_to(folder):
            return f"{prefix}{path.relative_to(folder)}"
    return str(path)


def weights_sha256(network: nn.Module) -> str:
    """One sha256 over all weights of a network: names, types, shapes and values, whatever file held them."""
    digest = hashlib.sha256()
    for name, weights in sorted(network.state_dict().items()):
        values = weights.detach().cpu().contiguous()
        digest.update(f"{original_name(name)} {values.dtype} {tuple(values.shape)}\n".encode())
        digest.update(values.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def this_machine(device: torch.device) -> str:
    """What decides how numbers are rounded: the system, the processor's instructions, the GPU where used."""
    words = [platform.system(), platform.machine(), torch.backends.cpu.get_cpu_capability()]
    if device.type == "cuda":
        words.append(torch.cuda.get_device_name(device))
    return " ".join(words)


def to_json(recipe: Recipe) -> str:
    """The recipe as one line of JSON in ASCII that can stand inside XML as it is.

    Errors: `UsageError` where it is longer than `BYTES_LIMIT`.
    """
    text = recipe.model_dump_json(ensure_ascii=True)
    for sign in "&<>":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    if len(text) > MAX_RECIPE_BYTES:
        raise UsageError(
            f"the recipe is {len(text):,} bytes long, a picture holds {MAX_RECIPE_BYTES:,}: use fewer inputs"
        )
    return text


def from_json(text: str | bytes, name: str) -> Recipe:
    """The recipe in a text from anywhere; `name` is whose it is. Errors: `UsageError` in one line."""
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
        where = printable(".".join(str(part) for part in first["loc"])) or "JSON"
        raise UsageError(f"{name} holds a broken recipe: {where}: {printable(first['msg'])}") from error


def to_xmp(recipe: Recipe) -> bytes:
    """The recipe in an XMP packet (ISO 16684-1), in a namespace of our own."""
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
    """The recipe in a picture that Lanterna saved. The pixels are not decoded.

    Errors: `UsageError`, one line, where it is no picture, carries no recipe or a broken one.
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
        noted = picture.info.get("comment", b"")
        return noted if isinstance(noted, bytes) and noted.startswith(b"{") else None
    packet = picture.info.get("xmp")
    if isinstance(packet, str):
        packet = packet.encode()
    if not isinstance(packet, bytes):
        return None
    # Found by its tags, not by an XML parser, which a hostile packet could keep busy for ever. Editors that
    # write the packet anew may escape quotation marks.
    start, end = packet.find(b"<lanterna:record>"), packet.find(b"</lanterna:record>")
    if start < 0 or end < start:
        return None
    return html.unescape(packet[start + len(b"<lanterna:record>") : end].decode("utf-8", "replace"))


def printable(text: str, most: int = 300) -> str:
    """Text from a stranger's file, safe on a terminal: signs that cannot be seen are shown as their codes."""
    shown = escape(text[:most])
    return shown if len(text) <= most else f"{shown}…"
