"""Networks of others that fail: one line says that the network did, with its name and its message."""

import subprocess
import sys
import textwrap

import pytest
import torch

from lanterna import notebook, open_network
from lanterna.errors import LanternaError
from lanterna.images import save_picture
from lanterna.surfaces.cli import main

# Networks are opened with two pictures and used with one, at which these fail.
_NETWORKS = """
    import sys
    import warnings

    import torch
    from torch import nn

    import lanterna


    class Odd(BaseException):
        pass


    class Mute(Exception):
        def __str__(self):
            raise RuntimeError


    class Failing(nn.Module):
        def __init__(self, error, channels=3):
            super().__init__()
            self.conv, self.head, self.error = nn.Conv2d(channels, 4, 3), nn.Linear(4, 10), error

        def forward(self, x):
            warnings.warn("a word to programmers")
            x = self.conv(x)
            if len(x) == 1:
                raise self.error
            return self.head(x.mean((2, 3)))


    class Gate(nn.Module):
        def forward(self, x):
            if len(x) == 1:
                raise ZeroDivisionError("by zero")
            return x


    class Chain(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.gate, self.head = nn.Conv2d(3, 4, 3), Gate(), nn.Linear(4, 10)

        def forward(self, x):
            return self.head(self.gate(self.conv(x)).mean((2, 3)))


    class Backward(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            raise ArithmeticError("no way back")


    class OneWay(nn.Module):
        def forward(self, x):
            return Backward.apply(x) if x.isfinite().all() else x


    class Backless(Chain):
        def __init__(self):
            super().__init__()
            self.gate = OneWay()


    class Untraced(Backless):
        def forward(self, x):
            return super().forward(x) if x.isfinite().all() else x


    class Ends(nn.Module):
        def __init__(self, end, channels=3):
            super().__init__()
            self.conv, self.end = nn.Conv2d(channels, 4, 3), end

        def forward(self, x):
            return self.end(self.conv(x).mean((2, 3)))


    class Small(Ends):
        input_spec = lanterna.InputSpec(3, 64, (0.5,) * 3, (0.5,) * 3)


    class Undeclared(Chain):
        @property
        def input_spec(self):
            raise KeyError("spec")


    def value(): return Failing(ValueError("two\\nlines"))
    def leaves(): return Failing(SystemExit(7))
    def disk(): return Failing(OSError("its own disk"))
    def odd(): return Failing(Odd("odd"))
    def mute(): return Failing(Mute())
    def digits(): return Failing(ValueError("two\\nlines"), channels=1)
    def nan(): return Ends(lambda x: x.log() - x.log())
    def nan_later(): return Ends(lambda x: x * float("nan") if len(x) == 1 else x)
    def detached(): return Ends(lambda x: torch.from_numpy(x.detach().numpy()))
    def none(): return Ends(lambda x: None)
    def text(): return Ends(lambda x: "cat")
    def nothing(): return Ends(lambda x: ())
    def key(): return Ends(lambda x: {}["k"])
    def picky(): return Ends(lambda x: x.reshape(1, 7))
    def declared(): return Small(lambda x: x.reshape(1, 7))
    def bodiless(): return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Module())
    def at_once(): raise Odd("odd")
    def without_path():
        sys.path.clear()
        raise Mute
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The current folder, with those networks and a picture."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "failing.py").write_text(textwrap.dedent(_NETWORKS))
    save_picture(torch.rand(3, 64, 64), tmp_path / "a.png")
    return tmp_path


@pytest.mark.parametrize(
    ("network", "code", "words"),
    [
        ("value", 1, "the network of failing.py:value failed (ValueError: two)"),
        ("leaves", 1, "the network of failing.py:leaves failed (SystemExit: 7)"),
        ("disk", 1, "the network of failing.py:disk failed (OSError: its own disk)"),
        ("odd", 1, "the network of failing.py:odd failed (Odd: odd)"),
        ("mute", 1, "the network of failing.py:mute failed (Mute)"),
        ("Chain", 1, "the network of failing.py:Chain failed in gate (ZeroDivisionError: by zero)"),
        ("Undeclared", 2, "the network of failing.py:Undeclared cannot be used (KeyError: 'spec')"),
        ("nan", 2, "the network of failing.py:nan returns NaN: expected numbers"),
        ("nan_later", 1, "the network of failing.py:nan_later returns NaN: expected numbers"),
        ("none", 2, "the network of failing.py:none returns None: expected a tensor"),
        ("text", 2, "the network of failing.py:text returns str: expected a tensor"),
        ("nothing", 2, "the network of failing.py:nothing returns an empty tuple: expected a tensor"),
        ("key", 2, "the network of failing.py:key failed (KeyError: 'k')"),
        (
            "bodiless",
            2,
            "the network of failing.py:bodiless failed (NotImplementedError: "
            'Module [Module] is missing the required "forward" function)',
        ),
        (
            "picky",
            2,
            "the network of failing.py:picky does not accept a picture of 3 × 32 × 32 (RuntimeError: "
            "shape '[1, 7]' is invalid for input of size 8): give the network an attribute `input_spec`, "
            "a lanterna.InputSpec for its input",
        ),
        (
            "declared",
            2,
            "the network of failing.py:declared does not accept a picture of 3 × 64 × 64, its declared "
            "input (RuntimeError: shape '[1, 7]' is invalid for input of size 8)",
        ),
        ("at_once", 2, "failing.py:at_once failed (Odd: odd)"),
        ("without_path", 2, "failing.py:without_path failed (Mute)"),
    ],
)
def test_a_failing_network_is_named_in_one_line(network, code, words, capsys):
    assert main(["classify", "a.png", "--network", f"failing.py:{network}", "--quiet"]) == code
    assert capsys.readouterr().err.splitlines()[-1] == f"lanterna: {words}"


@pytest.mark.parametrize(
    "words",
    [
        "classify a.png --network failing.py:value",
        "look a.png --network failing.py:value",
        "dream a.png --size 64 -o dream.png --network failing.py:value",
        "style a.png --style a.png --size 64 -o style.png --network failing.py:value",
        "feature result 1 --size 64 --steps 2 -o feature.png --network failing.py:value",
        "read page.png --network failing.py:digits",
    ],
)
def test_every_verb_names_a_failing_network(words, folder, capsys):
    page = torch.ones(3, 120, 160)
    page[:, 30:90, 75:85] = 0
    save_picture(page, folder / "page.png")
    assert main(words.split()) == 1
    lines = capsys.readouterr().err.splitlines()
    name = words.split()[-1]
    assert lines[-1] == f"lanterna: the network of {name} failed (ValueError: two)"
    assert not any("Traceback" in line or "a word to programmers" in line for line in lines)


_GATE = "in the backward pass of gate (ArithmeticError: no way back)"


@pytest.mark.parametrize(
    ("words", "failure"),
    [
        ("look a.png --network failing.py:Backless", _GATE),
        ("dream a.png --size 64 -o dream.png --network failing.py:Backless --layer head", _GATE),
        ("style a.png --style a.png --size 64 -o style.png --network failing.py:Backless", _GATE),
        ("feature head 1 --size 64 -o feature.png --network failing.py:Backless", _GATE),
        ("look a.png --network failing.py:Untraced", _GATE.replace(" of gate", "")),
    ],
)
def test_a_failing_backward_pass_is_named(words, failure, folder, capsys):
    assert main(words.split()) == 1
    name = next(word for word in words.split() if word.startswith("failing"))
    assert capsys.readouterr().err.splitlines()[-1] == f"lanterna: the network of {name} failed {failure}"
    assert not list(folder.glob("*.png.*"))


def test_a_network_without_a_gradient_says_so(capsys):
    words = "feature result 1 --size 64 -o feature.png --network failing.py:detached"
    assert main(words.split()) == 1
    assert "the network of failing.py:detached has no gradient: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("failing.py", 2, "failing.py is a Python file: expected failing.py:function, "),
        ("missing.py", 2, "there is no file missing.py"),
        ("./conv", 2, "./conv is a file: expected the folder of a trained network, or file.py:function"),
        ("a.png", 2, "a.png is a file: expected the folder of a trained network, or file.py:function"),
        ("net.old/weights.safetensors", 2, "net.old/weights.safetensors is a file: expected net.old"),
        ("./plants", 2, "./plants is a folder without a network: expected one that `lanterna train` or "),
        ("./nothing", 3, "no trained network at nothing: train one with `lanterna train conv -o ./nothing`"),
        ("./unfinished", 3, "no trained network at unfinished: train one with "),
        ("./plants/net:value", 2, "./plants/net is no module: expected its name, or its file as in "),
    ],
)
def test_a_path_without_a_network_says_what_it_is(name, code, words, folder, capsys):
    (folder / "conv").write_text("text")
    for made in ("plants/rose", "unfinished", "net.old"):
        (folder / made).mkdir(parents=True)
    (folder / "unfinished" / "checkpoint.pt").touch()
    (folder / "net.old" / "weights.safetensors").touch()
    assert main(["classify", "a.png", "--network", name]) == code
    assert capsys.readouterr().err.startswith(f"lanterna: {words}")


def test_a_notebook_names_a_failing_network():
    with pytest.raises(LanternaError, match=r"failing.py:value failed \(ValueError: two\)"):
        _ = notebook.make("dream", "a.png", network="failing.py:value", size=64).frame


def test_an_error_keeps_its_type_in_python():
    network = open_network("failing.py:value")
    with pytest.raises(ValueError, match="two"):
        network(torch.rand(1, 3, 64, 64))


def test_processes_of_the_command_line_hide_warnings(monkeypatch):
    """The studio's workers are such processes."""
    code = (
        "import subprocess, sys; from lanterna.surfaces.cli import _prepare; _prepare(); "
        "subprocess.run([sys.executable, '-c', 'import warnings; warnings.warn(\"hello\")'])"
    )
    monkeypatch.delenv("PYTHONWARNINGS", raising=False)
    monkeypatch.delenv("LANTERNA_DEBUG", raising=False)
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stderr == ""
