// A circuit from an expression, and a scalar autograd over it. Forward, each gate records its inputs and its
// local gradients. Backward, it multiplies the gradient that arrives by these and passes the products on.
// lanterna/lessons/scalars.py is the same in Python.

/** @typedef {object} Value - a node of the computational graph
    @property {string} name - of an input; a constant's digits
    @property {string} operation - the gate that computes it; empty for an input
    @property {Value[]} inputs - of that gate
    @property {number} data
    @property {number} grad - the output's derivative with respect to this
    @property {number[]} localGrads - the gate's derivative with respect to each of its inputs
    @property {number} column - in the drawing
    @property {number} row

    @typedef {{ run: (...inputs: number[]) => number, grads: (...inputs: number[]) => number[] }} Gate

    @typedef {(operation: string, inputs?: Value[], name?: string) => Value} AddValue */

export const NAMES = "abcdefgh";
const MAX_LENGTH = 200; // characters of an expression

const sigmoid = (/** @type {number} */ x) => 1 / (1 + Math.exp(-x));

/** A gate's output, and its derivative with respect to each input.
    @type {Record<string, Gate>} */
const GATES = {
  "+": { run: (a, b) => a + b, grads: () => [1, 1] },
  "−": { run: (a, b) => a - b, grads: () => [1, -1] },
  "×": { run: (a, b) => a * b, grads: (a, b) => [b, a] },
  "÷": { run: (a, b) => a / b, grads: (a, b) => [1 / b, -a / (b * b)] },
  neg: { run: (a) => -a, grads: () => [-1] },
  exp: { run: Math.exp, grads: (a) => [Math.exp(a)] },
  log: { run: Math.log, grads: (a) => [1 / a] },
  tanh: { run: Math.tanh, grads: (a) => [1 - Math.tanh(a) ** 2] },
  sigmoid: { run: sigmoid, grads: (a) => [sigmoid(a) * (1 - sigmoid(a))] },
  relu: { run: (a) => Math.max(0, a), grads: (a) => [a > 0 ? 1 : 0] }, // 0 at 0, as in torch
};
export const FUNCTIONS = ["exp", "log", "tanh", "sigmoid", "relu"];

/** @type {(n: number) => Gate} */
const power = (n) => ({ run: (a) => a ** n, grads: (a) => [n === 0 ? 0 : n * a ** (n - 1)] });
/** @param {Value} value */
const gate = (value) => GATES[value.operation] ?? power(Number(value.operation.slice(1)));

/** Build the circuit of an expression: its values, inputs before the gates that use them, the output last.
    Errors: `Error`, in one line.
    @param {string} expression
    @returns {Value[]} */
export function build(expression) {
  if (expression.length > MAX_LENGTH)
    throw new Error(`An expression has up to ${MAX_LENGTH} characters; this one has ${expression.length}.`);
  /** @type {Value[]} */
  const values = [];
  /** @type {AddValue} */
  const add = (operation, inputs = [], name = "") => {
    const known = name && !operation && values.find((each) => each.name === name && NAMES.includes(name));
    if (known) return known;
    const value = { name, operation, inputs, data: NaN, grad: 0, localGrads: [], column: 0, row: 0 };
    values.push(value);
    return value;
  };
  parse(expression, add);
  return values;
}

/** Run the circuit on these inputs. Errors: `Error` if a gate is undefined there.
    @param {Value[]} values
    @param {number[]} numbers */
export function forward(values, numbers) {
  for (const value of values) {
    const inputs = value.inputs.map(({ data }) => data);
    if (value.operation) value.data = gate(value).run(...inputs);
    else
      value.data = NAMES.includes(value.name)
        ? (numbers[NAMES.indexOf(value.name)] ?? 1)
        : Number(value.name);
    if (!Number.isFinite(value.data))
      throw new Error(
        `The gate ${value.operation || value.name} is undefined at these numbers: ` +
          "it divides by 0, or is too large.",
      );
    value.localGrads = value.operation ? gate(value).grads(...inputs) : [];
  }
  return values[values.length - 1].data;
}

/** Compute the gradient with respect to every value. A value that is used several times adds up its
    gradients.
    @param {Value[]} values */
export function backward(values) {
  for (const value of values) value.grad = 0;
  values[values.length - 1].grad = 1;
  for (const value of [...values].reverse())
    value.inputs.forEach((input, index) => {
      input.grad += value.grad * value.localGrads[index];
    });
}

/** Measure a gate's derivative with respect to one of its inputs, with a nudge to both sides.
    @param {Value} value
    @param {number} index
    @param {number} nudge */
export function nudged(value, index, nudge = 1e-5) {
  const at = (/** @type {number} */ by) =>
    gate(value).run(...value.inputs.map(({ data }, i) => data + (i === index ? by : 0)));
  return (at(nudge) - at(-nudge)) / (2 * nudge);
}

/** Parse by recursive descent: a sum of terms, a term of factors, a factor with an optional minus or power.
    @param {string} text
    @param {AddValue} add */
function parse(text, add) {
  /** @type {string[]} */
  const tokens = text.match(/\d+\.?\d*(?:e[+-]?\d+)?|\.\d+|[a-z]+|\*\*|[-+*/()]|\S/gi) ?? [];
  const wrong = () => {
    throw new Error(`Expected an expression like (a * b + c) * tanh(d), got ${JSON.stringify(text)}.`);
  };
  /** @param {string[]} expected */
  const next = (...expected) => expected.includes(tokens[0]) && tokens.shift();
  let count = 0;

  /** @returns {Value} */
  function sum() {
    let left = term();
    for (let sign; (sign = next("+", "-"));) left = add(sign === "+" ? "+" : "−", [left, term()]);
    return left;
  }
  /** @returns {Value} */
  function term() {
    let left = signed();
    for (let sign; (sign = next("*", "/"));) left = add(sign === "*" ? "×" : "÷", [left, signed()]);
    return left;
  }
  /** @returns {Value} */
  function signed() {
    if (next("-")) return add("neg", [signed()]);
    const base = atom();
    if (!next("**")) return base;
    const minus = next("-") ? -1 : 1;
    const size = Number(tokens.shift());
    if (!(size <= 10)) throw new Error("A power must be a number up to 10, as in a ** 2.");
    return add(`^${minus * size}`, [base]);
  }
  /** @returns {Value} */
  function atom() {
    const token = tokens.shift();
    if (token === undefined || (count += 1) > 2 * MAX_LENGTH) return wrong();
    if (token === "(") {
      const inner = sum();
      return next(")") ? inner : wrong();
    }
    if (/^[\d.]/.test(token)) return add("", [], token);
    if (FUNCTIONS.includes(token)) {
      if (!next("(")) return wrong();
      const inner = sum();
      return next(")") ? add(token, [inner]) : wrong();
    }
    if (token.length === 1 && NAMES.includes(token)) return add("", [], token);
    if (/^[a-z]/i.test(token))
      throw new Error(
        `There is no ${JSON.stringify(token.slice(0, 20))}: ` +
          `use the inputs a to h, and ${FUNCTIONS.join(", ")}.`,
      );
    return wrong();
  }

  sum();
  if (tokens.length) wrong();
}
