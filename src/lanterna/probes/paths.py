"""Paths: the contribution of every unit, map and connection of every layer to one answer.

A network of convolutions, sums, ReLUs and max pooling is piecewise linear: as long as the same units are
active and the same pixels are the maxima, its answer is a weighted sum. So for one picture the answer is an
exact sum, and gradients give its terms: a unit contributes its activation times the gradient of the answer
with respect to it, a connection its weight times the gradient with respect to that weight (gradient × input:
Shrikumar et al. 2016; for ReLU networks it is the z-rule of layer-wise relevance propagation, Ancona et al.
2018). The terms that do not depend on a layer's input are its offsets: biases, the shift of a batch norm in
eval mode, a saturated ReLU6. At every layer,

    the contributions of its units + the offsets of all later layers = the answer.

The offsets are computed from the modules themselves, never as the remainder, so the sum is a check.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, fx, nn

from lanterna.errors import UsageError
from lanterna.images.drawing import as_png, overlay_signed
from lanterna.networks.tracing import ForeignNetwork, UntracedNetwork
from lanterna.probes.look import as_batch_of_one, eval_mode, explain_size_errors
from lanterna.probes.running import INPUT, chosen_answers, forward_pass, gradients_of, modules_of, weights_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lanterna.networks.network import Network

OFFSET = "normalisation"
"""The name of the offset that comes from subtracting the mean of the picture."""

# Modules that are linear for one picture, and whose offset `_constant` can compute.
_PIECEWISE_LINEAR = (
    *(nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear, nn.BatchNorm1d, nn.BatchNorm2d),
    *(nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.Hardtanh),  # nn.ReLU6 is a Hardtanh
    *(nn.MaxPool1d, nn.MaxPool2d, nn.AdaptiveMaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d),
    *(nn.Identity, nn.Flatten, nn.Unflatten, nn.Dropout, nn.Dropout2d, nn.ZeroPad2d, nn.PixelShuffle),
)
_TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4}
_BATCH = 8  # pictures on the line from the empty picture in one forward pass, at most
_MAX_VALUES = 2**24  # of the layers' outputs in one forward pass: with their gradients and copies 0.3 GB


@dataclass(frozen=True, eq=False, repr=False)
class Paths:
    """The contributions to one answer to one picture, which a notebook displays as a picture.

    `value` is the answer: a logit, or the logit of `answer` minus that of `against`. `contributions` and
    `gradients` (of the answer) have the shape of each layer's output without N, `input` first, the picture
    itself. `connections` are by module, in the shape of its weight, summed over all positions of a kernel.
    `offsets` are by layer, with `normalisation` first; `module_offsets` are the same by module, for each of
    its maps or units. `empty` is the answer to the empty picture, if the method starts from it.

    `method` is `exact`, or `integrated` for a network that is not piecewise linear. `error` is the largest
    gap between the answer and the sum at any of `complete_layers`, the layers through which the complete
    answer flows; `note` explains this in words.
    """

    network: str
    answer: int
    against: int | None
    value: float
    image: Tensor
    method: Literal["exact", "integrated"]
    contributions: Mapping[str, Tensor]
    gradients: Mapping[str, Tensor]
    connections: Mapping[str, Tensor]
    module_offsets: Mapping[str, Tensor]
    offsets: Mapping[str, float]
    complete_layers: Sequence[str]
    empty: float = 0.0
    note: str = ""
    error: float = field(init=False)

    def __post_init__(self) -> None:
        gaps = [abs(self.explained(layer) - self.value) for layer in self.complete_layers]
        object.__setattr__(self, "error", max(gaps, key=lambda gap: math.inf if math.isnan(gap) else gap))

    @property
    def exact(self) -> bool:
        """Whether the terms add up to the answer at every layer, up to rounding."""
        return self.method == "exact"

    def offsets_after(self, layer: str) -> float:
        """Sum the offsets after `layer`: the part of the answer that does not flow through it."""
        order = [INPUT, *self.offsets]
        start = order.index(layer) + 1
        return self.empty + math.fsum(self.offsets[later] for later in order[start:])

    def explained(self, layer: str) -> float:
        """Sum the contributions of `layer` and the offsets after it: the answer, up to `error`."""
        return self.contributions[layer].sum().item() + self.offsets_after(layer)

    def __repr__(self) -> str:
        against = "" if self.against is None else f" against {self.against}"
        answer = f"{self.network}, answer {self.answer}{against}: {self.value:.4f}"
        return f"Paths({answer}; error {self.error:.1e}; {self.note})"

    def _repr_png_(self) -> bytes:
        return as_png(overlay_signed(self.image, heat(self, INPUT)))


def paths(
    network: Network,
    image: Tensor,
    answer: int,
    *,
    against: int | None = None,
    steps: int = 64,
    connections: bool = True,
    watch: Callable[[int, int], object] = lambda *_: None,
) -> Paths:
    """Return the contributions of all units and connections to `answer`, or to `answer` minus `against`.

    `image` is one picture `(C, H, W)` in [0, 1]; answers are indices of the network's classes. It takes one
    forward and one backward pass, and leaves the network unchanged. Without `connections`, which take as much
    memory as the weights, only layers and units have contributions. `watch` is called with the number of
    pictures that were computed, and of all.

    If a network is not piecewise linear (sigmoid, tanh, GELU, softmax, …), or its terms do not add up,
    gradients are integrated in `steps` steps along the line from the empty picture (zeros) to this one:
    integrated gradients (Sundararajan et al. 2017, equation 1) for the picture and conductance (Dhamdhere et
    al. 2018, equation 2) for units and connections, by the trapezium rule. The contributions at every layer
    and the answer to the empty picture then add up to the answer, up to `error`.

    Errors: `UsageError` for a network without classes, an answer that it does not have, or a picture that it
    does not accept.
    """
    chosen = chosen_answers(network, answer, against)
    if reserved := {INPUT, OFFSET} & set(network.layers):
        raise UsageError(f"{network.name} has a layer called {reserved.pop()!r}, a reserved name: rename it")
    if steps < 1:
        raise UsageError(f"steps: expected at least 1, got {steps}")
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        eval_mode(network),
        explain_size_errors(network, image),
    ):
        picture = as_batch_of_one(network, image)
        unknown = sorted({type(module).__name__ for module in modules_of(network) if not _is_known(module)})
        reason = f"{', '.join(unknown)}: not known to be piecewise linear"
        if not unknown:
            found = _exact(network, picture, chosen, weights_of(network) if connections else {})
            watch(1, 1)
            scale = max(
                abs(found.value), *(abs(found.offsets_after(layer)) for layer in found.complete_layers)
            )
            if found.error <= _TOLERANCE.get(picture.dtype, 0.03) * scale:
                return found
            reason = f"the terms of one pass leave a gap of {found.error:.2g}, so it is not piecewise linear"
        return _integrated(network, picture, chosen, steps, reason, connections=connections, watch=watch)


def heat(paths: Paths, layer: str = INPUT) -> Tensor:
    """Return the contribution of each position of a layer, summed over its maps: `(H, W)`.

    Errors: `UsageError` if the layer has no maps, or there is no such layer.
    """
    contribution = paths.contributions.get(layer)
    if contribution is None:
        raise UsageError(f"there is no layer {layer!r}: expected one of {', '.join(paths.contributions)}")
    if contribution.dim() != 3:
        raise UsageError(f"{layer} has no maps: its shape is {tuple(contribution.shape)}")
    return contribution.sum(0)


def _exact(network: Network, picture: Tensor, chosen: Sequence[int], weights: Mapping[str, Tensor]) -> Paths:
    """Compute activation × gradient and weight × gradient in one forward and one backward pass."""
    picture.requires_grad_()
    required_grad = [weight.requires_grad for weight in weights.values()]
    try:
        for weight in weights.values():
            weight.requires_grad_()
        run = forward_pass(network, picture, chosen)
        with torch.no_grad():
            constants = [(call, _constant(call.module, call.x)) for call in run.calls]
        with_offset = [(call, constant) for call, constant in constants if constant is not None]
        tensors = [*run.outputs.values(), *(call.y for call, _ in with_offset), *weights.values()]
        all_gradients = iter(gradients_of(network, run.value, tensors))
    finally:
        for weight, required in zip(weights.values(), required_grad, strict=True):
            weight.requires_grad_(required)
    gradients = {layer: gradient[0] for layer, gradient in zip(run.outputs, all_gradients, strict=False)}
    with torch.no_grad():
        module_offsets: dict[str, Tensor] = {}
        offsets = {OFFSET: -(gradients[INPUT] * network.get_buffer("mean")).sum().item()}
        offsets |= dict.fromkeys(run.layers, 0.0)
        for call, constant in with_offset:
            added = _sum_per_map(call.module, constant, next(all_gradients))
            module_offsets[call.name] = module_offsets.get(call.name, 0) + added
            offsets[call.layer] += added.sum().item()
        return Paths(
            network=network.name,
            answer=chosen[0],
            against=chosen[1] if len(chosen) > 1 else None,
            value=run.value.item(),
            image=picture[0].detach(),
            method="exact",
            contributions={layer: run.outputs[layer][0] * gradient for layer, gradient in gradients.items()},
            gradients=gradients,
            connections={name: weight * next(all_gradients) for name, weight in weights.items()},
            module_offsets=module_offsets,
            offsets=offsets,
            complete_layers=run.complete_layers(network),
            note=_note(network, "exact: the sum holds at every layer"),
        )


def _integrated(
    network: Network,
    picture: Tensor,
    chosen: Sequence[int],
    steps: int,
    reason: str,
    *,
    connections: bool,
    watch: Callable[[int, int], object],
) -> Paths:
    """Integrate gradients along the line from the empty picture, each times the change of its activation."""
    followed = weights_of(network) if connections else {}
    weights = {name: weight.detach().requires_grad_() for name, weight in followed.items()}
    contributions: defaultdict[str, Tensor | float] = defaultdict(float)
    connection_sums: defaultdict[str, Tensor | float] = defaultdict(float)
    shares = torch.linspace(0, 1, steps + 1, dtype=torch.float64).to(picture)
    last: list[Tensor] = []  # all activations, then all gradients, at the last picture of the previous batch
    values = []
    for batch in torch.split(shares, _batch_size(network, picture)):
        images = (batch.view(-1, 1, 1, 1) * picture).requires_grad_()
        run = forward_pass(network, images, chosen)
        values += [run.value[0].item(), run.value[-1].item()]
        calls = [call for call in run.calls if call.name in weights]
        tensors = [*run.outputs.values(), *(call.y for call in calls)]
        gradients = gradients_of(network, run.value, tensors)
        current = [
            tensor.detach() for tensor in (*run.outputs.values(), *(call.x for call in calls), *gradients)
        ]
        joined = [torch.cat(pair) for pair in zip(last, current, strict=True)] if last else current
        last = [tensor[-1:].clone() for tensor in current]  # a view would hold the whole batch
        watch(round(batch[-1].item() * steps) + 1, steps + 1)
        if len(joined[0]) < 2:
            continue
        changes = [tensor.diff(dim=0) for tensor in joined[: len(tensors)]]
        means = [(tensor[1:] + tensor[:-1]) / 2 for tensor in joined[len(tensors) :]]  # of gradients
        for layer, change, mean in zip(run.outputs, changes, means, strict=False):
            contributions[layer] += (change * mean).sum(0)
        count = len(run.outputs)
        for call, change, mean in zip(calls, changes[count:], means[count:], strict=True):
            weight = weights[call.name]
            output = torch.func.functional_call(call.module, {"weight": weight}, change)
            connection_sums[call.name] += weight.detach() * torch.autograd.grad(output, weight, mean)[0]
    return Paths(
        network=network.name,
        answer=chosen[0],
        against=chosen[1] if len(chosen) > 1 else None,
        value=values[-1],
        image=picture[0].detach(),
        method="integrated",
        contributions={layer: torch.as_tensor(terms) for layer, terms in contributions.items()},
        gradients={
            layer: tensor[0] for layer, tensor in zip(run.outputs, last[len(tensors) :], strict=False)
        },
        connections={name: torch.as_tensor(terms) for name, terms in connection_sums.items()},
        module_offsets={},
        offsets=dict.fromkeys([OFFSET, *run.layers], 0.0),
        complete_layers=run.complete_layers(network),
        empty=values[0],
        note=_note(network, f"integrated in {steps} steps from the empty picture ({reason})"),
    )


@torch.no_grad()
def _batch_size(network: Network, picture: Tensor) -> int:
    """Return how many pictures to compute together, so that the layers' outputs take a bounded memory."""
    values = sum(output.numel() for _, output in network.run(picture))
    return max(1, min(_BATCH, _MAX_VALUES // values))


def _constant(module: nn.Module, x: Tensor) -> Tensor | None:
    """Return the part of a module's output, per map or per unit, that is constant around its input `x`."""
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        mean, variance = module.get_buffer("running_mean"), module.get_buffer("running_var")
        scale = (variance + module.eps).rsqrt()
        scale = scale if module.weight is None else scale * module.weight
        return -mean * scale if module.bias is None else module.bias - mean * scale
    if isinstance(module, nn.Hardtanh):  # a saturated unit outputs the limit, and its gradient is zero
        upper = torch.where(x >= module.max_val, x.new_tensor(module.max_val), x.new_zeros(()))
        return torch.where(x <= module.min_val, module.min_val, upper) if module.min_val else upper
    bias = getattr(module, "bias", None)
    return bias if isinstance(bias, Tensor) else None


def _sum_per_map(module: nn.Module, constant: Tensor, gradient: Tensor) -> Tensor:
    """Sum constant × gradient for each map `(C,)` or unit `(F,)`."""
    map_dim = gradient.dim() - 1 if isinstance(module, nn.Linear) else 1
    others = [dim for dim in range(gradient.dim()) if dim != map_dim]
    if constant.dim() == 1:
        return constant * gradient.sum(others)
    return (constant * gradient).sum(others)


def _is_known(module: nn.Module) -> bool:
    """Whether a module is piecewise linear in eval mode; traced operations are checked by the sum instead."""
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and module.running_mean is None:
        return False
    return isinstance(module, (*_PIECEWISE_LINEAR, fx.GraphModule))


def _note(network: Network, method: str) -> str:
    if isinstance(network, UntracedNetwork):
        return (
            f"{method}, but the complete answer flows only through the picture and the result: {network.note}"
        )
    if isinstance(network, ForeignNetwork):
        return f"{method}; operations between its modules are checked by this sum"
    return method
