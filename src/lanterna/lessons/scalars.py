"""A scalar autograd, small enough to read: every value knows its operation, its inputs and its gradient.

Reverse-mode differentiation (Linnainmaa 1970). Forward, each operation records its inputs and its local
gradients. Backward, from the output, each operation multiplies the gradient that arrives by its local
gradients and passes the products on to its inputs. A value that is used several times adds up its gradients.
"""

from __future__ import annotations

import ast
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lanterna.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_MAX_LENGTH = 200  # characters of an expression


@dataclass(eq=False)
class Value:
    """A node of the computational graph. `grad` is the output's derivative with respect to it, once
    `backward` has run.

    `operation` names the gate that computed `data` from `inputs`; `local_grads` are that gate's derivatives
    with respect to each of them.
    """

    data: float
    operation: str = ""
    inputs: Sequence[Value] = ()
    local_grads: Sequence[float] = ()
    name: str = ""
    grad: float = field(default=0.0, init=False)

    def __add__(self, other: Value | float) -> Value:
        other = as_value(other)
        return Value(self.data + other.data, "+", (self, other), (1.0, 1.0))

    def __mul__(self, other: Value | float) -> Value:
        other = as_value(other)
        return Value(self.data * other.data, "×", (self, other), (other.data, self.data))

    def __pow__(self, power: float) -> Value:
        if self.data < 0 and power != int(power):
            raise ValueError("a fractional power of a negative number")
        local_grad = power * self.data ** (power - 1) if power else 0.0
        return Value(self.data**power, f"^{power:g}", (self,), (local_grad,))

    def __neg__(self) -> Value:
        return self * -1.0

    def __sub__(self, other: Value | float) -> Value:
        return self + -as_value(other)

    def __truediv__(self, other: Value | float) -> Value:
        return self * as_value(other) ** -1.0

    def exp(self) -> Value:
        """Return e to the power of this value."""
        result = math.exp(self.data)
        return Value(result, "exp", (self,), (result,))

    def log(self) -> Value:
        """Return the natural logarithm."""
        return Value(math.log(self.data), "log", (self,), (1 / self.data,))

    def tanh(self) -> Value:
        """Return the hyperbolic tangent, between -1 and 1."""
        result = math.tanh(self.data)
        return Value(result, "tanh", (self,), (1 - result * result,))

    def sigmoid(self) -> Value:
        """Return the logistic sigmoid, between 0 and 1."""
        result = math.exp(min(self.data, 0.0)) / (1 + math.exp(-abs(self.data)))
        return Value(result, "sigmoid", (self,), (result * (1 - result),))

    def relu(self) -> Value:
        """Return the value if it is positive, otherwise 0. At 0 the derivative is 0, as in torch."""
        return Value(max(0.0, self.data), "relu", (self,), (1.0 if self.data > 0 else 0.0,))

    def nodes(self) -> list[Value]:
        """Return this value and all that it depends on, inputs before the values that use them."""
        order: list[Value] = []
        visited: set[int] = set()

        def visit(node: Value) -> None:
            if id(node) not in visited:
                visited.add(id(node))
                for source in node.inputs:
                    visit(source)
                order.append(node)

        visit(self)
        return order

    def backward(self) -> None:
        """Compute the gradient with respect to every value that this one depends on."""
        order = self.nodes()
        for node in order:
            node.grad = 0.0
        self.grad = 1.0
        for node in reversed(order):
            for source, local_grad in zip(node.inputs, node.local_grads, strict=True):
                source.grad += node.grad * local_grad


def as_value(number: Value | float) -> Value:
    """Return a plain number as a constant; a value unchanged."""
    return number if isinstance(number, Value) else Value(float(number), name=f"{number:g}")


FUNCTIONS: dict[str, Callable[[Value], Value]] = {
    "exp": Value.exp, "log": Value.log, "tanh": Value.tanh, "sigmoid": Value.sigmoid, "relu": Value.relu,
}  # fmt: skip
_OPERATORS: dict[type[ast.operator], Callable[[Value, Value], Value]] = {
    ast.Add: Value.__add__, ast.Sub: Value.__sub__, ast.Mult: Value.__mul__, ast.Div: Value.__truediv__,
}  # fmt: skip


def circuit(expression: str, numbers: Mapping[str, float]) -> Value:
    """Build the circuit of an expression like `(a * b + c) * relu(d)` and run it on these inputs.

    Errors: `UsageError` for an invalid expression, an unknown name, or an operation that is undefined at
    these numbers (log of 0).
    """
    if len(expression) > _MAX_LENGTH:
        raise UsageError(f"expression: expected up to {_MAX_LENGTH} characters, got {len(expression)}")
    inputs = {name: Value(number, name=name) for name, number in numbers.items()}
    try:
        return _build(ast.parse(expression, mode="eval").body, inputs)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        if isinstance(error, SyntaxError | RecursionError | MemoryError):
            raise UsageError(
                f"expression: expected an expression like (a * b + c) * d, got {expression!r}"
            ) from None
        raise UsageError(f"expression: {expression!r} is undefined at these numbers: {error}") from None
    except (ZeroDivisionError, OverflowError):
        raise UsageError(
            f"expression: {expression!r} is too large, or divides by 0, at these numbers"
        ) from None


def _build(node: ast.expr, inputs: Mapping[str, Value]) -> Value:
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_build(node.left, inputs), _build(node.right, inputs))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        power = _build(node.right, {})
        if abs(power.data) <= 10:
            return _build(node.left, inputs) ** power.data
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_build(node.operand, inputs)
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return as_value(float(node.value))
    if isinstance(node, ast.Name):
        if node.id not in inputs:
            raise UsageError(
                f"expression: {node.id!r} has no value: the inputs are {', '.join(inputs) or 'none'}"
            )
        return inputs[node.id]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        function = FUNCTIONS.get(node.func.id)
        if function is not None and len(node.args) == 1 and not node.keywords:
            return function(_build(node.args[0], inputs))
    known = ", ".join(FUNCTIONS)
    raise UsageError(f"expression: expected + - * / ** up to 10, {known}, got {ast.unparse(node)[:60]!r}")
