"""A scalar autograd to be read: every value knows what it was made of, and how its slope goes back.

Reverse accumulation (Linnainmaa 1970): forward, each gate keeps its inputs; backward, from the output, each
gate multiplies the slope that comes to it by its local derivative and hands it on. Slopes that come to a
value along several wires add up.
"""

from __future__ import annotations

import ast
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lanterna.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_LONGEST = 200  # characters of an expression


@dataclass(eq=False)
class Value:
    """A number on a wire. `slope` is the derivative of the output by it, once `backward` has run.

    `made_by` is the gate's name, `inputs` what went in, `locals` the gate's derivative by each of them.
    """

    number: float
    made_by: str = ""
    inputs: Sequence[Value] = ()
    locals: Sequence[float] = ()
    name: str = ""
    slope: float = field(default=0.0, init=False)

    def __add__(self, other: Value | float) -> Value:
        other = value(other)
        return Value(self.number + other.number, "+", (self, other), (1.0, 1.0))

    def __mul__(self, other: Value | float) -> Value:
        other = value(other)
        return Value(self.number * other.number, "×", (self, other), (other.number, self.number))

    def __pow__(self, power: float) -> Value:
        if self.number < 0 and power != int(power):
            raise ValueError("a broken power of a negative number")
        slope = power * self.number ** (power - 1) if power else 0.0
        return Value(self.number**power, f"^{power:g}", (self,), (slope,))

    def __neg__(self) -> Value:
        return self * -1.0

    def __sub__(self, other: Value | float) -> Value:
        return self + -value(other)

    def __truediv__(self, other: Value | float) -> Value:
        return self * value(other) ** -1.0

    def exp(self) -> Value:
        """e to this power."""
        result = math.exp(self.number)
        return Value(result, "exp", (self,), (result,))

    def log(self) -> Value:
        """The natural logarithm."""
        return Value(math.log(self.number), "log", (self,), (1 / self.number,))

    def tanh(self) -> Value:
        """Squashed between -1 and 1."""
        result = math.tanh(self.number)
        return Value(result, "tanh", (self,), (1 - result * result,))

    def sigmoid(self) -> Value:
        """Squashed between 0 and 1."""
        result = math.exp(min(self.number, 0.0)) / (1 + math.exp(-abs(self.number)))
        return Value(result, "sigmoid", (self,), (result * (1 - result),))

    def relu(self) -> Value:
        """Nothing below 0, itself above; at 0 the slope is 0, as torch has it."""
        return Value(max(0.0, self.number), "relu", (self,), (1.0 if self.number > 0 else 0.0,))

    def wires(self) -> list[Value]:
        """This value and all that it was made of, inputs before what they go into."""
        order: list[Value] = []
        seen: set[int] = set()

        def visit(one: Value) -> None:
            if id(one) not in seen:
                seen.add(id(one))
                for each in one.inputs:
                    visit(each)
                order.append(one)

        visit(self)
        return order

    def backward(self) -> None:
        """Find the slope of every value that this one was made of."""
        order = self.wires()
        for each in order:
            each.slope = 0.0
        self.slope = 1.0
        for gate in reversed(order):
            for each, local in zip(gate.inputs, gate.locals, strict=True):
                each.slope += gate.slope * local


def value(number: Value | float) -> Value:
    """A value of a plain number."""
    return number if isinstance(number, Value) else Value(float(number), name=f"{number:g}")


SQUASHES: dict[str, Callable[[Value], Value]] = {
    "exp": Value.exp, "log": Value.log, "tanh": Value.tanh, "sigmoid": Value.sigmoid, "relu": Value.relu,
}  # fmt: skip
_GATES: dict[type[ast.operator], Callable[[Value, Value], Value]] = {
    ast.Add: Value.__add__, ast.Sub: Value.__sub__, ast.Mult: Value.__mul__, ast.Div: Value.__truediv__,
}  # fmt: skip


def circuit(expression: str, numbers: Mapping[str, float]) -> Value:
    """The circuit of an expression such as `(a * b + c) * relu(d)`, with these numbers on its inputs.

    Errors: `UsageError` for what is none, a name without a number, or where a gate has no answer (log of 0).
    """
    if len(expression) > _LONGEST:
        raise UsageError(f"expression: expected up to {_LONGEST} characters, got {len(expression)}")
    inputs = {name: Value(number, name=name) for name, number in numbers.items()}
    try:
        return _built(ast.parse(expression, mode="eval").body, inputs)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        if isinstance(error, SyntaxError | RecursionError | MemoryError):
            raise UsageError(f"expression: expected such as (a * b + c) * d, got {expression!r}") from None
        raise UsageError(f"expression: {expression!r} has no answer at these numbers: {error}") from None
    except (ZeroDivisionError, OverflowError):
        raise UsageError(
            f"expression: {expression!r} is too large, or divides by 0, at these numbers"
        ) from None


def _built(node: ast.expr, inputs: Mapping[str, Value]) -> Value:
    if isinstance(node, ast.BinOp) and type(node.op) in _GATES:
        return _GATES[type(node.op)](_built(node.left, inputs), _built(node.right, inputs))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        power = _built(node.right, {})
        if abs(power.number) <= 10:
            return _built(node.left, inputs) ** power.number
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_built(node.operand, inputs)
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return value(float(node.value))
    if isinstance(node, ast.Name):
        if node.id not in inputs:
            raise UsageError(
                f"expression: {node.id!r} has no number: there are {', '.join(inputs) or 'none'}"
            )
        return inputs[node.id]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        squash = SQUASHES.get(node.func.id)
        if squash is not None and len(node.args) == 1 and not node.keywords:
            return squash(_built(node.args[0], inputs))
    known = ", ".join(SQUASHES)
    raise UsageError(f"expression: expected + - * / ** up to 10, {known}, got {ast.unparse(node)[:60]!r}")
