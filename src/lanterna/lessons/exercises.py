"""Exercises for every lesson: what to try, predict and explain, and a check of the prediction.

A check stores no answers. It computes the right one when asked, with the lesson's own functions or a few
lines of arithmetic, and compares within the tolerance that the exercise states. The reply says either that
the answer is right or gives a hint; it never reveals the answer, nor whether it is larger or smaller.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, SupportsFloat

import numpy as np
import torch
import torch.nn.functional as F

from lanterna.errors import UsageError
from lanterna.images.digits import mnist
from lanterna.images.normalise import normalise
from lanterna.lessons import cells, curve, derivative, descent, dream, functions, gates, layers, neuron, noise
from lanterna.lessons.briefs import BRIEFS
from lanterna.lessons.measured import measured
from lanterna.lessons.scalars import circuit
from lanterna.networks.coordinate_plan import CoordinatePlan
from lanterna.networks.coordinates import Coordinates
from lanterna.networks.digits import dense
from lanterna.probes.look import look
from lanterna.probes.paths import paths
from lanterna.techniques.octaves import octave_sizes
from lanterna.techniques.paint.pixels import psnr
from lanterna.techniques.train.algorithm import new_network
from lanterna.techniques.train.settings import Train

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import nn

    from lanterna.lessons import Lesson

_EXACT = 1e-6  # the tolerance for counts and for 0


@dataclass(frozen=True)
class Exercise:
    """One exercise: what to try, the question to predict an answer to, and what to explain afterwards.

    `answer` computes the right answer: a number, or one of `choices`. `within` is a number's relative
    tolerance. `hint` is the reply to a wrong answer.
    """

    try_: str
    predict: str
    explain: str
    hint: str
    answer: Callable[[], float | str]
    within: float = 0.0
    choices: Sequence[str] = ()

    @property
    def expected(self) -> str:
        """Describe the kind of answer."""
        if self.choices:
            return " or ".join(repr(choice) for choice in self.choices)
        return f"a number (within {100 * self.within:g} %)" if self.within else "an exact number"


@dataclass(frozen=True, repr=False)
class Reply:
    """Whether an answer is right, and the reply to it."""

    right: bool
    words: str

    def __bool__(self) -> bool:
        return self.right

    def __repr__(self) -> str:
        return self.words


def check(lesson: str, number: int, answer: object) -> Reply:
    """Check an answer to an exercise: `check("curve", 1, 7)`. `...` stands for no answer yet.

    Errors: `UsageError` for an unknown lesson or exercise, or the wrong kind of answer.
    """
    exercise = find_exercise(lesson, number)
    if answer is ...:
        return Reply(False, f"No answer yet: replace the dots with {exercise.expected}.")
    given = _parsed(exercise, answer, f"{lesson}, exercise {number}")
    true = exercise.answer()
    if isinstance(given, str) or isinstance(true, str):
        right = given == true
    else:
        right = abs(given - true) <= max(exercise.within * abs(true), _EXACT)
    return Reply(right, f"Right. {exercise.explain}" if right else f"Not yet. {exercise.hint}")


def sheet(lesson: str) -> str:
    """Return the exercises of a lesson as Markdown, and its brief if there is one.

    Errors: `UsageError` for a lesson that has none.
    """
    parts = [f"Exercises: {lesson}"]
    for number, exercise in enumerate(_exercises(lesson), 1):
        parts.append(
            f"{number}. Try: {exercise.try_}\n\n"
            f"   Predict: {exercise.predict}\n\n"
            f"   Explain: {exercise.explain}\n\n"
            f'   `lanterna.check("{lesson}", {number}, ...)` takes {exercise.expected}.'
        )
    if lesson in BRIEFS:
        brief = BRIEFS[lesson]
        parts.append(f"To make: {brief.make}\n\n   Look for: {brief.look_for}")
    return "\n\n".join(parts)


def exercises_as_json(lesson: str) -> list[dict[str, object]]:
    """Return the exercises of a lesson as a JSON document."""
    return [
        {
            "try": exercise.try_,
            "predict": exercise.predict,
            "explain": exercise.explain,
            "answer": exercise.expected,
            "choices": list(exercise.choices),
        }
        for exercise in _exercises(lesson)
    ]


def lesson_as_json(lesson: Lesson) -> dict[str, object]:
    """Return a lesson as a JSON document: its texts, its exercises and its settings' schemas."""
    return {
        "name": lesson.name,
        "title": lesson.title,
        "question": lesson.question,
        "claim": lesson.claim,
        "quote": lesson.quote and asdict(lesson.quote),
        "explanation": lesson.paragraphs,
        "seen": " ".join(lesson.seen.split()),
        "program": lesson.program,
        "where": lesson.source,
        "quick": lesson.quick,
        "needs": list(lesson.needs),
        "exercises": exercises_as_json(lesson.name),
        "brief": BRIEFS[lesson.name]._asdict() if lesson.name in BRIEFS else None,
        "settings": lesson.settings.model_json_schema()["properties"],
    }


def _exercises(lesson: str) -> Sequence[Exercise]:
    if lesson not in EXERCISES:
        raise UsageError(f"there are no exercises for {lesson!r}: there are some for {', '.join(EXERCISES)}")
    return EXERCISES[lesson]


def find_exercise(lesson: str, number: int) -> Exercise:
    """Return an exercise. Errors: `UsageError` if there is no such lesson or exercise."""
    exercises = _exercises(lesson)
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= len(exercises):
        raise UsageError(f"{lesson} has exercises 1 to {len(exercises)}, got {number!r}")
    return exercises[number - 1]


def _parsed(exercise: Exercise, answer: object, place: str) -> float | str:
    """Return the answer as a number, or as one of the choices."""
    if exercise.choices:
        text = answer.strip().lower() if isinstance(answer, str) else answer
        if text in exercise.choices:
            return str(text)
        raise UsageError(f"{place}: expected {exercise.expected}, got {str(answer)[:60]!r}")
    number = math.nan
    try:
        if isinstance(answer, SupportsFloat) and not isinstance(answer, bool):
            number = float(answer)
    except (TypeError, ValueError, OverflowError, RuntimeError):  # torch: a tensor of several numbers
        pass
    if not math.isfinite(number):
        raise UsageError(f"{place}: expected {exercise.expected}, got {str(answer)[:60]!r}")
    return number


def _output_change() -> float:
    return gates.output([3.01, -2.0]) - gates.output([3.0, -2.0])


def _evaluations_per_gradient() -> float:
    count = 0

    def evaluate(inputs: Sequence[float]) -> float:
        nonlocal count
        count += 1
        return gates.output(inputs)

    gates.numerical_gradient(evaluate, [1.0] * 128)
    return count


def _evaluations_with_longer_steps() -> str:
    short, long = (
        gates.evaluations("analytic", 1, gates.Gates(rise=1.0, step=step), 0) for step in (0.005, 0.01)
    )
    return min(_FACTORS, key=lambda name: abs(_FACTORS[name] - long / short))


_FACTORS = {"half": 0.5, "the same": 1.0, "double": 2.0}


def _nudged_cube() -> float:
    return (2.1**3 - 2.0**3) / 0.1


def _error_ratio() -> float:
    settings = derivative.Derivative(function="exponential", x=0.0)
    large, small = (derivative.error(settings, np.float64, nudge, both=True) for nudge in (1e-2, 1e-3))
    return large / small


def _best_nudge() -> str:
    settings = derivative.Derivative()
    errors = {
        f"1e{power}": derivative.error(settings, np.float64, 10.0**power, both=False)
        for power in (-4, -8, -12)
    }
    return min(errors, key=lambda name: errors[name])


def _gradient(expression: str, of: str, **numbers: float) -> float:
    output = circuit(expression, numbers)
    output.backward()
    return next(value.grad for value in output.nodes() if value.name == of)


def _halfway() -> float:
    """Return the input at which a neuron with weight 2 and bias -3 outputs a half, by bisection."""
    low, high = -10.0, 10.0
    for _ in range(60):
        middle = (low + high) / 2
        below = neuron.output(torch.tensor(2.0 * middle - 3.0, dtype=torch.float64))[0] < 0.5
        low, high = (middle, high) if below else (low, middle)
    return low


def _max_derivative(activation: Callable[[torch.Tensor], torch.Tensor]) -> float:
    """Return an activation's largest derivative, over sums from -5 to 5."""
    sums = torch.linspace(-5, 5, 20_001, dtype=torch.float64, requires_grad=True)
    torch.autograd.backward(activation(sums).sum())
    assert sums.grad is not None
    return sums.grad.max().item()


def _parameters(module: nn.Module) -> float:
    return sum(parameter.numel() for parameter in module.parameters())


def _separated_by_one_layer() -> str:
    shares = {}
    for points in ("xor", "rings", "two heaps"):
        settings = layers.Layers.checked({"points": points})
        (shares[points],) = layers.accuracies(settings, layers.trained(settings, 1, [0]), [0])
    return max(shares, key=lambda points: shares[points])


def _diverging_rate() -> float:
    """Return the learning rate from which on steps on the bowl x² / 10 diverge, by bisection."""
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


def _interpolating_degree() -> float:
    settings = curve.Curve(points=12)
    return next(degree for degree in range(1, 30) if curve.errors(settings, degree, 0)[0] < 1e-7)


def _high_degree_without_noise() -> str:
    settings = curve.Curve(noise=0.0)
    low, high = (curve.errors(settings, degree, 0)[1] for degree in (3, 11))
    return "better" if high < low else "worse"


def _pixels_changed_by_a_shift() -> float:
    """Return the percentage of pixels that change by more than a tenth if digits move by one pixel."""
    images = mnist("test").images[:500].float() / 255
    return 100 * ((images - images.roll(1, 3)).abs() > 0.1).float().mean().item()


def _longer_side() -> float:
    patch = torch.ones(60, 24)
    box = normalise([patch]).boxed[0, 0] > 0.5
    return max(int(box.any(0).sum()), int(box.any(1).sum()))


def _edge_response(left: float, right: float) -> float:
    picture = torch.tensor([left, left, right]).expand(1, 1, 3, 3)
    kernel = torch.tensor([-1.0, 0.0, 1.0]).expand(1, 1, 3, 3)
    return F.conv2d(picture, kernel).item()


def _pieces() -> float:
    xs = np.linspace(0, 1, 6001)
    bends = np.abs(np.diff(functions.approximation(functions.Functions(), 5, xs), 2)) > 1e-6
    return 1 + sum(bool(now and not before) for before, now in zip([False, *bends[:-1]], bends, strict=True))


def _gain_of_twice_the_neurons() -> float:
    settings = functions.Functions()
    return functions.error(settings, 64) / functions.error(settings, 128)


def _contribution_of_inactive_units() -> float:
    """Return what units that are off contribute, in an untrained network."""
    network = new_network(Train.checked({"network": "dense", "hidden": (16,)})).eval()
    image = mnist("test").images[0].float() / 255
    off = look(network, image, "relu1")["relu1"] == 0
    return paths(network, image, answer=3).contributions["relu1"][off].abs().sum().item()


def _second_contribution() -> float:
    return (torch.tensor([2.0, 3.0]) * torch.tensor([0.5, -1.0]))[1].item()


def _quickstart_steps() -> float:
    return Train.checked({**Train.presets["quickstart"], "epochs": 1}).steps


def _loss_of_a_guess() -> float:
    return F.cross_entropy(torch.zeros(1, 10), torch.tensor([3])).item()


def _psnr() -> float:
    return psnr(0.1**2)


def _painter() -> float:
    return _parameters(Coordinates(CoordinatePlan(network="relu", layers=6, neurons=64), (64, 64)))


def _distinct_in_a_gram_matrix() -> float:
    maps = torch.randn(64, 49, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return len(set((maps @ maps.T).flatten().round(decimals=9).tolist()))


def _gram_of_shifted_maps() -> str:
    maps = torch.randn(8, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    before, after = (batch.flatten(1) @ batch.flatten(1).T for batch in (maps, maps.roll((2, 3), (1, 2))))
    return "stays" if torch.allclose(before, after) else "changes"


def _smallest_octave() -> float:
    return octave_sizes(256, 256, 256, 4, 1.5)[0][0]


def _forms_of_one_octave() -> str:
    """Compare the wavelengths that were measured in advance."""
    found = measured(dream.LESSON)
    assert found is not None
    numbers = found.document["finding"]["numbers"]
    one, four = (numbers[f"cat, wavelength, {octaves}"] for octaves in ("1 octave", "4 octaves"))
    return "fine" if one < four else "coarse"


def _guess_from_noise() -> float:
    """Return the x that the best possible prediction has at t = 0."""
    predict = noise.exact(torch.tensor([[-1.0, 0.0], [1.0, 0.0]]))
    return round(predict(torch.tensor([[0.4, -1.2]]), 0.0, torch.zeros(1, 2))[0, 0].item(), 6)


def _spread_with_guidance() -> str:
    numbers = noise.experiment(noise.Noise(training=200)).finding.numbers
    return "more" if numbers["spread, guidance 4"] > numbers["spread, guidance 1"] else "less"


def _steps_until_three_in_a_row_return() -> float:
    start = torch.zeros(9, 9, dtype=torch.bool)
    start[4, 3:6] = True
    now, steps = cells.stepped(start, "3", "23"), 1
    while not torch.equal(now, start):
        now, steps = cells.stepped(now, "3", "23"), steps + 1
    return steps


def _steps_until_felt() -> float:
    """Return after how many steps of the rule that spreads fastest a cell 40 away has changed."""
    alive, steps = torch.zeros(3, 99, dtype=torch.bool), 0
    alive[1, 10] = True
    while not alive[1, 50]:
        alive, steps = cells.stepped(alive, "12345678", "012345678"), steps + 1
    return steps


def _hole_in_a_maze() -> str:
    return "fills" if cells.hole_of_life("3", "12345", 0)[-1] < 0.5 else "stays"


def _gram_of_a_mirrored_painting() -> str:
    """Compare the Gram matrices of random kernels' maps, of a picture and of its mirror image."""
    generator = torch.Generator().manual_seed(0)
    picture = torch.rand(1, 1, 12, 12, generator=generator, dtype=torch.float64)
    kernels = torch.randn(4, 1, 3, 3, generator=generator, dtype=torch.float64)
    maps = [torch.relu(F.conv2d(each, kernels)).flatten(2)[0] for each in (picture, picture.flip(3))]
    before, after = (each @ each.T for each in maps)
    return "the same" if torch.allclose(before, after) else "not the same"


EXERCISES: dict[str, Sequence[Exercise]] = {
    "gates": (
        Exercise(
            "One gate multiplies x = 3 and y = -2. Move x up by 0.01 and leave y alone.",
            "By how much does the output change?",
            "Why does the other input decide this? And which way would you move y?",
            "Work out the product before and after. Which number is x multiplied by?",
            _output_change, 0.01,
        ),
        Exercise(
            "A circuit has 64 gates and 128 inputs. Measure its gradient once, with nudges.",
            "How many times do you have to evaluate the circuit?",
            "What does this mean for a network with a million weights? What does the analytic derivative "
            "cost there?",
            "Every input is nudged separately, and every measurement is compared with something.",
            _evaluations_per_gradient,
        ),
        Exercise(
            "Climb with the analytic derivative, first with step=0.005, then with step=0.01.",
            "With steps twice as long, does the climb take half as many evaluations, as many, or twice as "
            "many?",
            "Why can you not make the steps longer and longer?",
            "The whole climb is as long as before. How much of it does one step cover now?",
            _evaluations_with_longer_steps, choices=tuple(_FACTORS),
        ),
    ),
    "derivative": (
        Exercise(
            "Measure the derivative of x³ at x = 2 with a nudge of h = 0.1 to one side: (f(x + h) - f(x)) / "
            "h.",
            "What do you measure?",
            "How much of it is the true derivative, and where does the rest come from?",
            "It is not the derivative itself. Work out f(2.1) and f(2), subtract, and divide by the nudge.",
            _nudged_cube, 0.01,
        ),
        Exercise(
            "Nudge to both sides, first with h = 0.01, then with h = 0.001, in 64 bits.",
            "How many times smaller does the error become?",
            "How would the error have changed with a nudge to one side only?",
            "With nudges to both sides, the first error term cancels. Which power of h comes next?",
            _error_ratio, 0.1,
        ),
        Exercise(
            "Look at the first chart of this lesson, at the line for 64 bits, one side.",
            "Which of these three nudges measures best?",
            "What spoils the other two? One is too large. For the other, think of how many digits a computer "
            "stores.",
            "A nudge can be too large or too small. Look at both ends of the line.",
            _best_nudge, choices=("1e-4", "1e-8", "1e-12"),
        ),
    ),
    "circuits": (
        Exercise(
            "Build a * b + c with a = 2, b = -3, c = 1 and run it backwards.",
            "What is the gradient of a?",
            "What do a plus gate and a times gate each do with the gradient that reaches them?",
            "Go back from the output: a plus gate passes the gradient on unchanged. Then comes the times "
            "gate.",
            lambda: _gradient("a * b + c", "a", a=2, b=-3, c=1),
        ),
        Exercise(
            "Build relu(a * b) * c with a = 1, b = -2, c = 3.",
            "What is the gradient of b?",
            "Which gate decides this? What would have to change for a gradient to get through?",
            "Work out the input of the relu. What does a relu pass back in that case?",
            lambda: _gradient("relu(a * b) * c", "b", a=1, b=-2, c=3),
        ),
        Exercise(
            "Build a * a + a * b with a = 3, b = 2: a is used three times.",
            "What is the gradient of a?",
            "What happens when gradients reach one value along several wires?",
            "Every use of a sends back its own gradient. None of them is lost.",
            lambda: _gradient("a * a + a * b", "a", a=3, b=2),
        ),
    ),
    "neuron": (
        Exercise(
            "A neuron has the inputs 1, 0.5 and 2, the weights 2, -3 and 0.5, and the bias -4.",
            "What is its sum, before the activation?",
            "What do sigmoid, tanh and ReLU each turn it into? Which of the three lets the weights learn?",
            "Multiply each input by its own weight, add up the three results, and add the bias.",
            lambda: (torch.tensor([1.0, 0.5, 2.0]) @ torch.tensor([2.0, -3.0, 0.5])).item() - 4.0,
        ),
        Exercise(
            "A neuron has one input x, the weight 2, the bias -3 and a sigmoid: output = sigmoid(2 * x - 3).",
            "At which input is its output 0.5?",
            "How does a more negative bias move this place?",
            "A sigmoid outputs a half if its sum is neither positive nor negative.",
            _halfway, 0.01,
        ),
        Exercise(
            "Give it the weight 4 and the bias 1, and find the place where its curve is steepest.",
            "How steep is it there: by how much does the output change per unit of the input?",
            "What do the weight and the bias have to do with it?",
            "Where is a plain sigmoid steepest, and how steep? The weight multiplies that.",
            lambda: _max_derivative(lambda inputs: torch.sigmoid(4.0 * inputs + 1.0)), 0.02,
        ),
    ),
    "layers": (
        Exercise(
            "Count the parameters of a network with 2 inputs, 16 hidden units and 1 output, biases included.",
            "How many are there?",
            "If every layer becomes twice as wide, which of them grow in number fastest?",
            "Every node is connected to every node of the next layer, and every node except the inputs has a "
            "bias.",
            lambda: _parameters(layers.network(layers.Layers(hidden=16), 2, 0)),
        ),
        Exercise(
            "Give one layer the points xor, then rings, then two heaps.",
            "Which of them can it separate?",
            "What does one layer draw between two classes, and why is that not enough for the others?",
            "Draw the points and try to separate them with a ruler.",
            _separated_by_one_layer, choices=("xor", "rings", "two heaps"),
        ),
    ),
    "descent": (
        Exercise(
            "Start plain gradient descent at x = 6, with a learning rate of 0.1, for 80 steps.",
            "At which x does it end?",
            "Why does it not end in the lowest valley? What would have to be different?",
            "Draw the cost around 6 and put a ball there. Into which valley does it roll?",
            lambda: descent.run(6.0, 0.1, 80)[-1], 0.02,
        ),
        Exercise(
            "Remove the waves: the cost is the bowl x² / 10, its derivative x / 5. Raise the learning "
            "rate again and again.",
            "From which learning rate on does x grow without limit?",
            "What happens exactly at that rate, and at half of it?",
            "Each step multiplies x by a number. When does that make x larger, whatever the number's sign?",
            _diverging_rate, 0.02,
        ),
        Exercise(
            "On a long straight slope, use momentum 0.9: speed = 0.9 * speed + gradient.",
            "How many times longer than plain steps do the steps become in the end?",
            "Why does this help in a long valley, and where does it do harm?",
            "In the end the speed stops changing: each step loses as much as it gains.",
            _speed_with_momentum, 0.02,
        ),
    ),
    "curve": (
        Exercise(
            "Fit polynomials of higher and higher degree to 12 points.",
            "From which degree on does the polynomial go through every point?",
            "What does it do between the points, and why?",
            "Count the coefficients of a polynomial, and compare that with the number of points.",
            _interpolating_degree,
        ),
        Exercise(
            "Set noise=0, so that the points lie exactly on the sine.",
            "Between the points, is degree 11 better or worse than degree 3?",
            "What does this say about where overfitting comes from?",
            "A high degree follows everything that is in the points. What is in these points?",
            _high_degree_without_noise, choices=("better", "worse"),
        ),
    ),
    "squash": (
        Exercise(
            "Draw a sigmoid and its derivative.",
            "How large is the derivative at most?",
            "What happens to a gradient that passes back through one sigmoid after another?",
            "Look at the middle, and work out s * (1 - s) there.",
            lambda: _max_derivative(torch.sigmoid), 0.01,
        ),
        Exercise(
            "Send a gradient of 1 back through five sigmoids, each at its steepest, with weights of 1.",
            "How much of it is left?",
            "What can the first layer of such a network learn from it? How is ReLU different?",
            "Each sigmoid multiplies what reaches it by its own derivative.",
            lambda: _max_derivative(torch.sigmoid) ** 5, 0.02,
        ),
        Exercise(
            "The weighted sum of a ReLU unit is -1 for every digit.",
            "What share of the gradient passes through it?",
            "Why is such a unit called dead, and can it come back to life?",
            "How much does its output change if its sum changes a little?",
            lambda: _gradient("relu(a)", "a", a=-1),
        ),
    ),
    "digit": (
        Exercise(
            "A digit network has 28 × 28 inputs, one hidden layer of 64 units and ten outputs.",
            "How many parameters does it have, weights and biases?",
            "Which layer has most of them, and why can you draw each of its units as a picture?",
            "Every pixel has a weight to every unit. Do not forget the biases of both layers.",
            lambda: _parameters(dense([64])),
        ),
        Exercise(
            "Shrink the digits to 14 × 14 pixels before they go in, and change nothing else.",
            "How many parameters does the network have now?",
            "What do you save, and what does a digit lose?",
            "Only the first layer knows how many pixels there are.",
            lambda: _parameters(torch.nn.Sequential(torch.nn.Linear(14 * 14, 64), torch.nn.Linear(64, 10))),
        ),
    ),
    "normalised": (
        Exercise(
            "Shift test digits by one pixel and compare them with the originals.",
            "How many of 100 pixels change by more than a tenth of the way from black to white?",
            "What does this mean for a network that has a separate weight for every pixel?",
            "Most of a digit's picture is empty. The changes are at the edges of strokes, on both sides.",
            _pixels_changed_by_a_shift, 0.2,
        ),
        Exercise(
            "Normalise a stroke that is 60 pixels tall and 24 wide, as lanterna.images.normalise does.",
            "How many pixels long is its longer side in the box that it is fitted into?",
            "Why does it not fill all 28 pixels?",
            "MNIST's authors scaled every digit into a box smaller than the picture. Look at one.",
            _longer_side,
        ),
    ),
    "edges": (
        Exercise(
            "Each row of a 3 × 3 kernel is -1, 0, 1. It lies on an even grey of 0.5.",
            "What is its output?",
            "Why does it not matter to such a kernel how bright the picture is?",
            "Multiply and add up, row by row.",
            lambda: _edge_response(0.5, 0.5),
        ),
        Exercise(
            "The same kernel lies on an edge: the pixels in its left and middle columns are 0.2, those in "
            "its right column 0.8.",
            "What is its output?",
            "What would it output if the edge were the other way round?",
            "Multiply and add up: every row has the same sum.",
            lambda: _edge_response(0.2, 0.8), 0.01,
        ),
    ),
    "paths": (
        Exercise(
            "Follow a digit through a network with ReLU units. Some of them are off for this digit.",
            "What do the units that are off contribute to the answer, all together?",
            "What does a unit need in order to contribute a lot?",
            "A contribution is a unit's output times its effect on the answer.",
            _contribution_of_inactive_units,
        ),
        Exercise(
            "Two units output 2 and 3. Their weights to an answer are 0.5 and -1, and its bias is 0.25.",
            "What does the second unit contribute to the answer?",
            "Does it speak for or against the answer? What do all contributions and the bias add up to?",
            "Only this unit's own output and its own weight count.",
            _second_contribution,
        ),
    ),
    "functions": (
        Exercise(
            "Approximate the waves with 5 neurons, and look closely at the curve.",
            "How many straight pieces does it have?",
            "Where are the corners, and what would move one?",
            "One neuron makes one corner. How many pieces does a line with one corner have?",
            _pieces,
        ),
        Exercise(
            "Approximate the waves with 64 neurons and with 128.",
            "How many times smaller is the error with twice as many?",
            "Why do pieces half as long follow a round curve more than twice as closely?",
            "Draw a round arc and the straight line between its ends. Halve the arc, and compare the gaps.",
            _gain_of_twice_the_neurons, 0.15,
        ),
    ),
    "quickstart": (
        Exercise(
            "The quickstart learns from 60,000 digits, 32 at a time.",
            "How many steps does one epoch take?",
            "What does one step do, and what would change with batches of 64?",
            "In one epoch the network sees every digit once.",
            _quickstart_steps,
        ),
        Exercise(
            "Its network has 28 × 28 inputs, 128 hidden units and ten outputs.",
            "How many parameters are trained?",
            "Why does the dropout between the layers add none?",
            "Count as in the lesson on the digit network: the weights of both layers, and a bias for every "
            "unit.",
            lambda: _parameters(dense([128])),
        ),
        Exercise(
            "Before it has learned anything, the network considers all ten answers equally likely.",
            "What is its cross-entropy loss?",
            "What would the loss be if the network were sure and right? And if it were sure and wrong?",
            "It is minus the natural logarithm of the probability that it gives to the right answer.",
            _loss_of_a_guess, 0.02,
        ),
    ),
    "painting": (
        Exercise(
            "A painting is off by 0.1 at every pixel, on a scale from 0 to 1.",
            "What is its PSNR, in dB?",
            "How does the PSNR change if the error becomes ten times smaller?",
            "Square the error first. The PSNR is ten times the base 10 logarithm of one over the mean "
            "squared error.",
            _psnr, 0.01,
        ),
        Exercise(
            "A network goes from (x, y) through 6 layers of 64 units to three colours.",
            "How many parameters does it have?",
            "How many numbers does the picture itself have, at 64 × 64 pixels and at 512 × 512?",
            "Two inputs, then 6 layers of 64, then three outputs; and all the biases.",
            _painter,
        ),
    ),
    "parts": (
        Exercise(
            "A layer has 64 maps. Their Gram matrix contains the product of every map with every map.",
            "How many different numbers can it contain at most?",
            "Why is the matrix smaller than the maps themselves, and which information does it throw away?",
            "A times B is the same as B times A.",
            _distinct_in_a_gram_matrix,
        ),
        Exercise(
            "Shift all maps of a layer three places to the side, so that what leaves on one side comes back "
            "in on the other.",
            "Does the Gram matrix change, or does it stay the same?",
            "What does this mean for where a style may put its strokes?",
            "Each of its numbers is a sum over all places. Does the order of adding matter?",
            _gram_of_shifted_maps, choices=("changes", "stays"),
        ),
    ),
    "dream": (
        Exercise(
            "A step changes each pixel by rate * gradient / mean |gradient|, with rate = 0.012.",
            "By how much do pixels change in one step, on average, if the gradient becomes ten times larger?",
            "Why is the gradient divided by its own mean size? What would happen at first, and what later?",
            "Put ten times the gradient into the formula, above and below the line.",
            lambda: 0.012, 0.01,
        ),
        Exercise(
            "Dream at 256 pixels with 4 octaves, each 1.5 times as large as the one before.",
            "How many pixels does a side of the smallest octave have?",
            "A layer's window covers 60 pixels, say. How much of the photograph is that at each octave?",
            "Divide by 1.5 for each octave below the largest. How many such steps are there?",
            _smallest_octave, 0.02,
        ),
        Exercise(
            "Run this lesson with octaves=4, and look at the chart of wavelengths.",
            "Of which forms does one octave add more than four do: coarse ones or fine ones?",
            "Both take the same number of steps. Where do those of the other octaves go?",
            "Compare the two lines at their left ends, where waves are only a few pixels long.",
            _forms_of_one_octave, choices=("coarse", "fine"),
        ),
    ),
    "style": (
        Exercise(
            "Two maps have four places each. One is 1, 0, 2, 0, the other 3, 1, 1, 0.",
            "What is their entry in the Gram matrix: the sum of their products, divided by the places?",
            "Move the places of both maps about in the same way. What happens to the entry?",
            "Multiply place by place, add up, divide by four.",
            lambda: (torch.tensor([1.0, 0, 2, 0]) @ torch.tensor([3.0, 1, 1, 0])).item() / 4,
        ),
        Exercise(
            "Mirror a painting, left to right, and compare the Gram matrices of relu1_1, not all of whose "
            "kernels are symmetric.",
            "Is the Gram matrix exactly the same as before, or not?",
            "A shuffled painting keeps its strokes. What does a mirror do to a stroke that leans right?",
            "Think of a map that finds lines leaning to the right. Where do its lines go?",
            _gram_of_a_mirrored_painting, choices=("the same", "not the same"),
        ),
    ),
    "noise": (
        Exercise(
            "A pixel of noise is 2, the same pixel of a digit is -1. They are mixed at t = 0.25.",
            "What is the mixture?",
            "On the straight way from one to the other, how fast does the pixel change? Does t matter?",
            "A quarter of the digit, and the rest noise.",
            lambda: torch.lerp(torch.tensor(2.0), torch.tensor(-1.0), 0.25).item(), 0.001,
        ),
        Exercise(
            "There are two training points, (-1, 0) and (1, 0), equally often, and a perfect network.",
            "Which x does it predict at t = 0, where it sees nothing but noise?",
            "Why would a picture that was drawn in a single step look like fog?",
            "It can only guess. Which guess has the smallest mean squared error?",
            _guess_from_noise,
        ),
        Exercise(
            "Run this lesson, and compare guidance 4 with guidance 1 in the last chart.",
            "Do samples of one side spread more along the ring, or less?",
            "What does guidance move samples away from?",
            "Look at the line of the spread.",
            _spread_with_guidance, choices=("more", "less"),
        ),
    ),
    "cells": (
        Exercise(
            "In Life (born with 3, survives with 2 or 3), draw three living cells in a row on empty ground. "
            "Take one step after another.",
            "After how many steps does it look as it did at first?",
            "Which cells die at the first step, and which are born? Count their neighbours.",
            "Draw it on squared paper, and count the living neighbours of each square.",
            _steps_until_three_in_a_row_return,
        ),
        Exercise(
            "A hole is wiped into cells, 40 columns from a cell that is far from it.",
            "After how many steps, at the soonest, can that cell feel it?",
            "What does this mean for how fast a large texture can settle?",
            "In one step, news reaches the next cell. How many cells is it to go?",
            _steps_until_felt,
        ),
        Exercise(
            "Choose the maze (born with 3, survives with 1 to 5), let it grow, and wipe a hole.",
            "Does the hole fill again, or does it stay?",
            "Nobody chose the maze's rule to heal. What do it and the learned texture have in common?",
            "Try it, with Life beside it.",
            _hole_in_a_maze, choices=("fills", "stays"),
        ),
    ),
}  # fmt: skip
"""The exercises of each lesson by name, in the lecture's order."""
