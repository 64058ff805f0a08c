"""How much every unit, map and connection of every layer contributed to one answer.

A network of convolutions, sums, ReLUs and max pooling is piecewise linear: as long as the same units are on
and the same pixels win the pooling, its answer is a weighted sum. So for one picture the answer is an exact
sum, and gradients give its terms: a unit contributes its activation times the gradient of the answer with
respect to it, a connection its weight times the gradient with respect to that weight (gradient × input:
Shrikumar et al. 2016; for ReLU networks it is layer-wise relevance propagation's z-rule, Ancona et al. 2018).
What does not come through the layer before are the offsets: biases, what a batch norm at rest adds, a ReLU6
that is full. At every layer,

    the contributions of its units + the offsets of all the layers behind it = the answer.

The offsets are worked out from what each module is, never as what is left over, so that this is a check.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, fx, nn

from lanterna.errors import UsageError
from lanterna.images.drawing import as_png, signed_over
from lanterna.networks.tracing import ForeignNetwork, UntracedNetwork
from lanterna.probes.look import as_batch_of_one, eval_mode, explain_size_errors
from lanterna.probes.running import INPUT, chosen_answers, forward_pass, gradients_of, modules_of, weights_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lanterna.networks.network import Network

OFFSET = "normalisation"
"""The offset of normalising: what subtracting the mean from the picture does to the answer."""

# Modules that are linear for one picture, and of which `_constant` knows what they add.
_PIECEWISE_LINEAR = (
    *(nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear, nn.BatchNorm1d, nn.BatchNorm2d),
    *(nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.Hardtanh),  # nn.ReLU6 is a Hardtanh
    *(nn.MaxPool1d, nn.MaxPool2d, nn.AdaptiveMaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d),
    *(nn.Identity, nn.Flatten, nn.Unflatten, nn.Dropout, nn.Dropout2d, nn.ZeroPad2d, nn.PixelShuffle),
)
_TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4}
_BATCH = 8  # pictures along the line to the empty picture that are run together


@dataclass(frozen=True, eq=False, repr=False)
class Paths:
    """The terms of one answer to one picture. It draws itself in a notebook.

    `value` is the answer: a logit, or the logit of `answer` minus the logit of `against`. `contributions` and
    `gradients` (of the answer) have the shape of each layer's output without N, `input` first, the picture
    itself. `connections` are by module, in the shape of its weight, a kernel's summed over all positions.
    `offsets` are by layer, and before them `normalisation`; `module_offsets` are the same by module, for each
    of its maps or units. `empty` is the answer to the empty picture, where the method starts from it.

    `method` is `exact`, or `integrated` for a network that is not piecewise linear. `error` is the largest
    gap between the answer and the sum at any of `complete_layers`, the layers that all of the answer flows
    through; `note` explains this in words.
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
        """Whether the terms add up to the answer at every layer, but for the rounding of the arithmetic."""
        return self.method == "exact"

    def offsets_after(self, layer: str) -> float:
        """All the offsets that come in after `layer`, the answer's part that does not flow through it."""
        order = [INPUT, *self.offsets]
        after = order.index(layer) + 1
        return self.empty + math.fsum(self.offsets[later] for later in order[after:])

    def explained(self, layer: str) -> float:
        """The contributions of `layer` and the offsets behind it: the answer, up to `error`."""
        return self.contributions[layer].sum().item() + self.offsets_after(layer)

    def __repr__(self) -> str:
        against = "" if self.against is None else f" against {self.against}"
        answer = f"{self.network}, answer {self.answer}{against}: {self.value:.4f}"
        return f"Paths({answer}; error {self.error:.1e}; {self.note})"

    def _repr_png_(self) -> bytes:
        return as_png(signed_over(self.image, heat(self, INPUT)))


def paths(
    network: Network, image: Tensor, answer: int, *, against: int | None = None, steps: int = 64
) -> Paths:
    """How much every unit and connection contributed to `answer`, or to `answer` rather than `against`.

    `image` is one picture `(C, H, W)` in [0, 1]; answers are indices of the network's classes. One forward
    and one backward pass give everything; the network is left as it was.

    Where a network is not piecewise linear (sigmoid, tanh, GELU, softmax, …), or its terms do not add up,
    gradients are integrated in `steps` steps along the line from the empty picture (zeros) to this one:
    integrated gradients (Sundararajan et al. 2017, equation 1) for the picture and conductance (Dhamdhere et
    al. 2018, equation 2) for units and connections, by the trapezium rule. Contributions at every layer and
    the answer to the empty picture then add up to the answer but for `error`.

    Errors: `UsageError` for a network without classes, an answer it does not have, a picture it cannot take.
    """
    chosen = chosen_answers(network, answer, against)
    if taken := {INPUT, OFFSET} & set(network.layers):
        raise UsageError(
            f"{network.name} has a layer called {taken.pop()!r}, as something else is here: rename it"
        )
    if steps < 1:
        raise UsageError(f"steps is at least 1, got {steps}")
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        eval_mode(network),
        explain_size_errors(network, image),
    ):
        picture = as_batch_of_one(network, image)
        strange = sorted({type(module).__name__ for module in modules_of(network) if not _is_known(module)})
        why = f"{', '.join(strange)}: not known to be piecewise linear"
        if not strange:
            found = _exact(network, picture, chosen)
            scale = max(
                abs(found.value), *(abs(found.offsets_after(layer)) for layer in found.complete_layers)
            )
            if found.error <= _TOLERANCE.get(picture.dtype, 0.03) * scale:
                return found
            why = f"the terms of one pass leave a gap of {found.error:.2g}, so it is not piecewise linear"
        return _integrated(network, picture, chosen, steps, why)


def heat(paths: Paths, layer: str = INPUT) -> Tensor:
    """What each place of a layer contributed, all its maps together: `(H, W)`.

    Errors: `UsageError` where the layer has no maps, or there is no such layer.
    """
    contribution = paths.contributions.get(layer)
    if contribution is None:
        raise UsageError(f"there is no layer {layer!r}: there are {', '.join(paths.contributions)}")
    if contribution.dim() != 3:
        raise UsageError(f"{layer} has no maps: its shape is {tuple(contribution.shape)}")
    return contribution.sum(0)


def _exact(network: Network, picture: Tensor, chosen: Sequence[int]) -> Paths:
    """Activation times gradient, and weight times gradient, in one pass forward and one back."""
    picture.requires_grad_()
    weights = weights_of(network)
    asking = [weight.requires_grad for weight in weights.values()]
    try:
        for weight in weights.values():
            weight.requires_grad_()
        run = forward_pass(network, picture, chosen)
        with torch.no_grad():
            constants = [(call, _constant(call.module, call.x)) for call in run.calls]
        adding = [(call, constant) for call, constant in constants if constant is not None]
        wanted = [*run.outputs.values(), *(call.y for call, _ in adding), *weights.values()]
        flowed = iter(gradients_of(run.value, wanted))
    finally:
        for weight, asked in zip(weights.values(), asking, strict=True):
            weight.requires_grad_(asked)
    gradients = {layer: gradient[0] for layer, gradient in zip(run.outputs, flowed, strict=False)}
    with torch.no_grad():
        module_offsets: dict[str, Tensor] = {}
        offsets = {OFFSET: -(gradients[INPUT] * network.get_buffer("mean")).sum().item()}
        offsets |= dict.fromkeys(run.layers, 0.0)
        for call, constant in adding:
            added = _by_map(call.module, constant, next(flowed))
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
            connections={name: weight * next(flowed) for name, weight in weights.items()},
            module_offsets=module_offsets,
            offsets=offsets,
            complete_layers=run.complete_layers(network),
            note=_note(network, "exact: the sum holds at every layer"),
        )


def _integrated(network: Network, picture: Tensor, chosen: Sequence[int], steps: int, why: str) -> Paths:
    """Gradients along the line from the empty picture, each times the step that the unit itself takes."""
    weights = {name: weight.detach().requires_grad_() for name, weight in weights_of(network).items()}
    contributions: defaultdict[str, Tensor | float] = defaultdict(float)
    connections: defaultdict[str, Tensor | float] = defaultdict(float)
    shares = torch.linspace(0, 1, steps + 1, dtype=torch.float64).to(picture)
    last: list[
        Tensor
    ] = []  # of the pictures before: each activation, then each gradient, at the last of them
    values = []
    for some in torch.split(shares, _BATCH):
        images = (some.view(-1, 1, 1, 1) * picture).requires_grad_()
        run = forward_pass(network, images, chosen)
        values += [run.value[0].item(), run.value[-1].item()]
        calls = [call for call in run.calls if call.name in weights]
        wanted = [*run.outputs.values(), *(call.y for call in calls)]
        gradients = gradients_of(run.value, wanted)
        now = [t.detach() for t in (*run.outputs.values(), *(call.x for call in calls), *gradients)]
        joined = [torch.cat(pair) for pair in zip(last, now, strict=True)] if last else now
        last = [tensor[-1:] for tensor in now]
        if len(joined[0]) < 2:
            continue
        paces = [tensor.diff(dim=0) for tensor in joined[: len(wanted)]]
        slopes = [(tensor[1:] + tensor[:-1]) / 2 for tensor in joined[len(wanted) :]]
        for layer, pace, slope in zip(run.outputs, paces, slopes, strict=False):
            contributions[layer] += (pace * slope).sum(0)
        for call, pace, slope in zip(
            calls, paces[len(run.outputs) :], slopes[len(run.outputs) :], strict=True
        ):
            weight = weights[call.name]
            moved = torch.func.functional_call(call.module, {"weight": weight}, pace)
            connections[call.name] += weight.detach() * torch.autograd.grad(moved, weight, slope)[0]
    return Paths(
        network=network.name,
        answer=chosen[0],
        against=chosen[1] if len(chosen) > 1 else None,
        value=values[-1],
        image=picture[0].detach(),
        method="integrated",
        contributions={layer: torch.as_tensor(each) for layer, each in contributions.items()},
        gradients={layer: tensor[0] for layer, tensor in zip(run.outputs, last[len(wanted) :], strict=False)},
        connections={name: torch.as_tensor(each) for name, each in connections.items()},
        module_offsets={},
        offsets=dict.fromkeys([OFFSET, *run.layers], 0.0),
        complete_layers=run.complete_layers(network),
        empty=values[0],
        note=_note(network, f"integrated in {steps} steps from the empty picture ({why})"),
    )


def _constant(module: nn.Module, x: Tensor) -> Tensor | None:
    """What a module at rest adds that does not grow with its input `x`: for each map, or for each unit."""
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        mean, variance = module.get_buffer("running_mean"), module.get_buffer("running_var")
        scale = (variance + module.eps).rsqrt()
        scale = scale if module.weight is None else scale * module.weight
        return -mean * scale if module.bias is None else module.bias - mean * scale
    if isinstance(module, nn.Hardtanh):  # at its limits it gives the limit, and lets no gradient through
        full = torch.where(x >= module.max_val, x.new_tensor(module.max_val), x.new_zeros(()))
        return torch.where(x <= module.min_val, module.min_val, full) if module.min_val else full
    bias = getattr(module, "bias", None)
    return bias if isinstance(bias, Tensor) else None


def _by_map(module: nn.Module, constant: Tensor, gradient: Tensor) -> Tensor:
    """Constant times gradient, summed for each map `(C,)` or unit `(F,)`."""
    along = gradient.dim() - 1 if isinstance(module, nn.Linear) else 1
    others = [dimension for dimension in range(gradient.dim()) if dimension != along]
    if constant.dim() == 1:
        return constant * gradient.sum(others)
    return (constant * gradient).sum(others)


def _is_known(module: nn.Module) -> bool:
    """Whether a module at rest is surely piecewise linear; steps that were traced are told by their sum."""
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and module.running_mean is None:
        return False
    return isinstance(module, (*_PIECEWISE_LINEAR, fx.GraphModule))


def _note(network: Network, method: str) -> str:
    if isinstance(network, UntracedNetwork):
        return f"{method}, but only the picture and the result hold all of the answer: {network.note}"
    if isinstance(network, ForeignNetwork):
        return f"{method}; what its own code does between modules is judged by this sum"
    return method
