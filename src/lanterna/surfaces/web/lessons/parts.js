// Shared by the hands-on pieces: controls, a plane to draw on, dragging, arrow keys and random numbers.

import { placeIn, set, svg } from "lanterna/svg.js";
import { element, figure } from "lanterna/words.js";

/** @import { Axis } from "lanterna/svg.js" */
/** @import { Attributes } from "lanterna/words.js" */

/** @typedef {object} Range - of a slider
    @property {number} min
    @property {number} max
    @property {number | "any"} [step]
    @property {number} value
    @property {boolean} [log] - on a logarithmic scale
    @property {boolean} [integer]
    @property {(value: number) => string} [format]

    @typedef {SVGSVGElement & { axes: { x: Axis, y: Axis } }} Sheet - with `axes` once it is drawn

    @typedef {Record<string, any>} Settings - of an experiment, by name

    @typedef {(changes: Settings) => void} Changed - called with the settings that a piece has changed

    @typedef {() => number} Random */

/** A slider with its name and its value. `setValue(value)` sets it.
    @param {string} name
    @param {Range} range
    @param {(value: number) => void} onInput */
export function slider(
  name,
  { min, max, step = "any", value, log = false, integer = false, format = figure },
  onInput,
) {
  const to = (/** @type {number} */ value) => (log ? Math.log10(value) : value);
  const from = (/** @type {number} */ at) => (log ? 10 ** at : at);
  const input = element("input", {
    type: "range",
    min: to(min),
    max: to(max),
    step: log ? "any" : integer ? 1 : step,
  });
  const output = element("span", { class: "now", "aria-hidden": "true" });
  const host = element("label", { class: "dial" }, element("span", {}, name), input, output);
  const show = (/** @type {number} */ current) => {
    output.textContent = format(current);
    input.setAttribute("aria-valuetext", output.textContent);
  };
  const read = () => {
    const found = from(Number(input.value));
    return Math.min(max, Math.max(min, integer ? Math.round(found) : Number(found.toPrecision(log ? 2 : 6))));
  };
  input.addEventListener("input", () => {
    show(read());
    onInput(read());
  });
  /** @param {number} next */
  function setValue(next) {
    input.value = String(to(next));
    show(next);
  }
  setValue(value);
  return Object.assign(host, { setValue });
}

/** A button.
    @param {string} words
    @param {(event: MouseEvent) => void} onClick
    @param {Attributes} attributes */
export function button(words, onClick, attributes = {}) {
  const host = element("button", { type: "button", ...attributes }, words);
  host.addEventListener("click", onClick);
  return host;
}

/** A button that runs a frame after another, and pauses them meanwhile. `pause()` stops as the button does.
    @param {string} words
    @param {HTMLElement} host - stops when it leaves the page
    @param {() => (now: number) => boolean | void} begin - returns the frame, which returns false to stop
    @param {() => void} paused */
export function player(words, host, begin, paused = () => {}) {
  let running = 0;
  const made = button(words, () => (running ? pause() : play()), { class: "primary" });
  function play() {
    const frame = begin();
    made.textContent = "Pause";
    const tick = (/** @type {number} */ now) => {
      if (!host.isConnected || frame(now) === false) pause();
      else running = requestAnimationFrame(tick);
    };
    running = requestAnimationFrame(tick);
  }
  function pause() {
    cancelAnimationFrame(running);
    running = 0;
    made.textContent = words;
    paused();
  }
  return Object.assign(made, { pause });
}

let groups = 0;

/** Radio buttons. `setValue(value)` chooses one.
    @template {string | number} V
    @param {string} name
    @param {V[]} values
    @param {V} value
    @param {(value: V) => void} onChange */
export function choice(name, values, value, onChange) {
  const group = `choice-${(groups += 1)}`;
  const inputs = values.map((each) => element("input", { type: "radio", name: group, value: each }));
  const host = element(
    "div",
    { class: "choose", role: "radiogroup", "aria-label": name },
    ...values.map((each, place) => element("label", {}, inputs[place], element("span", {}, String(each)))),
  );
  host.addEventListener("change", ({ target }) =>
    onChange(values[inputs.indexOf(/** @type {HTMLInputElement} */ (target))]),
  );
  /** @param {V} next */
  function setValue(next) {
    for (const [place, input] of inputs.entries()) input.checked = values[place] === next;
  }
  setValue(value);
  return Object.assign(host, { setValue });
}

/** A drawing that fills its place on the page. `draw(svg, width, height)` runs redraw after every change
    of size or theme; `redraw()` runs it now, `stop()` ends that.
    @param {string} name
    @param {(sheet: Sheet, width: number, height: number) => void} draw
    @param {{ role?: string, className?: string }} options */
export function plane(name, draw, { role = "img", className = "" } = {}) {
  const sheet = /** @type {Sheet} */ (svg("svg", { role, "aria-label": name }));
  const host = element("div", { class: `sheet ${className}` }, sheet);
  function redraw() {
    const [width, height] = [host.clientWidth, host.clientHeight];
    if (!width) return;
    set(sheet, { width, height });
    draw(sheet, width, height);
  }
  const observer = new ResizeObserver(redraw);
  observer.observe(host);
  const theme = matchMedia("(prefers-color-scheme: light)");
  theme.addEventListener("change", redraw);
  addEventListener("theme", redraw);
  function stop() {
    observer.disconnect();
    theme.removeEventListener("change", redraw);
    removeEventListener("theme", redraw);
  }
  return Object.assign(host, { sheet, redraw, stop });
}

/** Call `onMove(x, y, event)` while a pointer is down on `target`, in pixels relative to `within`.
    @param {HTMLElement | SVGElement} target
    @param {Element} within
    @param {(x: number, y: number, event: PointerEvent) => void} onMove
    @param {() => void} onEnd */
export function onDrag(target, within, onMove, onEnd = () => {}) {
  const grip = /** @type {HTMLElement} */ (target);
  const report = (/** @type {PointerEvent} */ event) => {
    onMove(...placeIn(event, within), event);
  };
  grip.addEventListener("pointerdown", (event) => {
    if (event.button > 0) return;
    grip.setPointerCapture(event.pointerId);
    grip.focus?.({ preventScroll: true });
    report(event);
  });
  grip.addEventListener("pointermove", (event) => {
    if (grip.hasPointerCapture(event.pointerId)) report(event);
  });
  for (const end of ["pointerup", "pointercancel"]) grip.addEventListener(end, onEnd);
}

/** Call `onMove(dx, dy)` for arrow keys on `target`: steps of one, of ten with Shift.
    @param {HTMLElement | SVGElement} target
    @param {(dx: number, dy: number) => void} onMove */
export function onArrowKeys(target, onMove) {
  /** @type {HTMLElement} */ (target).addEventListener("keydown", (event) => {
    const direction = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[
      event.key
    ];
    if (!direction) return;
    event.preventDefault();
    event.stopPropagation();
    const by = event.shiftKey ? 10 : 1;
    onMove(direction[0] * by, direction[1] * by);
  });
}

/** A table with a header row.
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

/** Return a seeded generator of pseudorandom numbers in [0, 1) (mulberry32).
    @param {number} seed
    @returns {Random} */
export function makeRandom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Draw a number from the standard normal distribution (Box and Muller 1958).
    @param {Random} random */
export const normal = (random) => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
