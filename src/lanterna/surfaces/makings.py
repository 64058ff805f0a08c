"""Every kind of picture that is made: by which verb, from which recipe, by whom, and with which command.

A verb that makes pictures adds one line to `MAKINGS` for each of them, and one maker: a function that takes
a record and gives the picture and the record of how it was made this time, as the verb itself saves them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Making:
    """How one kind of picture is made: the names (`module:name`) of its maker and of its verb's recipe, the
    words of the command line around its settings, the settings that have no option of their name, the
    options that name further inputs (`guide`: an input with that role), and where it shows several pictures
    the name of what gives the command for each. A film, or a taught network's picture, has no maker, only its
    command. `by_set`: settings are given by `--set`."""

    maker: str
    recipe: str
    command: str
    without_option: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    commands: str | None = None
    by_set: bool = False


_TRAIN = Making("lanterna.surfaces.makers:train_picture", "lanterna.recipes.train:Train", "train {settings}")
_READ = Making(
    "lanterna.surfaces.reading:read_picture",
    "lanterna.recipes.read:Read",
    "read {inputs} {settings} -o {picture}",
    without_option=("seed", "nearest"),
)
_FEATURE = Making(
    "lanterna.surfaces.featuring:feature_picture",
    "lanterna.recipes.feature:Feature",
    "feature {settings} -o {picture}",
)
_DREAM = Making(
    "lanterna.surfaces.dreaming:dream_picture",
    "lanterna.recipes.dream:Dream",
    "dream {inputs} {settings} -o {picture}",
    without_option=("guided",),
    roles=("guide", "mask"),
)
_SHEET = replace(
    _DREAM,
    maker="lanterna.surfaces.dreaming:sheet_picture",
    recipe="lanterna.surfaces.dreaming:Sheet",
    without_option=("guided", "shown"),
    commands="lanterna.surfaces.dreaming:commands",
)
_STYLE = Making(
    "lanterna.surfaces.styling:style_picture",
    "lanterna.surfaces.styling:Painted",
    "style {inputs} {settings} -o {picture}",
    roles=("style", "mask", "content-mask", "start-from"),
)
_INSTANT = replace(
    _STYLE,
    recipe="lanterna.surfaces.styling:InstantlyPainted",
    command="style {inputs} --instant {settings} -o {picture}",
)
_DREAM_FILM = replace(
    _DREAM,
    maker="",
    recipe="lanterna.recipes.dream_film:DreamFilm",
    command="dream {inputs} {settings} --film {picture}",
)
_STYLE_FILM = replace(
    _STYLE,
    maker="",
    recipe="lanterna.recipes.style_film:StyleFilm",
    command="style {inputs} {settings} --film {picture}",
)
_PAINT = Making(
    "lanterna.surfaces.painting:paint_picture",
    "lanterna.recipes.paint:Paint",
    "paint {inputs} {settings} -o {picture}",
    roles=("mask",),
)
_RENDER = Making(
    "lanterna.surfaces.painting:render_picture",
    "lanterna.recipes.rendering:Render",
    "paint render {inputs} {settings} -o {picture}",
    without_option=("seed",),
)
_RACE = Making(
    "lanterna.surfaces.painting:race_picture",
    "lanterna.recipes.paint_race:Race",
    "paint {inputs} --race {settings} -o {picture}",
)
_RANDOM = Making(
    "lanterna.surfaces.inventing:random_again",
    "lanterna.recipes.cppn:Cppn",
    "paint --random {settings} -o {picture}",
)
_LESSONS = (
    "gates", "derivative", "circuits", "neuron", "layers", "descent", "curve", "squash", "digit",
    "normalised", "edges", "paths", "functions", "quickstart", "painting", "parts",
)  # fmt: skip
# The folder of pictures is the person's own, and its files are too many to be noted in the record.
_TEACH = Making("", "lanterna.recipes.teach:Teach", "teach FOLDER {settings}")
# By verb, and which of its pictures.
MAKINGS: dict[tuple[str, str], Making] = {
    ("train", "mistakes"): _TRAIN,
    ("train", "confusion"): _TRAIN,
    ("teach", "mistakes"): _TEACH,
    ("teach", "confusion"): _TEACH,
    ("read", "page"): _READ,
    ("feature", "feature"): _FEATURE,
    ("feature", "sheet"): _FEATURE,
    ("feature", "kernels"): Making(
        "lanterna.surfaces.featuring:kernels_picture",
        "lanterna.recipes.feature:Kernels",
        "feature --kernels {settings} -o {picture}",
        without_option=("seed",),
    ),
    ("dream", "dream"): _DREAM,
    ("dream", "film"): _DREAM_FILM,
    ("style", "film"): _STYLE_FILM,
    ("style", "instant-film"): replace(
        _STYLE_FILM,
        recipe="lanterna.recipes.style_film:InstantFilm",
        command="style {inputs} --instant {settings} --film {picture}",
    ),
    **{
        ("dream", kind): replace(
            _SHEET, command=f"dream {{inputs}} --sheet {kind} {{settings}} -o {{picture}}"
        )
        for kind in ("stages", "channels", "presets")
    },
    ("style", "style"): _STYLE,
    ("style", "instant"): _INSTANT,
    **{
        ("style", made): replace(
            making,
            command=making.command.replace("{settings}", "--sheet {settings}"),
            commands="lanterna.surfaces.styling:commands",
        )
        for made, making in (("sheet", _STYLE), ("instant-sheet", _INSTANT))
    },
    ("paint", "paint"): _PAINT,
    ("paint", "film"): replace(_PAINT, maker="", command="paint {inputs} {settings} --film {picture}"),
    ("paint", "render"): _RENDER,
    ("paint", "grid"): replace(
        _RENDER,
        recipe="lanterna.recipes.rendering:Grid",
        command="paint render {inputs} --grid {settings} -o {picture}",
    ),
    ("paint", "neurons"): replace(
        _RENDER,
        maker="lanterna.surfaces.painting:neurons_picture",
        recipe="lanterna.surfaces.painting:Neurons",
        command="paint neurons {inputs} {settings} -o {picture}",
    ),
    ("paint", "race"): _RACE,
    ("paint", "race-film"): replace(
        _RACE, maker="", command="paint {inputs} --race {settings} --film {picture}"
    ),
    ("paint", "random"): _RANDOM,
    ("paint", "random-sheet"): replace(
        _RANDOM,
        maker="lanterna.surfaces.inventing:sheet_picture",
        recipe="lanterna.surfaces.inventing:RandomSheet",
        command="paint --random {settings} -o {picture}",
        commands="lanterna.surfaces.inventing:commands",
    ),
    ("paint", "random-loop"): replace(
        _RANDOM,
        maker="",
        recipe="lanterna.surfaces.inventing:RandomLoop",
        command="paint --random {settings} --loop {picture}",
    ),
    ("paint", "morph"): replace(
        _RENDER,
        maker="",
        recipe="lanterna.recipes.rendering:Morph",
        command="paint render {inputs} {settings} --morph {picture}",
    ),
    **{
        ("learn", name): Making(
            "lanterna.surfaces.lessons:lesson_picture",
            f"lanterna.lessons.{name}:LESSON.recipe",
            f"learn {name} {{settings}} -o {{picture}}",
            by_set=True,
        )
        for name in _LESSONS
    },
    ("read", "steps"): replace(_READ, command="read {inputs} {settings} --steps {picture}"),
}
