// A circuit from an expression, and a scalar autograd over it: each gate keeps its inputs and its derivative
// by each of them; backward, it multiplies the slope that comes to it by these and hands it on. The same in
// Python, to be read beside this, is lanterna/lessons/scalars.py.

/** @typedef {object} Wire
    @property {string} name - of an input, or the number that it is
    @property {string} madeBy - the gate that it comes out of; empty for an input
    @property {Wire[]} inputs - of that gate
    @property {number} value
    @property {number} slope - of the output by this
    @property {number[]} locals - the gate's derivative by each of its inputs
    @property {number} column - where it stands in a drawing
    @property {number} row

    @typedef {{ run: (...inputs: number[]) => number, slopes: (...inputs: number[]) => number[] }} Gate

    @typedef {(madeBy: string, inputs?: Wire[], name?: string) => Wire} MakeWire */

export const NAMES = "abcdefgh";
const LONGEST = 200; // characters of an expression

const sigmoid = (/** @type {number} */ x) => 1 / (1 + Math.exp(-x));

/** What a gate gives, and its derivative by each input.
    @type {Record<string, Gate>} */
const GATES = {
  "+": { run: (a, b) => a + b, slopes: () => [1, 1] },
  "−": { run: (a, b) => a - b, slopes: () => [1, -1] },
  "×": { run: (a, b) => a * b, slopes: (a, b) => [b, a] },
  "÷": { run: (a, b) => a / b, slopes: (a, b) => [1 / b, -a / (b * b)] },
  neg: { run: (a) => -a, slopes: () => [-1] },
  exp: { run: Math.exp, slopes: (a) => [Math.exp(a)] },
  log: { run: Math.log, slopes: (a) => [1 / a] },
  tanh: { run: Math.tanh, slopes: (a) => [1 - Math.tanh(a) ** 2] },
  sigmoid: { run: sigmoid, slopes: (a) => [sigmoid(a) * (1 - sigmoid(a))] },
  relu: { run: (a) => Math.max(0, a), slopes: (a) => [a > 0 ? 1 : 0] }, // at 0 it is 0, as torch has it
};
export const SQUASHES = ["exp", "log", "tanh", "sigmoid", "relu"];

/** @type {(n: number) => Gate} */
const power = (n) => ({ run: (a) => a ** n, slopes: (a) => [n === 0 ? 0 : n * a ** (n - 1)] });
/** @param {Wire} wire */
const gate = (wire) => GATES[wire.madeBy] ?? power(Number(wire.madeBy.slice(1)));

/** The circuit of an expression: its wires, inputs before what they go into, the last is the output.

    A wire is `{ name, madeBy, inputs, value, slope, locals }`. Errors: `Error`, in one line.
    @param {string} expression
    @returns {Wire[]} */
export function build(expression) {
  if (expression.length > LONGEST)
    throw new Error(`An expression has up to ${LONGEST} characters; this has ${expression.length}.`);
  /** @type {Wire[]} */
  const wires = [];
  /** @type {MakeWire} */
  const wire = (madeBy, inputs = [], name = "") => {
    const known = name && !madeBy && wires.find((each) => each.name === name && NAMES.includes(name));
    if (known) return known;
    const made = { name, madeBy, inputs, value: NaN, slope: 0, locals: [], column: 0, row: 0 };
    wires.push(made);
    return made;
  };
  parse(expression, wire);
  return wires;
}

/** Values flow forward, from these numbers on the inputs. Errors: `Error` where a gate has no answer.
    @param {Wire[]} wires
    @param {number[]} numbers */
export function forward(wires, numbers) {
  for (const each of wires) {
    if (each.madeBy) each.value = gate(each).run(...each.inputs.map(({ value }) => value));
    else
      each.value = NAMES.includes(each.name) ? (numbers[NAMES.indexOf(each.name)] ?? 1) : Number(each.name);
    if (!Number.isFinite(each.value))
      throw new Error(
        `The gate ${each.madeBy || each.name} has no answer at these numbers: ` +
          "it divides by 0, or is too large.",
      );
    each.locals = each.madeBy ? gate(each).slopes(...each.inputs.map(({ value }) => value)) : [];
  }
  return wires[wires.length - 1].value;
}

/** Slopes flow back: of the output by every wire. Those that come along several wires add up.
    @param {Wire[]} wires */
export function backward(wires) {
  for (const each of wires) each.slope = 0;
  wires[wires.length - 1].slope = 1;
  for (const each of [...wires].reverse())
    each.inputs.forEach((input, place) => {
      input.slope += each.slope * each.locals[place];
    });
}

/** A gate's derivative by one of its inputs as a nudge measures it.
    @param {Wire} wire
    @param {number} place
    @param {number} nudge */
export function nudged(wire, place, nudge = 1e-5) {
  const at = (/** @type {number} */ by) =>
    gate(wire).run(...wire.inputs.map(({ value }, each) => value + (each === place ? by : 0)));
  return (at(nudge) - at(-nudge)) / (2 * nudge);
}

/** A sum of terms, a term of factors, a factor perhaps with a minus or a power: by recursive descent.
    @param {string} text
    @param {MakeWire} wire */
function parse(text, wire) {
  /** @type {string[]} */
  const tokens = text.match(/\d+\.?\d*(?:e[+-]?\d+)?|\.\d+|[a-z]+|\*\*|[-+*/()]|\S/gi) ?? [];
  const wrong = () => {
    throw new Error(`Expected such as (a * b + c) * tanh(d), got ${JSON.stringify(text)}.`);
  };
  /** @param {string[]} wanted */
  const next = (...wanted) => wanted.includes(tokens[0]) && tokens.shift();
  let deep = 0;

  /** @returns {Wire} */
  function sum() {
    let left = term();
    for (let sign; (sign = next("+", "-"));) left = wire(sign === "+" ? "+" : "−", [left, term()]);
    return left;
  }
  /** @returns {Wire} */
  function term() {
    let left = signed();
    for (let sign; (sign = next("*", "/"));) left = wire(sign === "*" ? "×" : "÷", [left, signed()]);
    return left;
  }
  /** @returns {Wire} */
  function signed() {
    if (next("-")) return wire("neg", [signed()]);
    const base = atom();
    if (!next("**")) return base;
    const minus = next("-") ? -1 : 1;
    const size = Number(tokens.shift());
    if (!(size <= 10)) throw new Error("A power is a number up to 10, as in a ** 2.");
    return wire(`^${minus * size}`, [base]);
  }
  /** @returns {Wire} */
  function atom() {
    const token = tokens.shift();
    if (token === undefined || (deep += 1) > 2 * LONGEST) return wrong();
    if (token === "(") {
      const inner = sum();
      return next(")") ? inner : wrong();
    }
    if (/^[\d.]/.test(token)) return wire("", [], token);
    if (SQUASHES.includes(token)) {
      if (!next("(")) return wrong();
      const inner = sum();
      return next(")") ? wire(token, [inner]) : wrong();
    }
    if (token.length === 1 && NAMES.includes(token)) return wire("", [], token);
    if (/^[a-z]/i.test(token))
      throw new Error(
        `There is no ${JSON.stringify(token.slice(0, 20))}: ` +
          `there are the inputs a to h, and ${SQUASHES.join(", ")}.`,
      );
    return wrong();
  }

  sum();
  if (tokens.length) wrong();
}
