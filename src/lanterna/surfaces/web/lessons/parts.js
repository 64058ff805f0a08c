// What the pieces of the lessons share: controls, a plane to draw on, and something to drag.

import { set, svg } from "lanterna/svg.js";
import { element, figure } from "lanterna/words.js";

/** A slider with its name and its number. `log`: it moves by powers of ten. `put(value)` sets it. */
export function slider(
  name,
  { least, most, step = "any", value, log = false, whole = false, told = figure },
  moved,
) {
  const [to, from] = log ? [Math.log10, (at) => 10 ** at] : [(each) => each, (each) => each];
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
  made.put = (next) => {
    input.value = to(next);
    output.textContent = told(next);
    input.setAttribute("aria-valuetext", output.textContent);
  };
  made.put(value);
  return made;
}

/** A button. */
export function button(words, pressed, attributes = {}) {
  const made = element("button", { type: "button", ...attributes }, words);
  made.addEventListener("click", pressed);
  return made;
}

let groups = 0;

/** One of several, as radio buttons. `put(value)` chooses one. */
export function choice(name, values, value, chosen) {
  const group = `choice-${(groups += 1)}`;
  const inputs = values.map((each) => element("input", { type: "radio", name: group, value: each }));
  const made = element(
    "div",
    { class: "choose", role: "radiogroup", "aria-label": name },
    ...values.map((each, place) => element("label", {}, inputs[place], element("span", {}, String(each)))),
  );
  made.addEventListener("change", ({ target }) => chosen(values[inputs.indexOf(target)]));
  made.put = (next) => {
    for (const [place, input] of inputs.entries()) input.checked = values[place] === next;
  };
  made.put(value);
  return made;
}

/** A place to draw on in pixels. `draw(svg, width, height)` is called anew for each size and theme; `again()`
    calls it. */
export function plane(name, draw, { role = "img", className = "" } = {}) {
  const sheet = svg("svg", { role, "aria-label": name });
  const made = element("div", { class: `sheet ${className}` }, sheet);
  made.sheet = sheet;
  made.again = () => {
    const [width, height] = [made.clientWidth, made.clientHeight];
    if (!width) return;
    set(sheet, { width, height });
    draw(sheet, width, height);
  };
  const observer = new ResizeObserver(made.again);
  observer.observe(made);
  const theme = matchMedia("(prefers-color-scheme: light)");
  theme.addEventListener("change", made.again);
  made.end = () => {
    observer.disconnect();
    theme.removeEventListener("change", made.again);
  };
  return made;
}

/** Tell where a pointer that is down on `target` is, in pixels of `within`: `moved(x, y, event)`. */
export function dragged(target, within, moved, ended = () => {}) {
  const tell = (event) => {
    const box = within.getBoundingClientRect();
    moved(event.clientX - box.left, event.clientY - box.top, event);
  };
  target.addEventListener("pointerdown", (event) => {
    if (event.button > 0) return;
    target.setPointerCapture(event.pointerId);
    target.focus?.({ preventScroll: true });
    tell(event);
  });
  target.addEventListener("pointermove", (event) => {
    if (target.hasPointerCapture(event.pointerId)) tell(event);
  });
  for (const end of ["pointerup", "pointercancel"]) target.addEventListener(end, ended);
}

/** Arrow keys on `target`: `moved(dx, dy)` by one each, by ten with Shift. */
export function keyed(target, moved) {
  target.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!way) return;
    event.preventDefault();
    event.stopPropagation();
    const by = event.shiftKey ? 10 : 1;
    moved(way[0] * by, way[1] * by);
  });
}

/** A table with a head. */
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

/** Numbers that seem random and are the same for the same seed (mulberry32): between 0 and 1. */
export function chance(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A number from the normal distribution (Box and Muller 1958). */
export const normal = (random) => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
