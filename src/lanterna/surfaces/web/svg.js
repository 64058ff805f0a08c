// SVG helpers: elements, and axes that map numbers to positions.

import { contextOf } from "lanterna/canvas.js";
import { figure, superscript } from "lanterna/words.js";

/** @import { Attributes } from "lanterna/words.js" */

/** @typedef {[number, number]} Point

    @typedef {{ log?: boolean, whole?: boolean }} AxisKind

    @typedef {object} AxisOf
    @property {(place: number) => number} back - from a position to a number
    @property {(count: number) => number[]} ticks - round numbers in its range
    @property {number} low
    @property {number} high
    @property {boolean} log

    @typedef {((value: number | null) => number) & AxisOf} Axis - from a number to a position */

/** An SVG element with attributes and children.
    @template {keyof SVGElementTagNameMap} K
    @param {K} name
    @param {Attributes} attributes
    @param {...(Node | string)} children
    @returns {SVGElementTagNameMap[K]} */
export function svg(name, attributes = {}, ...children) {
  const created = set(document.createElementNS("http://www.w3.org/2000/svg", name), attributes);
  created.append(...children);
  return created;
}

/** Set an element's attributes; null removes one.
    @template {Element} E
    @param {E} created
    @param {Attributes} attributes
    @returns {E} */
export function set(created, attributes) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value == null) created.removeAttribute(key);
    else created.setAttribute(key, String(value));
  }
  return created;
}

/** Points as the `d` of a path; a point that is not a number breaks the line.
    @param {number[][]} points */
export function path(points) {
  let pen = "M";
  let d = "";
  for (const [x, y] of points) {
    if (Number.isFinite(x) && Number.isFinite(y)) {
      d += `${pen}${x.toFixed(1)} ${y.toFixed(1)}`;
      pen = "L";
    } else pen = "M";
  }
  return d;
}

/** An arrow from a point along `(dx, dy)`, in pixels, as the `d` of a path.
    @param {number} x
    @param {number} y
    @param {number} dx
    @param {number} dy
    @param {number} head */
export function arrow(x, y, dx, dy, head = 5) {
  const length = Math.hypot(dx, dy) || 1;
  const [ux, uy] = [dx / length, dy / length];
  const h = Math.min(head, 0.6 * length);
  const [tx, ty] = [x + dx, y + dy];
  return (
    path([
      [x, y],
      [tx, ty],
    ]) +
    path([
      [tx - h * (ux + 0.6 * uy), ty - h * (uy - 0.6 * ux)],
      [tx, ty],
      [tx - h * (ux - 0.6 * uy), ty - h * (uy + 0.6 * ux)],
    ])
  );
}

/** An axis: a function from numbers between `low` and `high` to positions between `start` and `end`. Its
    `back` maps a position to a number, and `ticks(count)` are round numbers in its range.
    @param {number} low
    @param {number} high
    @param {number} start
    @param {number} end
    @param {AxisKind} kind
    @returns {Axis} */
export function axis(low, high, start, end, { log = false, whole: integers = false } = {}) {
  const [a, b] = log ? [Math.log10(low), Math.log10(high)] : [low, high];
  const span = b - a || 1;
  const place = (value) =>
    value == null ? NaN : start + (((log ? Math.log10(value) : value) - a) / span) * (end - start);
  place.back = (at) => {
    const value = a + ((at - start) / (end - start)) * span;
    return log ? 10 ** value : value;
  };
  place.ticks = (count) => (log ? decades(a, b, Math.max(4, count)) : rounds(a, b, count, integers));
  place.low = low;
  place.high = high;
  place.log = log;
  return place;
}

/** @param {number} low
    @param {number} high
    @param {number} count
    @param {boolean} integers */
function rounds(low, high, count, integers) {
  const rough = (high - low) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough || 1));
  let step = [1, 2, 5].map((each) => each * power).find((each) => each >= rough * 0.75) ?? 10 * power;
  if (integers) step = Math.max(1, Math.round(step));
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, place) =>
    Number(((first + place) * step).toPrecision(12)),
  );
}

/** @param {number} low
    @param {number} high
    @param {number} count
    @returns {number[]} */
function decades(low, high, count) {
  if (high - low < 1)
    return rounds(10 ** low, 10 ** high, Math.min(4, count), false).filter((each) => each > 0);
  const step = Math.max(1, Math.ceil((high - low) / Math.max(1, count)));
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, place) => 10 ** ((first + place) * step));
}

/** A tick's label: 0.01, 1,000, 10⁻⁸.
    @param {number} value
    @param {boolean} log */
export function label(value, log = false) {
  const power = Math.round(Math.log10(Math.abs(value)));
  if (log && Math.abs(power) > 3 && Math.abs(value / 10 ** power - 1) < 1e-6)
    return `10${superscript(power)}`;
  return Math.abs(value) >= 1000 && Math.abs(value) < 1e6
    ? value.toLocaleString("en").replace("-", "−")
    : figure(value);
}

/** A grid of two axes: lines and labels.
    @param {Axis} x
    @param {Axis} y
    @param {{ across?: string, up?: string, dense?: number }} options */
export function grid(x, y, { across = "", up = "", dense = 1 } = {}) {
  const [left, right] = [x(x.low), x(x.high)];
  const [bottom, top] = [y(y.low), y(y.high)];
  const all = svg("g", { class: "grid" });
  for (const value of y.ticks(Math.max(2, Math.round((bottom - top) / 52) * dense))) {
    all.append(
      svg("line", { x1: left, x2: right, y1: y(value), y2: y(value) }),
      svg("text", { x: left - 8, y: y(value) + 4, "text-anchor": "end" }, label(value, y.log)),
    );
  }
  for (const value of x.ticks(Math.max(2, Math.round((right - left) / 80) * dense))) {
    all.append(
      svg("line", { x1: x(value), x2: x(value), y1: bottom, y2: top }),
      svg("text", { x: x(value), y: bottom + 18, "text-anchor": "middle" }, label(value, x.log)),
    );
  }
  all.append(
    svg("text", { class: "name", x: right, y: bottom + 35, "text-anchor": "end" }, across),
    svg("text", { class: "name", x: left, y: top - 9 }, up),
  );
  return all;
}

/** Heights `rows[row][column]`, the first row at the bottom, as light in the page's colour: an image URL.
    `levels` is the number of bands, or 0 for a smooth gradient.
    @param {number[][]} rows
    @param {Element} host
    @param {{ most?: number, levels?: number }} options */
export function light(rows, host, { most = 0.85, levels = 0 } = {}) {
  const flat = rows.flat().filter(Number.isFinite);
  const [smallest, largest] = flat.reduce(
    ([a, b], value) => [Math.min(a, value), Math.max(b, value)],
    [Infinity, -Infinity],
  );
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [rows[0].length, rows.length];
  const context = contextOf(canvas);
  const image = context.createImageData(canvas.width, canvas.height);
  const colour = rgb(host, "--light");
  rows.forEach((row, place) =>
    row.forEach((value, column) => {
      const at = 4 * ((rows.length - 1 - place) * canvas.width + column);
      const fraction = Math.min(1, Math.max(0, (value - smallest) / (largest - smallest || 1)));
      const share = levels ? Math.floor(fraction * levels) / levels : fraction;
      image.data.set([...colour, 255 * most * share], at);
    }),
  );
  context.putImageData(image, 0, 0);
  return canvas.toDataURL();
}

/** A colour of the theme as three numbers.
    @param {Element} host
    @param {string} name */
export function rgb(host, name) {
  const hex = getComputedStyle(host).getPropertyValue(name).trim();
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
}

/** Where a pointer is in an element, in the element's own pixels: a presented lesson is zoomed.
    @param {MouseEvent} event
    @param {Element} within
    @returns {[number, number]} */
export function placeIn(event, within) {
  const box = within.getBoundingClientRect();
  const zoom = within.currentCSSZoom ?? 1;
  return [(event.clientX - box.left) / zoom, (event.clientY - box.top) / zoom];
}
