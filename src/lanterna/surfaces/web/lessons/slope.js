// Lesson 2, hands on: nudge a point on a curve, measure, divide, in 32 bits, the precision of most networks.
// Below it, a hill of two parameters, with the gradient as an arrow at the pointer.

import { makeChart } from "lanterna/chart.js";
import { choice, onDrag, onArrowKeys, plane, slider } from "lanterna/lessons/parts.js";
import { arrow, axis, grid, light, path, placeIn, set, svg } from "lanterna/svg.js";
import { element, figure, fixed, precise } from "lanterna/words.js";

/** @import { Changed, Settings, Sheet } from "lanterna/lessons/parts.js" */

const { fround } = Math;
const FUNCTIONS = {
  sine: [Math.sin, Math.cos, [-1.6, 1.6]],
  exponential: [Math.exp, Math.exp, [-2, 22]],
  sigmoid: [
    (x) => 1 / (1 + Math.exp(-x)),
    (x) => Math.exp(-Math.abs(x)) / (1 + Math.exp(-Math.abs(x))) ** 2,
    [-0.2, 1.2],
  ],
  cube: [(x) => x * x * x, (x) => 3 * x * x, [-40, 40]],
};
const NUDGES = Array.from({ length: 55 }, (_, at) => 10 ** (at / 6 - 9)); // 1e-9 to 1
const [ACROSS, UP] = [3.2, 2];
const hill = (x, y) => Math.sin(1.3 * x) * Math.cos(0.9 * y) + 0.15 * x;
const gradient = (x, y) => [
  1.3 * Math.cos(1.3 * x) * Math.cos(0.9 * y) + 0.15,
  -0.9 * Math.sin(1.3 * x) * Math.sin(0.9 * y),
];

/** Measure the derivative with a nudge, in 32 bits. Return NaN if the nudge is lost in rounding. */
export function measured(name, x, h, both = false) {
  const f = (at) => fround(FUNCTIONS[name][0](at));
  const [low, high] = [fround(both ? fround(x) - fround(h) : x), fround(fround(x) + fround(h))];
  return high === low ? NaN : fround(fround(f(high) - f(low)) / fround(high - low));
}

/** @param {HTMLElement} host
    @param {Settings} settings
    @param {Changed} changed */
export function mount(host, settings, changed) {
  let { function: name, x: at } = settings;
  let h = 0.5;
  let both = false;
  let place = [-1.4, 0.6];

  const names = choice("The function", Object.keys(FUNCTIONS), name, (value) => {
    name = value;
    changed({ function: value });
    update();
  });
  const nudge = slider("Nudge h", { min: 1e-9, max: 1, log: true, value: h }, (value) => {
    h = value;
    update();
  });
  const xSlider = slider("x", { min: -5, max: 5, step: 0.05, value: at }, (value) => {
    at = value;
    changed({ x: value });
    update();
  });
  const sides = choice("Nudge to", ["one side", "both sides"], "one side", (value) => {
    both = value === "both sides";
    update();
  });
  const curve = plane("The curve", drawCurve);
  const results = element("dl", { "aria-live": "polite" });
  const side = element("div", {});
  const chart = makeChart(side);
  const top = plane("A hill from above", above, { role: "application", className: "top-view" });
  set(top.sheet, { tabindex: 0 });
  const status = element("p", { class: "status", role: "status" });
  host.replaceChildren(
    element(
      "div",
      { class: "piece slope" },
      element("div", { class: "dials" }, names, sides, xSlider, nudge),
      element("div", { class: "panes" }, element("div", {}, curve, results), side),
      element(
        "div",
        { class: "panes" },
        top,
        element(
          "div",
          {},
          element("h3", {}, "With two inputs: the gradient"),
          element(
            "p",
            { class: "hint" },
            "It points in the direction in which the output rises most. The steeper the hill, the longer " +
              "the arrow. Move the pointer or use the arrow keys. Each band is a height.",
          ),
          status,
        ),
      ),
    ),
  );

  const truth = () => FUNCTIONS[name][1](fround(at));
  const error = (nudged, bothSides) =>
    Math.abs(measured(name, at, nudged, bothSides) - truth()) / Math.max(Math.abs(truth()), 1e-9);

  function update() {
    const found = measured(name, at, h, both);
    const off = error(h, both);
    results.replaceChildren(
      ...Object.entries({
        measured: figure(found),
        "true derivative": figure(truth()),
        error: Number.isFinite(off) ? `${precise(100 * off, 2)} %` : "100 %: the nudge is lost in rounding",
      }).map(([term, words]) => element("div", {}, element("dt", {}, term), element("dd", {}, words))),
    );
    const line = (label, bothSides) => {
      const finite = NUDGES.map((each) => [each, error(each, bothSides)]).filter(([, e]) => e > 0 && e < 100);
      return { name: label, xs: finite.map(([each]) => each), ys: finite.map(([, e]) => e), style: "line" };
    };
    chart.show({
      title: "Too large and too small",
      across: "nudge h",
      up: "relative error",
      log_across: true,
      log_up: true,
      arrows: [],
      lines: [
        line("one side", false),
        line("both sides", true),
        { name: "now", xs: [h], ys: [off > 0 ? off : NaN], style: "marks" },
      ],
    });
    curve.redraw();
    top.redraw();
  }

  /** @param {Sheet} sheet
      @param {number} width
      @param {number} height */
  function drawCurve(sheet, width, height) {
    const [f, , [low, high]] = FUNCTIONS[name];
    const x = axis(-5, 5, 40, width - 8);
    const y = axis(low, high, height - 26, 10);
    const clamp = (value) => Math.min(high + (high - low), Math.max(low - (high - low), value));
    const ends = Array.from({ length: 201 }, (_, n) => n / 20 - 5);
    const tangent = (steepness) =>
      path(ends.map((each) => [x(each), y(visible(f(at) + steepness * (each - at)))]));
    const visible = (value) => (value >= low && value <= high ? value : NaN);
    const found = measured(name, at, h, both);
    const spots = both ? [at - h, at + h] : [at, at + h];
    sheet.replaceChildren(
      grid(x, y),
      svg("path", { class: "ground", d: path(ends.map((each) => [x(each), y(clamp(f(each)))])) }),
      svg("path", { class: "line series-1", "data-style": "dashed", d: tangent(truth()) }),
      svg("path", { class: "line series-0", d: Number.isFinite(found) ? tangent(found) : "" }),
      ...spots.map((each) =>
        svg("circle", { class: "dot series-0", cx: x(each), cy: y(clamp(f(each))), r: 5 }),
      ),
      svg("circle", { class: "ball", cx: x(at), cy: y(f(at)), r: 7 }),
    );
    set(sheet, {
      "aria-label":
        `The ${name} at ${figure(at)}: with a nudge of ${figure(h)} ` +
        `the derivative measures ${figure(found)}; it is ${figure(truth())}`,
    });
    sheet.axes = { x, y };
  }
  onDrag(curve.sheet, curve.sheet, (px) => {
    at = Math.min(5, Math.max(-5, Number(curve.sheet.axes.x.back(px).toFixed(2))));
    xSlider.setValue(at);
    changed({ x: at });
    update();
  });

  let image = { theme: "", href: "" };
  /** @param {Sheet} sheet
      @param {number} width
      @param {number} height */
  function above(sheet, width, height) {
    const x = axis(-ACROSS, ACROSS, 0, width);
    const y = axis(-UP, UP, height, 0);
    const theme = getComputedStyle(host).getPropertyValue("--light");
    if (image.theme !== theme) image = { theme, href: light(rows(), host, { most: 0.6, levels: 16 }) };
    sheet.replaceChildren(svg("image", { width, height, preserveAspectRatio: "none", href: image.href }));
    const unit = width / 22;
    for (let row = -2; row <= 2; row += 1) {
      for (let column = -4; column <= 4; column += 1) {
        const [px, py] = [column * 0.7, row * 0.8];
        const [gx, gy] = gradient(px, py);
        sheet.append(
          svg("path", { class: "arrow faint", d: arrow(x(px), y(py), gx * unit * 0.7, -gy * unit * 0.7, 4) }),
        );
      }
    }
    const [gx, gy] = gradient(...place);
    sheet.append(
      svg("path", {
        class: "arrow here",
        d: arrow(x(place[0]), y(place[1]), 2.2 * gx * unit, -2.2 * gy * unit, 11),
      }),
      svg("circle", { class: "ball", cx: x(place[0]), cy: y(place[1]), r: 7 }),
    );
    set(sheet, { "aria-label": "A hill from above: arrow keys move the arrow" });
    status.textContent =
      `At (${fixed(place[0], 2)}, ${fixed(place[1], 2)}) the height is ${fixed(hill(...place), 3)} ` +
      `and the gradient (${fixed(gx, 3)}, ${fixed(gy, 3)}).`;
    sheet.axes = { x, y };
  }
  const setPlace = (px, py) => {
    place = [Math.min(ACROSS, Math.max(-ACROSS, px)), Math.min(UP, Math.max(-UP, py))];
    top.redraw();
  };
  const follow = (event) => {
    const [px, py] = placeIn(event, top.sheet);
    setPlace(top.sheet.axes.x.back(px), top.sheet.axes.y.back(py));
  };
  for (const kind of ["pointermove", "pointerdown"]) top.sheet.addEventListener(kind, follow);
  onArrowKeys(top.sheet, (dx, dy) => setPlace(place[0] + 0.1 * dx, place[1] + 0.1 * dy));

  update();
  return {
    set(next) {
      ({ function: name, x: at } = next);
      names.setValue(name);
      xSlider.setValue(at);
      update();
    },
    unmount() {
      curve.stop();
      top.stop();
      chart.remove();
      host.replaceChildren();
    },
  };
}

function rows() {
  const [wide, high] = [420, 262];
  return Array.from({ length: high }, (_, row) =>
    Array.from({ length: wide }, (_, column) =>
      hill(((column + 0.5) / wide) * 2 * ACROSS - ACROSS, ((row + 0.5) / high) * 2 * UP - UP),
    ),
  );
}
