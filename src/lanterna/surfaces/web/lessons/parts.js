// What the pieces of the lessons share: controls, a plane to draw on, and something to drag.

import { set, svg } from "lanterna/svg.js";
import { element, figure } from "lanterna/words.js";

/** @import { Axis } from "lanterna/svg.js" */
/** @import { Attributes } from "lanterna/words.js" */

/** @typedef {object} Range - of a slider
    @property {number} least
    @property {number} most
    @property {number | "any"} [step]
    @property {number} value
    @property {boolean} [log] - it moves by powers of ten
    @property {boolean} [whole]
    @property {(value: number) => string} [told]

    @typedef {SVGSVGElement & { axes: { x: Axis, y: Axis } }} Sheet - `axes` once they were drawn

    @typedef {Record<string, any>} Settings - of an experiment, by name

    @typedef {(changes: Settings) => void} Changed - is called with the settings that were changed by hand

    @typedef {() => number} Chance */

/** A slider with its name and its number. `log`: it moves by powers of ten. `put(value)` sets it.
    @param {string} name
    @param {Range} range
    @param {(value: number) => void} moved */
export function slider(
  name,
  { least, most, step = "any", value, log = false, whole = false, told = figure },
  moved,
) {
  const to = (/** @type {number} */ value) => (log ? Math.log10(value) : value);
  const from = (/** @type {number} */ at) => (log ? 10 ** at : at);
  const input = element("input", {
    type: "range",
    min: to(least),
    max: to(most),
    step: log ? "any" : whole ? 1 : step,
  });
  const output = element("span", { class: "now", "aria-hidden": "true" });
  const made = element("label", { class: "dial" }, element("span", {}, name), input, output);
  const said = () => {
    output.textContent = told(read());
    input.setAttribute("aria-valuetext", output.textContent);
  };
  const read = () => {
    const found = from(Number(input.value));
    return Math.min(
      most,
      Math.max(least, whole ? Math.round(found) : Number(found.toPrecision(log ? 2 : 6))),
    );
  };
  input.addEventListener("input", () => {
    said();
    moved(read());
  });
  /** @param {number} next */
  function put(next) {
    input.value = String(to(next));
    output.textContent = told(next);
    input.setAttribute("aria-valuetext", output.textContent);
  }
  put(value);
  return Object.assign(made, { put });
}

/** A button.
    @param {string} words
    @param {(event: MouseEvent) => void} pressed
    @param {Attributes} attributes */
export function button(words, pressed, attributes = {}) {
  const made = element("button", { type: "button", ...attributes }, words);
  made.addEventListener("click", pressed);
  return made;
}

let groups = 0;

/** One of several, as radio buttons. `put(value)` chooses one.
    @template {string | number} V
    @param {string} name
    @param {V[]} values
    @param {V} value
    @param {(value: V) => void} chosen */
export function choice(name, values, value, chosen) {
  const group = `choice-${(groups += 1)}`;
  const inputs = values.map((each) => element("input", { type: "radio", name: group, value: each }));
  const made = element(
    "div",
    { class: "choose", role: "radiogroup", "aria-label": name },
    ...values.map((each, place) => element("label", {}, inputs[place], element("span", {}, String(each)))),
  );
  made.addEventListener("change", ({ target }) =>
    chosen(values[inputs.indexOf(/** @type {HTMLInputElement} */ (target))]),
  );
  /** @param {V} next */
  function put(next) {
    for (const [place, input] of inputs.entries()) input.checked = values[place] === next;
  }
  put(value);
  return Object.assign(made, { put });
}

/** A place to draw on in pixels. `draw(svg, width, height)` is called anew for each size and theme; `again()`
    calls it.
    @param {string} name
    @param {(sheet: Sheet, width: number, height: number) => void} draw
    @param {{ role?: string, className?: string }} options */
export function plane(name, draw, { role = "img", className = "" } = {}) {
  const sheet = /** @type {Sheet} */ (svg("svg", { role, "aria-label": name }));
  const made = element("div", { class: `sheet ${className}` }, sheet);
  function again() {
    const [width, height] = [made.clientWidth, made.clientHeight];
    if (!width) return;
    set(sheet, { width, height });
    draw(sheet, width, height);
  }
  const observer = new ResizeObserver(again);
  observer.observe(made);
  const theme = matchMedia("(prefers-color-scheme: light)");
  theme.addEventListener("change", again);
  function end() {
    observer.disconnect();
    theme.removeEventListener("change", again);
  }
  return Object.assign(made, { sheet, again, end });
}

/** Tell where a pointer that is down on `target` is, in pixels of `within`: `moved(x, y, event)`.
    @param {HTMLElement | SVGElement} target
    @param {Element} within
    @param {(x: number, y: number, event: PointerEvent) => void} moved
    @param {() => void} ended */
export function dragged(target, within, moved, ended = () => {}) {
  const grip = /** @type {HTMLElement} */ (target);
  const tell = (/** @type {PointerEvent} */ event) => {
    const box = within.getBoundingClientRect();
    moved(event.clientX - box.left, event.clientY - box.top, event);
  };
  grip.addEventListener("pointerdown", (event) => {
    if (event.button > 0) return;
    grip.setPointerCapture(event.pointerId);
    grip.focus?.({ preventScroll: true });
    tell(event);
  });
  grip.addEventListener("pointermove", (event) => {
    if (grip.hasPointerCapture(event.pointerId)) tell(event);
  });
  for (const end of ["pointerup", "pointercancel"]) grip.addEventListener(end, ended);
}

/** Arrow keys on `target`: `moved(dx, dy)` by one each, by ten with Shift.
    @param {HTMLElement | SVGElement} target
    @param {(dx: number, dy: number) => void} moved */
export function keyed(target, moved) {
  /** @type {HTMLElement} */ (target).addEventListener("keydown", (event) => {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!way) return;
    event.preventDefault();
    event.stopPropagation();
    const by = event.shiftKey ? 10 : 1;
    moved(way[0] * by, way[1] * by);
  });
}

/** A table with a head.
    @param {string} caption
    @param {(string | Node)[]} head
    @param {(string | Node)[][]} rows */
export function table(caption, head, rows) {
  const cells = (kind, row) => row.map((each) => element(kind, kind === "th" ? { scope: "col" } : {}, each));
  return element(
    "table",
    {},
    element("caption", { class: "unseen" }, caption),
    element("thead", {}, element("tr", {}, ...cells("th", head))),
    element("tbody", {}, ...rows.map((row) => element("tr", {}, ...cells("td", row)))),
  );
}

/** Numbers that seem random and are the same for the same seed (mulberry32): between 0 and 1.
    @param {number} seed
    @returns {Chance} */
export function chance(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A number from the normal distribution (Box and Muller 1958).
    @param {Chance} random */
export const normal = (random) => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
