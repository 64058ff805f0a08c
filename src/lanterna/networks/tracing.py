"""Split any PyTorch network, given as `module:function`, into named layers.

The function is called without arguments and returns an `nn.Module`. Its code runs with all of the user's
permissions: a name from their own command line is trusted, a name found in a picture or received from
somebody else is not (see `documents.runs_code`).

`torch.fx` traces the forward pass. The graph can be cut wherever a single tensor is all that later operations
need; the operations between two cuts are a layer. An `nn.Sequential` becomes one layer per module, a residual
block becomes one layer, and the layers in sequence are equivalent to the network, which is checked on random
noise. If a network cannot be split (its control flow depends on values, or no single tensor ever carries
everything), the outputs of its modules are recorded by hooks while it runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, fx, nn

from lanterna.errors import LanternaError, UsageError, blame_network
from lanterna.networks.network import InputSpec, Network

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

# A layer with more modules than this, and more than half of the network, would show too little.
_MAX_MODULES = 20


class ForeignNetwork(Network):
    """A network from foreign code; its layers have the names of its modules."""

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
        """Caveats: whether the weights are trained, and how the layers were found."""
        self._backward_layer = ""  # the last layer that a backward pass has reached

    def layer_output(self, name: str, x: Tensor) -> Tensor:
        """Return the output of one layer, given its input; an error says that the network failed."""
        with blame_network(self.name, name):
            output = super().layer_output(name, x)
        if output.requires_grad:
            output.register_hook(  # type: ignore[no-untyped-call]
                lambda _: setattr(self, "_backward_layer", name)
            )
        return self._checked(output) if name == [*self.layers][-1] else output

    def gradients(self, value: Tensor, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return the gradients of a value; an error names the layer whose backward pass failed.

        Errors: `LanternaError` if they are NaN, or the network has detached its output from the picture.
        """
        if not value.requires_grad:
            raise LanternaError(
                f"the network of {self.name} has no gradient: "
                "something like torch.no_grad(), detach() or argmax() keeps it from PyTorch"
            )
        self._backward_layer = ""
        try:
            found = super().gradients(value, tensors)
        except Exception:
            place = f" of {self._backward_layer}" if self._backward_layer else ""
            with blame_network(self.name, f"the backward pass{place}"):
                raise
        for gradient in found:
            self._checked(gradient, " as a gradient")
        return found

    def _checked(self, output: Tensor, what: str = "") -> Tensor:
        """Return the output. Errors: `LanternaError` if it has NaN."""
        if output.isnan().any():
            raise LanternaError(f"the network of {self.name} returns NaN{what}: expected numbers")
        return output


class UntracedNetwork(ForeignNetwork):
    """A network that is no chain of layers, so its modules' outputs are recorded while it runs.

    `run` therefore computes the full network before it yields the first layer, and a module that is used
    twice is two layers, `relu` and `relu_1`. The last layer is always `result`, the network's output.
    """

    def __init__(
        self, name: str, spec: InputSpec, module: nn.Module, layers: Mapping[str, nn.Module], note: str
    ) -> None:
        super().__init__(name, spec, layers, note=note)
        self.module = module

    def run(self, images: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield each layer's name and output, in the order of computation."""
        with blame_network(self.name):
            outputs, result = _record_outputs(self.module, self.preprocess(images))
        for name, (_, output) in outputs.items():
            yield name, output
        yield RESULT, self._checked(result)

    def forward(self, images: Tensor) -> Tensor:
        """Return the network's output."""
        with blame_network(self.name):
            result: Tensor = self.module(self.preprocess(images))
        return self._checked(result)


RESULT = "result"


class _Modules(nn.ModuleDict):
    """A ModuleDict whose keys may contain dots (`layer1.0`), as in the names of a network's modules.

    PyTorch forbids dots to keep the keys of a state_dict unambiguous; these networks are never saved.
    """

    def __setitem__(self, key: str, module: nn.Module) -> None:
        self._modules[key] = module


class _SingleOutput(nn.Module):
    """A wrapper that returns one tensor: the first if the network of this name returns several."""

    def __init__(self, name: str, network: nn.Module) -> None:
        super().__init__()
        self.name = name
        self.network = network
        self.others = 0

    def forward(self, x: Tensor) -> Tensor:
        result: Any = self.network(x)
        while not isinstance(result, Tensor | fx.Proxy):
            several = isinstance(result, dict | list | tuple)
            if not several or not result:
                kind = "None" if result is None else f"{'an empty ' * several}{type(result).__name__}"
                raise UsageError(f"the network of {self.name} returns {kind}: expected a tensor")
            values = list(result.values()) if isinstance(result, dict) else result
            result = values[0]
            self.others = len(values) - 1
        return cast("Tensor", result)


def extract_layers(
    name: str, network: nn.Module, spec: InputSpec, note: str = ""
) -> tuple[ForeignNetwork, tuple[int, ...]]:
    """Split `network`, which takes `(N, channels, size, size)` of `spec`, into layers; put it in eval mode.

    Return it with its layers, and the shape of its output for two pictures.

    Errors: whatever `network` raises when it runs; `UsageError` if it returns no tensor, or NaN.
    """
    network.eval()
    for module in network.modules():
        if getattr(module, "inplace", False) is True:
            vars(module)["inplace"] = False  # in place it would overwrite the layer before
    module = _SingleOutput(name, network).eval()
    noise = torch.randn(2, spec.channels, spec.size, spec.size, generator=torch.Generator().manual_seed(0))
    parameter = next(network.parameters())
    noise = noise.to(parameter.device, parameter.dtype)
    with torch.no_grad():
        recorded, expected = _record_outputs(module, noise)  # initialises lazy modules
        if expected.isnan().any():
            raise UsageError(f"the network of {name} returns NaN: expected numbers")
        network.requires_grad_(False)
        if module.others:
            note = "; ".join(filter(None, (note, "it has several outputs, of which the first is used")))
        layers = _chain(module, noise)
        if layers and _is_equivalent(layers, noise, expected):
            return ForeignNetwork(name, spec, layers, note=note), tuple(expected.shape)
    untraced = "it cannot be cut into a chain of layers, so its modules are recorded while it runs"
    layers = {layer: part for layer, (part, _) in recorded.items()} | {RESULT: nn.Identity()}
    note = "; ".join(filter(None, (note, untraced)))
    return UntracedNetwork(name, spec, module, layers, note), tuple(expected.shape)


def _record_outputs(network: nn.Module, x: Tensor) -> tuple[dict[str, tuple[nn.Module, Tensor]], Tensor]:
    """Run a network; return its innermost modules with their outputs, in order, and the network's output."""
    outputs: dict[str, tuple[nn.Module, Tensor]] = {}
    hooks = []
    for path, module in network.named_modules():
        if any(True for _ in module.children()):
            continue

        def record(module: nn.Module, _: object, output: object, path: str = path) -> None:
            if isinstance(output, Tensor):
                # A copy, because later modules may write into the output.
                outputs[unique_name(path.removeprefix("network."), outputs)] = (module, output.clone())

        hooks.append(module.register_forward_hook(record))
    try:
        return outputs, network(x)
    finally:
        for hook in hooks:
            hook.remove()


class _Tracer(fx.Tracer):
    """A tracer that leaves a module untraced if its control flow depends on values."""

    def call_module(
        self, m: nn.Module, forward: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> object:
        stack = self.module_stack.copy()
        try:
            return super().call_module(m, forward, args, kwargs)
        except Exception:
            self.module_stack = stack  # fx does not restore it after a failure
            return self.create_proxy("call_module", self.path_of_module(m), args, kwargs)


class _Steps(fx.GraphModule):
    """Traced operations that print no traceback when they fail: the caller handles the exception."""

    def recompile(self) -> Any:  # noqa: ANN401  (torch has no public type for it)
        """Compile the graph, and undo torch's wrapping of the call."""
        code = super().recompile()
        setattr(type(self), "__call__", nn.Module.__call__)  # noqa: B010  (each instance has its own class)
        return code


class _TensorFinder(fx.Interpreter):
    """An interpreter that finds the nodes whose value is a tensor."""

    def __init__(self, module: nn.Module, graph: fx.Graph) -> None:
        super().__init__(module, graph=graph)
        self.tensors: set[fx.Node] = set()

    def run_node(self, n: fx.Node) -> object:
        value: object = super().run_node(n)
        if isinstance(value, Tensor):
            self.tensors.add(n)
        return value


def _chain(network: nn.Module, example: Tensor) -> dict[str, nn.Module] | None:
    """Split a network into layers that each take only the output of the one before, or return None."""
    try:
        graph = _Tracer().trace(network)
        for node in reversed(graph.nodes):
            _make_out_of_place(node)
            if not node.users and node.op not in ("placeholder", "output"):
                graph.erase_node(node)
        finder = _TensorFinder(network, graph)
        finder.run(example)
        return _cut(network, graph, finder.tensors)
    except Exception:
        return None  # whatever the reason, the modules' outputs can still be recorded


def _make_out_of_place(node: fx.Node) -> None:
    """Replace an in-place operation by its out-of-place variant: `relu_` becomes `relu`."""
    if node.kwargs.get("inplace") is True:
        node.kwargs = {**node.kwargs, "inplace": False}
    if node.op == "call_method" and isinstance(node.target, str):
        name = node.target.removesuffix("_")
        if hasattr(Tensor, name):
            node.target = name
    elif node.op == "call_function":
        name = _function_name(node).removesuffix("_")
        if name != _function_name(node) and hasattr(torch, name):
            node.target = getattr(torch, name)


def _cut(network: nn.Module, graph: fx.Graph, tensors: set[fx.Node]) -> dict[str, nn.Module] | None:
    """Cut the graph wherever later nodes need only a single tensor, and turn each segment into a module."""
    nodes = [node for node in graph.nodes if node.op not in ("placeholder", "get_attr", "output")]
    (start,) = (node for node in graph.nodes if node.op == "placeholder")
    position = {start: -1} | {node: index for index, node in enumerate(nodes)}
    last_use = {node: max(position.get(user, len(nodes)) for user in node.users) for node in position}
    segments: list[list[fx.Node]] = [[]]
    needed_until = last_use[start]
    for index, node in enumerate(nodes):
        segments[-1].append(node)
        if needed_until <= index and node in tensors:
            segments.append([])
        needed_until = max(needed_until, last_use[node])
    if segments.pop():
        return None  # the output is not a single tensor
    layers: dict[str, nn.Module] = {}
    previous = start
    for segment in _blocks(segments):
        if len(_module_calls(segment)) > max(_MAX_MODULES, len(_module_calls(nodes)) // 2):
            return None
        layers[unique_name(_segment_name(segment, nodes), layers)] = _layer(network, segment, previous)
        previous = segment[-1]
    return layers if len(layers) > 1 else None


def _blocks(segments: Sequence[list[fx.Node]]) -> list[list[fx.Node]]:
    """Merge the segments of a block: a residual block has its branches, its sum and what follows the sum."""
    shared = [list(_shared_scopes(segment)) for segment in segments]
    blocks = {
        scopes[-1]
        for scopes, segment in zip(shared, segments, strict=True)
        if scopes and len(_module_calls(segment)) > 1
    }
    merged: list[list[fx.Node]] = []
    last = None
    for scopes, segment in zip(shared, segments, strict=True):
        block = next((scope for scope in scopes if scope in blocks), None)
        if block is not None and block == last:
            merged[-1] += segment
        else:
            merged.append(list(segment))
        last = block
    return merged


def _module_calls(nodes: Sequence[fx.Node]) -> list[fx.Node]:
    return [node for node in nodes if node.op == "call_module"]


def _layer(network: nn.Module, segment: Sequence[fx.Node], previous: fx.Node) -> nn.Module:
    """Turn a segment into a module; a segment of a single module is that module."""
    (*_, last) = segment
    if len(segment) == 1 and last.op == "call_module" and last.args == (previous,) and not last.kwargs:
        return network.get_submodule(str(last.target))
    graph = fx.Graph()
    copies = {previous: graph.placeholder("x")}

    def copy_of(node: fx.Node) -> fx.Node:
        if node not in copies:  # a weight that is used directly
            copies[node] = graph.node_copy(node)
        return copies[node]

    for node in segment:
        copies[node] = graph.node_copy(node, copy_of)
    graph.output(copies[last])
    return _Steps(network, graph)


def _segment_name(segment: Sequence[fx.Node], nodes: Sequence[fx.Node]) -> str:
    """Name a segment after the module that it is, or else after its last operation."""
    (*_, last) = segment
    for key, path in reversed(_shared_scopes(segment).items()):
        if sum(key in _scopes(node) for node in nodes) == len(segment):
            return path.removeprefix("network.")
    if last.op == "call_module":
        return str(last.target).removeprefix("network.")
    parent = next(reversed(_scopes(last).values()), "network")
    operation = last.target if isinstance(last.target, str) else _function_name(last)
    return f"{parent}.{operation}".removeprefix("network.")


def _shared_scopes(segment: Sequence[fx.Node]) -> dict[str, str]:
    """Return the modules that contain all nodes of a segment, outermost first, without the network itself."""
    scopes_of_nodes = [_scopes(node) for node in segment]
    return {
        key: path
        for key, path in scopes_of_nodes[0].items()
        if path != "network" and all(key in scopes for scopes in scopes_of_nodes)
    }


def _scopes(node: fx.Node) -> dict[str, str]:
    """Return the modules that contain a node, outermost first: a key for each call, and the module's path."""
    return {key: path for key, (path, _) in node.meta.get("nn_module_stack", {}).items()}


def _function_name(node: fx.Node) -> str:
    return str(getattr(node.target, "__name__", node.name))


def unique_name(name: str, names: Mapping[str, object]) -> str:
    """Return `name`, or `name_1`, `name_2`, … if it is taken."""
    unique, count = name, 0
    while unique in names:
        count += 1
        unique = f"{name}_{count}"
    return unique


def _is_equivalent(layers: Mapping[str, nn.Module], x: Tensor, expected: Tensor) -> bool:
    """Whether the layers reproduce the network's output, and none overwrites another's output."""
    outputs = [x]
    versions = []
    for layer in layers.values():
        versions.append(outputs[-1]._version)  # PyTorch counts in-place writes to a tensor
        outputs.append(layer(outputs[-1]))
    unchanged = all(output._version == version for output, version in zip(outputs, versions, strict=False))
    scale = float(expected.abs().max())
    return unchanged and torch.allclose(outputs[-1], expected, rtol=1e-4, atol=1e-5 * scale)
