"""Exercises for every lesson: what to try, what to predict, what to explain; and a check of the prediction.

A check knows no answers. It finds the true one when it is asked, by the lesson's own functions or by a few
lines of arithmetic, compares within the tolerance that the sheet states, and says right, or not yet and where
to look. It never says the answer, nor on which side of it one is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, SupportsFloat

import numpy as np
import torch
import torch.nn.functional as F

from lanterna.errors import UsageError
from lanterna.images.digits import mnist
from lanterna.images.normalise import normalise
from lanterna.lessons import curve, derivative, descent, functions, gates, layers, neuron
from lanterna.lessons.scalars import circuit
from lanterna.networks.coordinate_plan import CoordinatePlan
from lanterna.networks.coordinates import Coordinates
from lanterna.networks.digits import dense
from lanterna.probes.look import look
from lanterna.probes.paths import paths
from lanterna.techniques.paint.pixels import psnr
from lanterna.techniques.train.algorithm import new_network
from lanterna.techniques.train.settings import Train

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import nn

_NOTHING = 1e-6  # apart, where the answer is 0 or a count


@dataclass(frozen=True)
class Exercise:
    """One exercise. `try_` is what to do, `predict` the question that `check` is given an answer to.

    `answer` finds the true one: a number, or one of `choices`. A number is right within `within`, a share of
    it. `hint` says where to look, and `explain` what to put into words once the answer is right.
    """

    try_: str
    predict: str
    explain: str
    hint: str
    answer: Callable[[], float | str]
    within: float = 0.0
    choices: Sequence[str] = ()

    @property
    def wanted(self) -> str:
        """What kind of answer is checked, in words."""
        if self.choices:
            return " or ".join(repr(choice) for choice in self.choices)
        return f"a number (within {100 * self.within:g} %)" if self.within else "an exact number"


@dataclass(frozen=True, repr=False)
class Reply:
    """Whether an answer is right, and what there is to say about it."""

    right: bool
    words: str

    def __bool__(self) -> bool:
        return self.right

    def __repr__(self) -> str:
        return self.words


def check(lesson: str, number: int, answer: object) -> Reply:
    """Check an answer to an exercise: `check("curve", 1, 7)`; `...` stands for none yet.

    Errors: `UsageError` for a lesson or an exercise that is not there, or an answer of another kind.
    """
    exercise = _found(lesson, number)
    if answer is ...:
        return Reply(False, f"No answer yet: put {exercise.wanted} in place of the dots.")
    given = _read(exercise, answer, f"{lesson}, exercise {number}")
    true = exercise.answer()
    if isinstance(given, str) or isinstance(true, str):
        right = given == true
    else:
        right = abs(given - true) <= max(exercise.within * abs(true), _NOTHING)
    return Reply(right, f"Right. {exercise.explain}" if right else f"Not yet. {exercise.hint}")


def sheet(lesson: str) -> str:
    """The exercises of a lesson as text, in Markdown.

    Errors: `UsageError` for a lesson that has none.
    """
    parts = [f"Exercises: {lesson}"]
    for number, exercise in enumerate(_of(lesson), 1):
        parts.append(
            f"{number}. Try: {exercise.try_}\n\n"
            f"   Predict: {exercise.predict}\n\n"
            f"   Explain: {exercise.explain}\n\n"
            f'   `lanterna.check("{lesson}", {number}, ...)` takes {exercise.wanted}.'
        )
    return "\n\n".join(parts)


def exercises_as_json(lesson: str) -> list[dict[str, object]]:
    """The exercises of a lesson as a document of JSON."""
    return [
        {
            "try": each.try_,
            "predict": each.predict,
            "explain": each.explain,
            "answer": each.wanted,
            "choices": list(each.choices),
        }
        for each in _of(lesson)
    ]


def _of(lesson: str) -> Sequence[Exercise]:
    if lesson not in EXERCISES:
        raise UsageError(f"there are no exercises for {lesson!r}: there are for {', '.join(EXERCISES)}")
    return EXERCISES[lesson]


def _found(lesson: str, number: int) -> Exercise:
    there = _of(lesson)
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= len(there):
        raise UsageError(f"{lesson} has exercises 1 to {len(there)}, got {number!r}")
    return there[number - 1]


def _read(exercise: Exercise, answer: object, where: str) -> float | str:
    """The answer as a number, or as one of the choices."""
    if exercise.choices:
        text = answer.strip().lower() if isinstance(answer, str) else answer
        if text in exercise.choices:
            return str(text)
        raise UsageError(f"{where}: expected {exercise.wanted}, got {str(answer)[:60]!r}")
    number = math.nan
    try:
        if isinstance(answer, SupportsFloat) and not isinstance(answer, bool):
            number = float(answer)
    except (TypeError, ValueError, RuntimeError):  # torch says RuntimeError of a tensor of several numbers
        pass
    if not math.isfinite(number):
        raise UsageError(f"{where}: expected {exercise.wanted}, got {str(answer)[:60]!r}")
    return number


def _gate_moved() -> float:
    return gates.output([3.01, -2.0]) - gates.output([3.0, -2.0])


def _nudges_a_step() -> float:
    count = 0

    def evaluate(inputs: Sequence[float]) -> float:
        nonlocal count
        count += 1
        return gates.output(inputs)

    gates.nudged_slope(evaluate, [1.0] * 128)
    return count


def _rule_in_longer_steps() -> str:
    short, long = (
        gates.evaluations("rule", 1, gates.Gates(rise=1.0, step=step), 0) for step in (0.005, 0.01)
    )
    return min(("half", "the same", "double"), key=lambda name: abs(_TIMES[name] - long / short))


_TIMES = {"half": 0.5, "the same": 1.0, "double": 2.0}


def _cube_nudged() -> float:
    return (2.1**3 - 2.0**3) / 0.1


def _gain_both_ways() -> float:
    settings = derivative.Derivative(function="exponential", x=0.0)
    large, small = (derivative.error(settings, np.float64, nudge, both=True) for nudge in (1e-2, 1e-3))
    return large / small


def _better_in_64_bits() -> str:
    settings = derivative.Derivative()
    errors = {
        f"1e{power}": derivative.error(settings, np.float64, 10.0**power, both=False)
        for power in (-4, -8, -12)
    }
    return min(errors, key=lambda name: errors[name])


def _slope(expression: str, of: str, **numbers: float) -> float:
    output = circuit(expression, numbers)
    output.backward()
    return next(wire.slope for wire in output.wires() if wire.name == of)


def _halfway() -> float:
    """Where a neuron with weight 2 and bias -3 gives a half, found by halving."""
    low, high = -10.0, 10.0
    for _ in range(60):
        middle = (low + high) / 2
        below = neuron.output(torch.tensor(middle, dtype=torch.float64), 2.0, -3.0).item() < 0.5
        low, high = (middle, high) if below else (low, middle)
    return low


def _steepest(bend: Callable[[torch.Tensor], torch.Tensor]) -> float:
    """The largest slope of what bends a sum, over sums from -5 to 5."""
    sums = torch.linspace(-5, 5, 20_001, dtype=torch.float64, requires_grad=True)
    torch.autograd.backward(bend(sums).sum())
    assert sums.grad is not None
    return sums.grad.max().item()


def _count(module: nn.Module) -> float:
    return sum(parameter.numel() for parameter in module.parameters())


def _told_by_one_layer() -> str:
    shares = {}
    for kind in ("xor", "rings", "two heaps"):
        settings = layers.Layers.checked({"points": kind})
        shares[kind] = layers.accuracy(settings, layers.trained(settings, 1, [0]), [0])
    return max(shares, key=lambda kind: shares[kind])


def _too_large_a_rate() -> float:
    """From where on steps on the bowl x² / 10 lead away from its bottom, found by halving."""
    low, high = 0.1, 100.0
    for _ in range(40):
        middle, x = (low + high) / 2, 1.0
        for _ in range(50):
            x -= middle * x / 5
        low, high = (middle, high) if abs(x) < 1 else (low, middle)
    return low


def _speed_with_momentum() -> float:
    speed = 0.0
    for _ in range(500):
        speed = 0.9 * speed + 1.0
    return speed


def _through_every_point() -> float:
    settings = curve.Curve(points=12)
    return next(degree for degree in range(1, 30) if curve.errors(settings, degree, 0)[0] < 1e-7)


def _without_noise() -> str:
    settings = curve.Curve(noise=0.0)
    line, high = (curve.errors(settings, degree, 0)[1] for degree in (3, 11))
    return "better" if high < line else "worse"


def _changed_by_a_shift() -> float:
    """The share of pixels, in percent, that change by more than a tenth where digits move by one pixel."""
    images = mnist("test").images[:500].float() / 255
    return 100 * ((images - images.roll(1, 3)).abs() > 0.1).float().mean().item()


def _longer_side() -> float:
    patch = torch.ones(60, 24)
    box = normalise([patch]).boxed[0, 0] > 0.5
    return max(int(box.any(0).sum()), int(box.any(1).sum()))


def _edge_beside(left: float, right: float) -> float:
    picture = torch.tensor([left, left, right]).expand(1, 1, 3, 3)
    kernel = torch.tensor([-1.0, 0.0, 1.0]).expand(1, 1, 3, 3)
    return F.conv2d(picture, kernel).item()


def _pieces() -> float:
    xs = np.linspace(0, 1, 6001)
    bends = np.abs(np.diff(functions.approached(functions.Functions(), 5, xs), 2)) > 1e-6
    return 1 + sum(bool(now and not before) for before, now in zip([False, *bends[:-1]], bends, strict=True))


def _gain_of_twice_the_neurons() -> float:
    settings = functions.Functions()
    return functions.error(settings, 64) / functions.error(settings, 128)


def _off_gives() -> float:
    """What units that are off contribute, in a network that has learned nothing yet."""
    network = new_network(Train.checked({"network": "dense", "hidden": (16,)})).eval()
    image = mnist("test").images[0].float() / 255
    off = look(network, image, "relu1")["relu1"] == 0
    return paths(network, image, answer=3).contributions["relu1"][off].abs().sum().item()


def _second_gives() -> float:
    return (torch.tensor([2.0, 3.0]) * torch.tensor([0.5, -1.0]))[1].item()


def _quickstart_steps() -> float:
    return Train.checked({**Train.presets["quickstart"], "epochs": 1}).steps


def _loss_of_a_guess() -> float:
    return F.cross_entropy(torch.zeros(1, 10), torch.tensor([3])).item()


def _psnr() -> float:
    return psnr(0.1**2)


def _painter() -> float:
    return _count(Coordinates(CoordinatePlan(network="relu", layers=6, neurons=64), (64, 64)))


def _alike_in_a_gram() -> float:
    maps = torch.randn(64, 49, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return len(set((maps @ maps.T).flatten().round(decimals=9).tolist()))


def _gram_of_moved_maps() -> str:
    maps = torch.randn(8, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    before, after = (each.flatten(1) @ each.flatten(1).T for each in (maps, maps.roll((2, 3), (1, 2))))
    return "stays" if torch.allclose(before, after) else "changes"


EXERCISES: dict[str, Sequence[Exercise]] = {
    "gates": (
        Exercise(
            "One gate multiplies x = 3 and y = -2. Move x up by 0.01, and leave y.",
            "By how much does the output change?",
            "Say why the other input is what decides about it, and what you would do to y.",
            "Write down the product before and after. Which number is x multiplied with?",
            _gate_moved, 0.01,
        ),
        Exercise(
            "A circuit has 64 gates, 128 inputs. Measure its gradient with nudges, once.",
            "How often is the circuit evaluated for that?",
            "Say what this means for a network with a million weights, and what the rule costs there.",
            "Every input is nudged by itself, and every measurement is compared with something.",
            _nudges_a_step,
        ),
        Exercise(
            "Climb with the analytic derivative, first with step=0.005, then with step=0.01.",
            "With steps twice as long, does the climb take half as many evaluations, as many, or twice as "
            "many?",
            "Say what stops this from going on as steps grow longer and longer.",
            "The way up is as long as before. What has changed is how much of it one step makes.",
            _rule_in_longer_steps, choices=tuple(_TIMES),
        ),
    ),
    "derivative": (
        Exercise(
            "Measure the slope of x³ at x = 2 with a nudge of h = 0.1, one way: (f(x + h) - f(x)) / h.",
            "What do you measure?",
            "Say how much of it is the slope, and where the rest comes from.",
            "It is not the slope itself. Work out f(2.1) and f(2) and divide by the nudge.",
            _cube_nudged, 0.01,
        ),
        Exercise(
            "Nudge both ways, with h = 0.01 and then with h = 0.001, in 64 bits.",
            "How many times smaller has the error become?",
            "Say what the error would have done with a nudge one way only.",
            "Nudged both ways, the first part of the bend cancels. Which power of h is next?",
            _gain_both_ways, 0.1,
        ),
        Exercise(
            "Look at the chart of lesson derivative, the line for 64 bits, one way.",
            "Which of these three nudges measures best?",
            "Say what spoils the two others: one by its size, one by what a computer keeps of a number.",
            "A nudge can be spoilt from two sides. Look at both ends of the line.",
            _better_in_64_bits, choices=("1e-4", "1e-8", "1e-12"),
        ),
    ),
    "circuits": (
        Exercise(
            "Build a * b + c with a = 2, b = -3, c = 1 and send slopes back.",
            "What is the slope of a?",
            "Say what a plus gate and a times gate each do with the slope that comes to them.",
            "Go back along the wire: a plus hands the slope on as it is, and then comes the times gate.",
            lambda: _slope("a * b + c", "a", a=2, b=-3, c=1),
        ),
        Exercise(
            "Build relu(a * b) * c with a = 1, b = -2, c = 3.",
            "What is the slope of b?",
            "Say which gate decides here, and what it would take to let slopes through again.",
            "Work out what comes into the relu. What does a relu hand back in that case?",
            lambda: _slope("relu(a * b) * c", "b", a=1, b=-2, c=3),
        ),
        Exercise(
            "Build a * a + a * b with a = 3, b = 2: a is used three times.",
            "What is the slope of a?",
            "Say what happens where slopes come to one value along several wires.",
            "Every use of a sends a slope of its own back. None of them is lost.",
            lambda: _slope("a * a + a * b", "a", a=3, b=2),
        ),
    ),
    "neuron": (
        Exercise(
            "A neuron has the weight 2 and the bias -3 and a sigmoid: output(sum) = sigmoid(2 * sum - 3).",
            "At which sum is it halfway, with an output of 0.5?",
            "Say what a larger negative bias does to that place.",
            "A sigmoid is halfway where what goes into it is neither for nor against.",
            _halfway, 0.01,
        ),
        Exercise(
            "Give a neuron the weight 4 and the bias 1, and look for the place where it is steepest.",
            "How steep is it there: by how much does its output change for each 1 that its sum changes?",
            "Say what the weight and what the bias have to do with it.",
            "A sigmoid has a steepest place of its own. What is in front of the sum stretches it.",
            lambda: _steepest(lambda sums: neuron.output(sums, 4.0, 1.0)), 0.02,
        ),
    ),
    "layers": (
        Exercise(
            "Count the numbers of a network with 2 inputs, 16 hidden units and 1 output, biases too.",
            "How many are there?",
            "Say which part of them grows fastest if every layer becomes twice as wide.",
            "Every node is joined to every node of the next layer, and every node but an input has one more.",
            lambda: _count(layers.network(layers.Layers(hidden=16), 2, 0)),
        ),
        Exercise(
            "Give one layer the points xor, rings and two heaps, one after another.",
            "Which of them can it tell apart?",
            "Say what one layer draws between two classes, in a picture.",
            "Draw the points, and try to part them with a ruler.",
            _told_by_one_layer, choices=("xor", "rings", "two heaps"),
        ),
    ),
    "descent": (
        Exercise(
            "Let a plain walk go down from 6 with a rate of 0.1 for 80 steps.",
            "Where does it end: what is its x?",
            "Say why it does not end in the lowest valley, and what would have to be different.",
            "Draw the cost around 6, and put a ball there. Which valley does it roll into?",
            lambda: descent.walk(6.0, 0.1, 80)[-1], 0.02,
        ),
        Exercise(
            "Take the waves away: the cost is the bowl x² / 10, its slope x / 5. Walk with larger and larger "
            "rates.",
            "From which rate on does the walk fly away?",
            "Say what it does exactly at that rate, and at half of it.",
            "After one step x is multiplied by something. When does that make it larger, whatever its sign?",
            _too_large_a_rate, 0.02,
        ),
        Exercise(
            "On a long even slope, walk with momentum 0.9: speed = 0.9 * speed + slope.",
            "How many times longer than a plain step do its steps become in the end?",
            "Say why this helps in a long valley, and where it does harm.",
            "In the end the speed does not change any more: what is lost in a step is what is added.",
            _speed_with_momentum, 0.02,
        ),
    ),
    "curve": (
        Exercise(
            "Give a polynomial 12 points to learn from, and one degree more each time.",
            "From which degree on does it go through every one of them?",
            "Say what it does between the points then, and why.",
            "Count the numbers that a polynomial has, and compare them with the points.",
            _through_every_point,
        ),
        Exercise(
            "Set noise=0, so that the points lie on the sine itself.",
            "On places where it was not fitted, is degree 11 better or worse than degree 3?",
            "Say what this tells about where overfitting comes from.",
            "A high degree follows all that the points have. What do these points have?",
            _without_noise, choices=("better", "worse"),
        ),
    ),
    "squash": (
        Exercise(
            "Draw a sigmoid and its slope.",
            "How large can its slope be, at most?",
            "Say what becomes of a gradient that goes back through one of them after another.",
            "Look at it in the middle, and work out s * (1 - s) there.",
            lambda: _steepest(torch.sigmoid), 0.01,
        ),
        Exercise(
            "Send a gradient of 1 back through five sigmoids at their steepest, with weights of 1.",
            "What is left of it?",
            "Say what the first layer of such a network can learn from it, and what ReLU does in its place.",
            "Each of them multiplies what comes to it by its own slope.",
            lambda: _steepest(torch.sigmoid) ** 5, 0.02,
        ),
        Exercise(
            "A ReLU unit has a sum of -1 for every digit there is.",
            "Which share of the gradient goes through it?",
            "Say why such a unit is called dead, and whether it may come back to life.",
            "How much does its output change if its sum changes a little?",
            lambda: _slope("relu(a)", "a", a=-1),
        ),
    ),
    "digit": (
        Exercise(
            "A digit network has 28 × 28 inputs, one hidden layer of 64 units and ten outputs.",
            "How many numbers does it have, weights and biases?",
            "Say which layer has most of them, and what each of its units could look like as a picture.",
            "Every pixel has a weight to every unit. Do not forget the biases of both layers.",
            lambda: _count(dense([64])),
        ),
        Exercise(
            "Shrink the digits to 14 × 14 before they come in, and leave the network as it is otherwise.",
            "How many numbers does it have now?",
            "Say what is saved, and what is lost of a digit.",
            "Only the first layer knows how many pixels there are.",
            lambda: _count(torch.nn.Sequential(torch.nn.Linear(14 * 14, 64), torch.nn.Linear(64, 10))),
        ),
    ),
    "normalised": (
        Exercise(
            "Shift test digits by one pixel and compare them with what they were.",
            "How many of 100 pixels change by more than a tenth of the way from black to white?",
            "Say what this means for a network with a weight for every pixel.",
            "Most of a digit's picture is empty. What changes is at the edges of strokes, on both sides.",
            _changed_by_a_shift, 0.2,
        ),
        Exercise(
            "Clean up a stroke that is 60 pixels tall and 24 wide, as lanterna.images.normalise does.",
            "How many pixels is its longer side in the box that it is fitted into?",
            "Say why it is not the whole 28.",
            "MNIST's makers scaled all digits into one box, and put that into the picture. Look at one.",
            _longer_side,
        ),
    ),
    "edges": (
        Exercise(
            "A kernel of 3 × 3 has -1, 0, 1 in each of its rows. It lies on a grey of 0.5 everywhere.",
            "What does it give?",
            "Say why such a kernel does not care how bright a picture is.",
            "Multiply and add up, row by row.",
            lambda: _edge_beside(0.5, 0.5),
        ),
        Exercise(
            "The same kernel lies on an edge: its left and middle columns are 0.2, its right one is 0.8.",
            "What does it give?",
            "Say what it would give for the edge the other way round.",
            "Multiply and add up: each row gives the same.",
            lambda: _edge_beside(0.2, 0.8), 0.01,
        ),
    ),
    "paths": (
        Exercise(
            "Follow a digit through a network with ReLU units. Some of them are off for this digit.",
            "What do the units that are off contribute to the answer, all together?",
            "Say what a unit needs to contribute much.",
            "A contribution is what a unit gives, times what the answer makes of it.",
            _off_gives,
        ),
        Exercise(
            "Two units give 2 and 3. Their weights to an answer are 0.5 and -1, its bias is 0.25.",
            "What does the second unit contribute to the answer?",
            "Say whether it speaks for or against, and what all contributions and the bias add up to.",
            "Only this unit's own output and its own weight count.",
            _second_gives,
        ),
    ),
    "functions": (
        Exercise(
            "Approach the waves with 5 neurons, and look closely at the curve that they make.",
            "Of how many straight pieces is it?",
            "Say where the corners are, and what moves one.",
            "One neuron bends the line once. How many pieces is a line that was bent once?",
            _pieces,
        ),
        Exercise(
            "Approach the waves with 64 neurons and with 128.",
            "How many times smaller is the error with twice as many?",
            "Say why pieces half as long come more than twice as near to a round curve.",
            "Draw a round arc and the straight line between its ends. Halve the arc, and compare the gaps.",
            _gain_of_twice_the_neurons, 0.15,
        ),
    ),
    "quickstart": (
        Exercise(
            "The quickstart learns from 60,000 digits, 32 at a time.",
            "How many steps does one epoch take?",
            "Say what a step does, and what would change with batches of 64.",
            "Every digit is seen once in an epoch.",
            _quickstart_steps,
        ),
        Exercise(
            "Its network has 28 × 28 inputs, 128 hidden units and ten outputs.",
            "How many numbers are trained?",
            "Say why dropout between its layers adds none.",
            "Count as in lesson digit: weights of both layers, and a bias for every unit.",
            lambda: _count(dense([128])),
        ),
        Exercise(
            "Before it has learned anything, the network holds all ten answers for equally likely.",
            "What is its cross-entropy loss then?",
            "Say what the loss would be if it were sure, and right; and if it were sure, and wrong.",
            "It is minus the natural logarithm of the probability that it gives to the right answer.",
            _loss_of_a_guess, 0.02,
        ),
    ),
    "painting": (
        Exercise(
            "A painting is off by 0.1 at every pixel, on a scale from 0 to 1.",
            "What is its PSNR, in dB?",
            "Say what happens to the PSNR where the error becomes ten times smaller.",
            "It is ten times the logarithm to base 10 of one over the mean squared error: square it first.",
            _psnr, 0.01,
        ),
        Exercise(
            "A network goes from (x, y) through 6 layers of 64 units to three colours.",
            "How many numbers does it have?",
            "Say how many numbers the picture itself has at 64 × 64, and at 512 × 512.",
            "Two inputs, then layers of 64 one after another, then three outputs; and the biases.",
            _painter,
        ),
    ),
    "parts": (
        Exercise(
            "A layer has 64 maps. Their Gram matrix holds the product of each map with each.",
            "How many different numbers are in it, at most?",
            "Say why it is smaller than the maps themselves, and what was thrown away.",
            "The product of a map with another is that of the other with it.",
            _alike_in_a_gram,
        ),
        Exercise(
            "Move all maps of a layer aside by three places, so that what leaves on one side comes in on the "
            "other.",
            "What does its Gram matrix do?",
            "Say what this means for where a style may put its strokes.",
            "Each of its numbers is a sum over all places. Does it matter in which order one adds?",
            _gram_of_moved_maps, choices=("changes", "stays"),
        ),
    ),
}  # fmt: skip
"""The exercises of each lesson, by its name, in the lecture's order."""
