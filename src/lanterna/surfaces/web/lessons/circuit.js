// Lesson 3, hands on: an expression becomes a circuit. Values flow forward and gradients back, one gate at a
// time. Dragging an input updates everything. Amber wires raise the output, blue ones lower it.

import { onDrag, onArrowKeys, button, table } from "lanterna/lessons/parts.js";
import { backward, build, forward, NAMES, nudged } from "lanterna/lessons/scalars.js";
import { svg } from "lanterna/svg.js";
import { element, figure, precise, messageOf, within } from "lanterna/words.js";

/** @import { Changed, Settings } from "lanterna/lessons/parts.js" */
/** @import { Point } from "lanterna/svg.js" */
/** @import { Value } from "lanterna/lessons/scalars.js" */

const [ROW, COLUMN, EDGE] = [74, 118, 46];

/** @param {HTMLElement} host
    @param {Settings} settings
    @param {Changed} changed */
export function mount(host, settings, changed) {
  const field = element("input", {
    type: "text",
    "aria-label": "Expression of the circuit",
    spellcheck: "false",
    autocomplete: "off",
    maxlength: 200,
  });
  const wrong = element("p", { class: "wrong", role: "alert" });
  const caption = element("p", { class: "status", role: "status" });
  const board = element("div", { class: "board", tabindex: 0, role: "group", "aria-label": "The circuit" });
  const locals = element("div", {
    class: "locals scrolled",
    tabindex: 0,
    role: "region",
    "aria-label": "Derivatives of the gates",
  });
  const steps = [
    button("To the start", () => go(0)),
    button("← Step back", () => go(done - 1)),
    button("Step forward →", () => go(done + 1), { class: "primary" }),
    button("To the end", () => go(last())),
  ];
  host.replaceChildren(
    element(
      "div",
      { class: "piece circuit" },
      element("div", { class: "top" }, field, wrong),
      board,
      element("div", { class: "tools" }, ...steps, caption),
      locals,
    ),
  );

  /** @type {Value[]} */
  let values = [];
  /** @type {number[]} */
  let numbers = [];
  let done = Infinity; // steps: the gates forward, then the output's gradient, then the gates back

  const output = () => values[values.length - 1];
  const gates = () => values.filter(({ operation }) => operation);
  const last = () => 2 * gates().length + 1;
  const hasData = (value) => !value.operation || gates().indexOf(value) < done;
  const hasGrad = (value) =>
    done > gates().length &&
    (value === output() || values.some((each) => each.inputs.includes(value) && hasSent(each)));
  // Whether a gate has passed its gradient on.
  const hasSent = (value) => 2 * gates().length - gates().indexOf(value) < done;

  /** @param {number} to */
  function go(to) {
    done = Math.min(last(), Math.max(0, to));
    draw();
  }

  /** Show another expression. If it is invalid, show the error and leave the last circuit.
      @param {string} expression
      @param {boolean} notify */
  function setExpression(expression, notify) {
    let built;
    try {
      built = build(expression);
      forward(built, numbers);
    } catch (error) {
      wrong.textContent = messageOf(error);
      board.dataset.stale = "true";
      return;
    }
    wrong.textContent = "";
    board.dataset.stale = "false";
    values = built;
    const needed = Math.max(-1, ...values.map(({ name }) => (name.length === 1 ? NAMES.indexOf(name) : -1)));
    while (numbers.length <= needed) numbers = [...numbers, 1];
    if (notify) changed({ expression, numbers });
    place(values);
    go(done);
  }

  /** @param {string} name
      @param {number} value */
  function setInput(name, value) {
    const next = [...numbers];
    next[NAMES.indexOf(name)] = Math.min(100, Math.max(-100, Number(value.toFixed(2))));
    try {
      forward(values, next);
      numbers = next;
      wrong.textContent = "";
      changed({ numbers });
    } catch (error) {
      wrong.textContent = messageOf(error);
    }
    draw();
  }

  function draw() {
    forward(values, numbers);
    backward(values);
    const columns = Math.max(...values.map(({ column }) => column)) + 1;
    const rows = Math.max(...values.map(({ row }) => row)) + 1;
    const step = Math.max(COLUMN, Math.min(250, (board.clientWidth - 2 * EDGE) / columns));
    const focused = inputAt(document.activeElement);
    const sheet = svg("svg", {
      width: columns * step + 2 * EDGE,
      height: rows * ROW,
      role: "group",
      "aria-label": description(),
    });
    /** @param {Value} value
        @returns {Point} */
    const centre = ({ column, row }) => [EDGE + column * step, (row + 0.5) * ROW];
    for (const value of values)
      for (const input of value.inputs) sheet.append(wire(input, centre(input), centre(value), step));
    const [x, y] = centre(output());
    sheet.append(wire(output(), [x, y], [x + step, y], step));
    for (const value of values) sheet.append(...node(value, centre(value)));
    board.replaceChildren(sheet);
    if (focused) within(board, `[data-input="${focused}"]`)?.focus();
    caption.textContent = explanation();
    for (const [index, each] of steps.entries()) each.disabled = index < 2 ? done === 0 : done === last();
    locals.replaceChildren(
      table(
        "Each gate's own derivatives",
        ["gate", "with respect to", "derivative", "by a nudge", "gradient arriving", "sent back"],
        gates().flatMap((value) =>
          value.inputs.map((input, index) => [
            value.operation,
            nameOf(input),
            figure(value.localGrads[index]),
            precise(nudged(value, index), 6),
            hasSent(value) ? figure(value.grad) : "…",
            hasSent(value) ? figure(value.grad * value.localGrads[index]) : "…",
          ]),
        ),
      ),
    );
  }

  /** @param {Value} value
      @param {Point} from
      @param {Point} to
      @param {number} step */
  function wire(value, [x, y], [tx, ty], step) {
    const reach = step / 2.4;
    const lit = hasGrad(value)
      ? value.grad < 0
        ? "against"
        : value.grad > 0
          ? "for"
          : "none"
      : hasData(value)
        ? "value"
        : "dark";
    const width = hasGrad(value) ? 1.5 + 5 * Math.min(1, Math.abs(value.grad)) ** 0.6 : 1.5;
    return svg("path", {
      class: "wire",
      "data-lit": lit,
      "stroke-width": width,
      d: `M${x} ${y}C${x + reach} ${y} ${tx - reach} ${ty} ${tx} ${ty}`,
    });
  }

  /** @param {Value} value
      @param {Point} centre */
  function node(value, [x, y]) {
    const long = value.operation.length > 2;
    const shift = value.operation ? (long ? 42 : 23) : 14;
    const data = svg(
      "text",
      { class: "value", x: x + shift, y: y - 10 },
      hasData(value) ? precise(value.data, 6) : "",
    );
    const grad = svg(
      "text",
      { class: "gradient", x: x + shift, y: y + 21, "data-sign": Math.sign(value.grad) },
      hasGrad(value) ? precise(value.grad, 6) : "",
    );
    if (value.operation) {
      const now = current() === value;
      return [
        svg("rect", {
          class: "gate",
          x: x - (long ? 36 : 17),
          y: y - 17,
          width: long ? 72 : 34,
          height: 34,
          rx: 17,
          "data-now": now,
        }),
        svg("text", { class: "sign", x, y: y + 5.5 }, value.operation === "neg" ? "−" : value.operation),
        data,
        grad,
      ];
    }
    const isInput = NAMES.includes(value.name);
    const name = svg("text", { class: "sign", x: x - 8, y: y + 5.5 }, isInput ? value.name : "");
    if (!isInput) return [svg("circle", { class: "constant", cx: x, cy: y, r: 3 }), data, grad];
    const knob = svg(
      "g",
      {
        class: "knob",
        tabindex: 0,
        role: "slider",
        "data-input": value.name,
        "aria-label": `Value of ${value.name}`,
        "aria-valuenow": value.data,
        "aria-valuemin": -100,
        "aria-valuemax": 100,
      },
      svg("rect", { x: x - 24, y: y - 30, width: 92, height: 36, rx: 6 }),
      svg("circle", { cx: x - 8, cy: y, r: 15 }),
      name,
      data,
    );
    onArrowKeys(knob, (dx, dy) => setInput(value.name, value.data + 0.1 * (dx + dy)));
    return [knob, grad];
  }

  // The board follows the drag, because the onDrag element is redrawn as it moves.
  let drag = null;
  onDrag(
    board,
    board,
    (x, y, event) => {
      if (event.type === "pointerdown") drag = { name: inputAt(event.target), x, y };
      if (!drag?.name) return;
      event.preventDefault();
      const by = (x - drag.x - (y - drag.y)) / 25;
      drag.from ??= numbers[NAMES.indexOf(drag.name)] ?? 1;
      if (by) setInput(drag.name, drag.from + by);
    },
    () => {
      drag = null;
    },
  );

  // The gate that the last step ran.
  const current = () => (done <= gates().length ? gates()[done - 1] : gates()[2 * gates().length + 1 - done]);

  function explanation() {
    const value = current();
    if (done === 0) return "The inputs are set. Step forward.";
    if (done === gates().length + 1)
      return "The output’s gradient with respect to itself is 1. Step on, and gradients flow back.";
    if (!value) return "";
    const inputs = value.inputs.map(({ data }) => precise(data, 4));
    if (done <= gates().length)
      return `Forward: ${value.operation} of ${inputs.join(" and ")} is ${precise(value.data, 6)}.`;
    const sent = value.inputs.map(
      (input, index) => `${figure(value.grad * value.localGrads[index])} to ${nameOf(input)}`,
    );
    return `Back: ${value.operation} receives ${figure(value.grad)} and sends ${sent.join(", ")}.`;
  }

  const nameOf = (value) => value.name || `the ${value.operation} before`;
  const description = () =>
    `${field.value}: ${values
      .filter(({ name }) => name)
      .map(
        (each) =>
          `${each.name} is ${figure(each.data)}${hasGrad(each) ? `, gradient ${figure(each.grad)}` : ""}`,
      )
      .join("; ")}; the output is ${hasData(output()) ? figure(output().data) : "not computed yet"}.`;

  field.addEventListener("input", () => setExpression(field.value, true));
  const observer = new ResizeObserver(() => values.length && draw());
  observer.observe(board);
  const piece = {
    set(next) {
      numbers = [...next.numbers];
      if (field.value !== next.expression) field.value = next.expression;
      setExpression(next.expression, false);
    },
    unmount() {
      observer.disconnect();
      host.replaceChildren();
    },
  };
  piece.set(settings);
  return piece;
}

/** Give every value a column and a row. A gate stands right of its inputs and vertically between them, an
    input just left of the first gate that uses it. Rows follow the expression from left to right.
    @param {Value[]} values */
function place(values) {
  let rows = 0;
  for (const value of values) {
    const { inputs } = value;
    value.column = value.operation ? 1 + Math.max(...inputs.map(({ column }) => column)) : 0;
    value.row = value.operation ? inputs.reduce((sum, { row }) => sum + row, 0) / inputs.length : rows++;
  }
  for (const value of values) {
    if (value.operation) continue;
    const users = values.filter(({ inputs }) => inputs.includes(value));
    value.column = Math.max(0, Math.min(...users.map(({ column }) => column)) - 1);
  }
  for (const value of values) if (!Number.isFinite(value.column)) value.column = 0;
  const taken = new Map();
  for (const value of [...values].sort((a, b) => a.row - b.row)) {
    value.row = Math.max(value.row, (taken.get(value.column) ?? -1) + 1);
    taken.set(value.column, value.row);
  }
}

/** Return the name of the input that an element of the drawing belongs to.
    @param {EventTarget | null} target */
function inputAt(target) {
  if (!(target instanceof Element)) return undefined;
  return /** @type {SVGElement | null} */ (target.closest("[data-input]"))?.dataset.input;
}
