// Lesson 3, by hand: an expression becomes a circuit. Values flow forward, slopes back, a gate at a time; a
// value is dragged, and all follows. Amber: a wire that lifts the output. Blue: one that lowers it.

import { dragged, keyed, button, table } from "lanterna/lessons/parts.js";
import { backward, build, forward, NAMES, nudged } from "lanterna/lessons/scalars.js";
import { svg } from "lanterna/svg.js";
import { element, figure, precise, messageOf, within } from "lanterna/words.js";

/** @import { Changed, Settings } from "lanterna/lessons/parts.js" */
/** @import { Point } from "lanterna/svg.js" */
/** @import { Wire } from "lanterna/lessons/scalars.js" */

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
  const caption = element("p", { class: "told", role: "status" });
  const board = element("div", { class: "board", tabindex: 0, role: "group", "aria-label": "The circuit" });
  const locals = element("div", {
    class: "locals scrolled",
    tabindex: 0,
    role: "region",
    "aria-label": "Derivatives of the gates",
  });
  const steps = [
    button("To the start", () => go(0)),
    button("← Step back", () => go(at - 1)),
    button("Step forward →", () => go(at + 1), { class: "primary" }),
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

  /** @type {Wire[]} */
  let wires = [];
  /** @type {number[]} */
  let numbers = [];
  let at = Infinity; // steps done: the gates forward, then the output's slope, then the gates back

  const output = () => wires[wires.length - 1];
  const gates = () => wires.filter(({ madeBy }) => madeBy);
  const last = () => 2 * gates().length + 1;
  const passed = (wire) => !wire.madeBy || gates().indexOf(wire) < at;
  const came = (wire) =>
    at > gates().length &&
    (wire === output() || wires.some((each) => each.inputs.includes(wire) && sent(each)));
  // Whether a gate has handed its slope on.
  const sent = (wire) => 2 * gates().length - gates().indexOf(wire) < at;

  /** @param {number} to */
  function go(to) {
    at = Math.min(last(), Math.max(0, to));
    draw();
  }

  /** Another expression; where it is none it is said, and the circuit that was stays.
      @param {string} expression
      @param {boolean} tell */
  function take(expression, tell) {
    let made;
    try {
      made = build(expression);
      forward(made, numbers);
    } catch (error) {
      wrong.textContent = messageOf(error);
      board.dataset.stale = "true";
      return;
    }
    wrong.textContent = "";
    board.dataset.stale = "false";
    wires = made;
    const most = Math.max(-1, ...wires.map(({ name }) => (name.length === 1 ? NAMES.indexOf(name) : -1)));
    while (numbers.length <= most) numbers = [...numbers, 1];
    if (tell) changed({ expression, numbers });
    place(wires);
    go(at);
  }

  /** @param {string} name
      @param {number} value */
  function turn(name, value) {
    const next = [...numbers];
    next[NAMES.indexOf(name)] = Math.min(100, Math.max(-100, Number(value.toFixed(2))));
    try {
      forward(wires, next);
      numbers = next;
      wrong.textContent = "";
      changed({ numbers });
    } catch (error) {
      wrong.textContent = messageOf(error);
    }
    draw();
  }

  function draw() {
    forward(wires, numbers);
    backward(wires);
    const wide = Math.max(...wires.map(({ column }) => column));
    const high = Math.max(...wires.map(({ row }) => row));
    const step = Math.max(COLUMN, Math.min(250, (board.clientWidth - 2 * EDGE) / (wide + 1)));
    const focused = inputAt(document.activeElement);
    const sheet = svg("svg", {
      width: (wide + 1) * step + 2 * EDGE,
      height: (high + 1) * ROW,
      role: "group",
      "aria-label": spoken(),
    });
    /** @param {Wire} wire
        @returns {Point} */
    const place = ({ column, row }) => [EDGE + column * step, (row + 0.5) * ROW];
    for (const wire of wires)
      for (const each of wire.inputs) sheet.append(link(each, place(each), place(wire), step));
    const [x, y] = place(output());
    sheet.append(link(output(), [x, y], [x + step, y], step));
    for (const wire of wires) sheet.append(...node(wire, place(wire)));
    board.replaceChildren(sheet);
    if (focused) within(board, `[data-input="${focused}"]`)?.focus();
    caption.textContent = said();
    for (const [index, each] of steps.entries()) each.disabled = index < 2 ? at === 0 : at === last();
    locals.replaceChildren(
      table(
        "Each gate's own derivatives",
        ["gate", "by", "derivative", "by a nudge", "slope arrives", "sends back"],
        gates().flatMap((wire) =>
          wire.inputs.map((each, input) => [
            wire.madeBy,
            called(each),
            figure(wire.locals[input]),
            precise(nudged(wire, input), 6),
            sent(wire) ? figure(wire.slope) : "…",
            sent(wire) ? figure(wire.slope * wire.locals[input]) : "…",
          ]),
        ),
      ),
    );
  }

  /** @param {Wire} wire
      @param {Point} from
      @param {Point} to
      @param {number} step */
  function link(wire, [x, y], [tx, ty], step) {
    const bend = step / 2.4;
    const lit = came(wire)
      ? wire.slope < 0
        ? "against"
        : wire.slope > 0
          ? "for"
          : "none"
      : passed(wire)
        ? "value"
        : "dark";
    const width = came(wire) ? 1.5 + 5 * Math.min(1, Math.abs(wire.slope)) ** 0.6 : 1.5;
    return svg("path", {
      class: "wire",
      "data-lit": lit,
      "stroke-width": width,
      d: `M${x} ${y}C${x + bend} ${y} ${tx - bend} ${ty} ${tx} ${ty}`,
    });
  }

  /** @param {Wire} wire
      @param {Point} at */
  function node(wire, [x, y]) {
    const long = wire.madeBy.length > 2;
    const shift = wire.madeBy ? (long ? 42 : 23) : 14;
    const value = svg(
      "text",
      { class: "value", x: x + shift, y: y - 10 },
      passed(wire) ? precise(wire.value, 6) : "",
    );
    const slope = svg(
      "text",
      { class: "slope", x: x + shift, y: y + 21, "data-sign": Math.sign(wire.slope) },
      came(wire) ? precise(wire.slope, 6) : "",
    );
    if (wire.madeBy) {
      const now = acting() === wire;
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
        svg("text", { class: "sign", x, y: y + 5.5 }, wire.madeBy === "neg" ? "−" : wire.madeBy),
        value,
        slope,
      ];
    }
    const isInput = NAMES.includes(wire.name);
    const name = svg("text", { class: "sign", x: x - 8, y: y + 5.5 }, isInput ? wire.name : "");
    if (!isInput) return [svg("circle", { class: "constant", cx: x, cy: y, r: 3 }), value, slope];
    const knob = svg(
      "g",
      {
        class: "knob",
        tabindex: 0,
        role: "slider",
        "data-input": wire.name,
        "aria-label": `Value of ${wire.name}`,
        "aria-valuenow": wire.value,
        "aria-valuemin": -100,
        "aria-valuemax": 100,
      },
      svg("rect", { x: x - 24, y: y - 30, width: 92, height: 36, rx: 6 }),
      svg("circle", { cx: x - 8, cy: y, r: 15 }),
      name,
      value,
    );
    keyed(knob, (dx, dy) => turn(wire.name, wire.value + 0.1 * (dx + dy)));
    return [knob, slope];
  }

  // A drag is followed on the board: what was taken hold of is drawn anew as it moves.
  let held = null;
  dragged(
    board,
    board,
    (x, y, event) => {
      if (event.type === "pointerdown") held = { name: inputAt(event.target), x, y };
      if (!held?.name) return;
      event.preventDefault();
      const by = (x - held.x - (y - held.y)) / 25;
      held.from ??= numbers[NAMES.indexOf(held.name)] ?? 1;
      if (by) turn(held.name, held.from + by);
    },
    () => {
      held = null;
    },
  );

  const acting = () => (at <= gates().length ? gates()[at - 1] : gates()[2 * gates().length + 1 - at]);

  function said() {
    const wire = acting();
    if (at === 0) return "The numbers are on the inputs. Step forward.";
    if (at === gates().length + 1) return "The output's slope by itself is 1. Step on, and slopes flow back.";
    if (!wire) return "";
    const from = wire.inputs.map((each) => precise(each.value, 4));
    if (at <= gates().length)
      return `Forward: ${wire.madeBy} of ${from.join(" and ")} is ${precise(wire.value, 6)}.`;
    const back = wire.inputs.map(
      (each, input) => `${figure(wire.slope * wire.locals[input])} to ${called(each)}`,
    );
    return `Back: ${wire.madeBy} gets ${figure(wire.slope)} and sends ${back.join(", ")}.`;
  }

  const called = (wire) => wire.name || `the ${wire.madeBy} before`;
  const spoken = () =>
    `${field.value}: ${wires
      .filter(({ name }) => name)
      .map(
        (each) => `${each.name} is ${figure(each.value)}${came(each) ? `, slope ${figure(each.slope)}` : ""}`,
      )
      .join("; ")}; the output is ${passed(output()) ? figure(output().value) : "not there yet"}.`;

  field.addEventListener("input", () => take(field.value, true));
  const observer = new ResizeObserver(() => wires.length && draw());
  observer.observe(board);
  const piece = {
    set(next) {
      numbers = [...next.numbers];
      if (field.value !== next.expression) field.value = next.expression;
      take(next.expression, false);
    },
    unmount() {
      observer.disconnect();
      host.replaceChildren();
    },
  };
  piece.set(settings);
  return piece;
}

/** A wire's column comes after those of its inputs; an input stands right before what it goes into. Rows
    follow the expression from left to right, a gate in the middle of its inputs.
    @param {Wire[]} wires */
function place(wires) {
  let rows = 0;
  for (const each of wires) {
    each.column = each.madeBy ? 1 + Math.max(...each.inputs.map(({ column }) => column)) : 0;
    each.row = each.madeBy ? each.inputs.reduce((sum, { row }) => sum + row, 0) / each.inputs.length : rows++;
  }
  for (const each of wires)
    if (!each.madeBy)
      each.column = Math.max(
        0,
        Math.min(...wires.filter(({ inputs }) => inputs.includes(each)).map(({ column }) => column)) - 1,
      );
  for (const each of wires) if (!Number.isFinite(each.column)) each.column = 0;
  const taken = new Map();
  for (const each of [...wires].sort((a, b) => a.row - b.row)) {
    each.row = Math.max(each.row, (taken.get(each.column) ?? -1) + 1);
    taken.set(each.column, each.row);
  }
}

/** The name of the input that an element of the drawing belongs to.
    @param {EventTarget | null} target */
function inputAt(target) {
  if (!(target instanceof Element)) return undefined;
  return /** @type {SVGElement | null} */ (target.closest("[data-input]"))?.dataset.input;
}
