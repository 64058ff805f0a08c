"""Anyone's PyTorch network as named layers: `module:function` is imported, called and taken apart.

The function is called without arguments and gives an `nn.Module`. Its code runs, with all that the person who
runs it may do: a name from the person's own command line is theirs to give, a name found in a picture or sent
by somebody is not (see `documents.runs_code`).

How it is taken apart: `torch.fx` writes down every step of the network's forward pass. Wherever a single
tensor carries all that the rest needs, the list can be cut; what lies between two cuts is a layer. A plain
sequence becomes one layer for each module, a residual block becomes one layer, and the layers one after
another are the network again, which is checked with a picture of noise. Where that cannot be had (the
forward pass decides by what it sees, or never has everything in one tensor), its modules are read while the
whole network runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, fx, nn

from lanterna.networks.network import InputSpec, Network

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

# A layer that holds more modules than this, and most of the network, would show too little.
_MOST_MODULES = 20


class ForeignNetwork(Network):
    """A network that somebody else wrote; the layers have the names its modules have in its own code."""

    def __init__(
        self,
        name: str,
        spec: InputSpec,
        layers: Mapping[str, nn.Module],
        classes: Sequence[str] = (),
        note: str = "",
    ) -> None:
        super().__init__(name, spec, {}, classes)
        self.layers = _Modules(layers)
        self.note = note
        """What is known about it, and what is not."""


class UntracedNetwork(ForeignNetwork):
    """A network whose modules are read while the whole runs, because it is no chain of layers.

    `run` therefore computes the whole network before it yields the first layer, and a module that is used
    twice is two layers, `relu` and `relu_1`. The last layer is always `result`, what the network gave.
    """

    def __init__(
        self, name: str, spec: InputSpec, whole: nn.Module, layers: Mapping[str, nn.Module], note: str
    ) -> None:
        super().__init__(name, spec, layers, note=note)
        self.whole = whole

    def run(self, images: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield every layer's name and what it put out, in the order in which they were computed."""
        outputs, result = _read(self.whole, self.preprocess(images))
        for name, (_, output) in outputs.items():
            yield name, output
        yield RESULT, result

    def forward(self, images: Tensor) -> Tensor:
        """What the network gives."""
        result: Tensor = self.whole(self.preprocess(images))
        return result


RESULT = "result"


class _Modules(nn.ModuleDict):
    """Modules by names that may have dots in them, as `layer1.0`, because people know their layers by these.

    PyTorch forbids the dots to keep the keys of a state_dict unambiguous; these are never saved.
    """

    def __setitem__(self, key: str, module: nn.Module) -> None:
        self._modules[key] = module


class _Whole(nn.Module):
    """A network that takes one tensor and gives one: the first, where its own network gives several."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        result: Any = self.network(x)
        while not isinstance(result, Tensor | fx.Proxy):
            values = list(result.values()) if isinstance(result, dict) else result
            result = values[0]
        return cast("Tensor", result)


def extract_layers(
    name: str, network: nn.Module, spec: InputSpec, note: str = ""
) -> tuple[ForeignNetwork, tuple[int, ...]]:
    """Find the layers of `network`, whose input is `(N, channels, size, size)` of `spec`; it is set at rest.

    Gives it with its layers, and the shape of what it gives for two pictures.

    Errors: whatever `network` raises when it is run.
    """
    network.eval().requires_grad_(False)
    for module in network.modules():
        if getattr(module, "inplace", False) is True:
            vars(module)["inplace"] = (
                False  # working in place would overwrite the layer that was read before it
            )
    whole = _Whole(network).eval()
    noise = torch.randn(2, spec.channels, spec.size, spec.size, generator=torch.Generator().manual_seed(0))
    parameter = next(network.parameters())
    noise = noise.to(parameter.device, parameter.dtype)
    with torch.no_grad():
        read, expected = _read(whole, noise)
        layers = _chain(whole, noise)
        if layers and _holds(layers, noise, expected):
            return ForeignNetwork(name, spec, layers, note=note), tuple(expected.shape)
    apart = "its layers are read while the whole network runs, because it cannot be cut into a chain of them"
    modules = {layer: module for layer, (module, _) in read.items()} | {RESULT: nn.Identity()}
    note = f"{note}; {apart}" if note else apart
    return UntracedNetwork(name, spec, whole, modules, note), tuple(expected.shape)


def _read(whole: nn.Module, x: Tensor) -> tuple[dict[str, tuple[nn.Module, Tensor]], Tensor]:
    """Run the whole network once: each layer with what it put out, in the order computed; and the result."""
    outputs: dict[str, tuple[nn.Module, Tensor]] = {}
    hooks = []
    for path, module in whole.named_modules():
        if any(True for _ in module.children()):
            continue

        def keep(module: nn.Module, _: object, output: object, path: str = path) -> None:
            if isinstance(output, Tensor):
                # A copy, because what follows may still write into it.
                outputs[unique_name(path.removeprefix("network."), outputs)] = (module, output.clone())

        hooks.append(module.register_forward_hook(keep))
    try:
        return outputs, whole(x)
    finally:
        for hook in hooks:
            hook.remove()


class _Tracer(fx.Tracer):
    """Writes down the forward pass. A module that cannot be followed (it decides by values) stays whole."""

    def call_module(
        self, m: nn.Module, forward: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> object:
        around = self.module_stack.copy()
        try:
            return super().call_module(m, forward, args, kwargs)
        except Exception:
            self.module_stack = around  # fx leaves it as it was where the module failed
            return self.create_proxy("call_module", self.path_of_module(m), args, kwargs)


class _Kinds(fx.Interpreter):
    """Runs what was written down once, to learn which steps give a tensor."""

    def __init__(self, module: nn.Module, graph: fx.Graph) -> None:
        super().__init__(module, graph=graph)
        self.tensors: set[fx.Node] = set()

    def run_node(self, n: fx.Node) -> object:
        value: object = super().run_node(n)
        if isinstance(value, Tensor):
            self.tensors.add(n)
        return value


def _chain(whole: nn.Module, example: Tensor) -> dict[str, nn.Module] | None:
    """The network as layers that each need only what the one before put out; None where it has none."""
    try:
        graph = _Tracer().trace(whole)
        for node in reversed(graph.nodes):
            _without_overwriting(node)
            if not node.users and node.op not in ("placeholder", "output"):
                graph.erase_node(node)
        kinds = _Kinds(whole, graph)
        kinds.run(example)
        return _cut(whole, graph, kinds.tensors)
    except Exception:
        return None  # whatever it was that could not be traced, the layers can still be read


def _without_overwriting(node: fx.Node) -> None:
    """Make a step that writes into its input give a new tensor: `relu_` becomes `relu`."""
    if node.kwargs.get("inplace") is True:
        node.kwargs = {**node.kwargs, "inplace": False}
    if node.op == "call_method" and isinstance(node.target, str):
        plain = node.target.removesuffix("_")
        if hasattr(Tensor, plain):
            node.target = plain
    elif node.op == "call_function":
        plain = _function_name(node).removesuffix("_")
        if plain != _function_name(node) and hasattr(torch, plain):
            node.target = getattr(torch, plain)


def _cut(whole: nn.Module, graph: fx.Graph, tensors: set[fx.Node]) -> dict[str, nn.Module] | None:
    """Cut the steps wherever a single tensor is all that later steps need, and make each part a module."""
    steps = [node for node in graph.nodes if node.op not in ("placeholder", "get_attr", "output")]
    (start,) = (node for node in graph.nodes if node.op == "placeholder")
    place = {start: -1} | {node: index for index, node in enumerate(steps)}
    last_use = {node: max(place.get(user, len(steps)) for user in node.users) for node in place}
    segments: list[list[fx.Node]] = [[]]
    needed_until = last_use[start]
    for index, node in enumerate(steps):
        segments[-1].append(node)
        if needed_until <= index and node in tensors:
            segments.append([])
        needed_until = max(needed_until, last_use[node])
    if segments.pop():
        return None  # what comes out is no single tensor
    layers: dict[str, nn.Module] = {}
    before = start
    for segment in _blocks(segments):
        if len(_modules(segment)) > max(_MOST_MODULES, len(_modules(steps)) // 2):
            return None
        layers[unique_name(_segment_name(segment, steps), layers)] = _layer(whole, segment, before)
        before = segment[-1]
    return layers if len(layers) > 1 else None


def _blocks(segments: Sequence[list[fx.Node]]) -> list[list[fx.Node]]:
    """Put the pieces of a block together: a residual block is its branches, its sum and what comes after."""
    shared = [list(_shared_scopes(segment)) for segment in segments]
    blocks = {
        scopes[-1]
        for scopes, segment in zip(shared, segments, strict=True)
        if scopes and len(_modules(segment)) > 1
    }
    together: list[list[fx.Node]] = []
    last = None
    for scopes, segment in zip(shared, segments, strict=True):
        block = next((scope for scope in scopes if scope in blocks), None)
        if block is not None and block == last:
            together[-1] += segment
        else:
            together.append(list(segment))
        last = block
    return together


def _modules(steps: Sequence[fx.Node]) -> list[fx.Node]:
    return [step for step in steps if step.op == "call_module"]


def _layer(whole: nn.Module, segment: Sequence[fx.Node], before: fx.Node) -> nn.Module:
    """The steps of one segment as a module; a single module is itself."""
    (*_, last) = segment
    if len(segment) == 1 and last.op == "call_module" and last.args == (before,) and not last.kwargs:
        return whole.get_submodule(str(last.target))
    graph = fx.Graph()
    copies = {before: graph.placeholder("x")}

    def copied(node: fx.Node) -> fx.Node:
        if node not in copies:  # a weight that is used as it is
            copies[node] = graph.node_copy(node)
        return copies[node]

    for node in segment:
        copies[node] = graph.node_copy(node, copied)
    graph.output(copies[last])
    return fx.GraphModule(whole, graph)


def _segment_name(segment: Sequence[fx.Node], steps: Sequence[fx.Node]) -> str:
    """The name of the module that the steps of a segment are, or else of what its last step does."""
    (*_, last) = segment
    for key, path in reversed(_shared_scopes(segment).items()):
        if sum(key in _scopes(step) for step in steps) == len(segment):
            return path.removeprefix("network.")
    if last.op == "call_module":
        return str(last.target).removeprefix("network.")
    around = next(reversed(_scopes(last).values()), "network")
    what = last.target if isinstance(last.target, str) else _function_name(last)
    return f"{around}.{what}".removeprefix("network.")


def _shared_scopes(segment: Sequence[fx.Node]) -> dict[str, str]:
    """The modules that all the steps are inside of, but for the network itself, outermost first."""
    inside = [_scopes(step) for step in segment]
    return {
        key: path
        for key, path in inside[0].items()
        if path != "network" and all(key in scopes for scopes in inside)
    }


def _scopes(node: fx.Node) -> dict[str, str]:
    """The modules that a step is inside of, outermost first: a key for each call, and the module's path."""
    return {key: path for key, (path, _) in node.meta.get("nn_module_stack", {}).items()}


def _function_name(node: fx.Node) -> str:
    return str(getattr(node.target, "__name__", node.name))


def unique_name(name: str, names: Mapping[str, object]) -> str:
    """`name`, or `name_1`, `name_2`, … where it is taken."""
    free, count = name, 0
    while free in names:
        count += 1
        free = f"{name}_{count}"
    return free


def _holds(layers: Mapping[str, nn.Module], x: Tensor, expected: Tensor) -> bool:
    """Whether the layers give what the network gave, and none writes into what another put out."""
    outputs = [x]
    versions = []
    for layer in layers.values():
        versions.append(outputs[-1]._version)  # PyTorch counts how often a tensor was written to
        outputs.append(layer(outputs[-1]))
    untouched = all(output._version == version for output, version in zip(outputs, versions, strict=False))
    scale = float(expected.abs().max())
    return untouched and torch.allclose(outputs[-1], expected, rtol=1e-4, atol=1e-5 * scale)
