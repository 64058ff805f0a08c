// Lesson 2, by hand: nudge a point on a curve, measure, divide; with numbers of 32 bits, in which networks
// compute. Beneath it a hill of two parameters, with the gradient as an arrow where the pointer is.

import { makeChart } from "lanterna/chart.js";
import { choice, dragged, keyed, plane, slider } from "lanterna/lessons/parts.js";
import { arrow, axis, grid, light, path, set, svg } from "lanterna/svg.js";
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
const uphill = (x, y) => [
  1.3 * Math.cos(1.3 * x) * Math.cos(0.9 * y) + 0.15,
  -0.9 * Math.sin(1.3 * x) * Math.sin(0.9 * y),
];

/** The slope as a nudge measures it, each number rounded to 32 bits; not a number where the nudge is lost. */
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
  let where = [-1.4, 0.6];

  const names = choice("The function", Object.keys(FUNCTIONS), name, (value) => {
    name = value;
    changed({ function: value });
    work();
  });
  const nudge = slider("Nudge h", { least: 1e-9, most: 1, log: true, value: h }, (value) => {
    h = value;
    work();
  });
  const place = slider("x", { least: -5, most: 5, step: 0.05, value: at }, (value) => {
    at = value;
    changed({ x: value });
    work();
  });
  const ways = choice("Nudged", ["one way", "both ways"], "one way", (value) => {
    both = value === "both ways";
    work();
  });
  const curve = plane("The curve", drawn);
  const said = element("dl", { "aria-live": "polite" });
  const side = element("div", {});
  const chart = makeChart(side);
  const top = plane("A hill from above", above, { role: "application", className: "top-view" });
  set(top.sheet, { tabindex: 0 });
  const told = element("p", { class: "told", role: "status" });
  host.replaceChildren(
    element(
      "div",
      { class: "piece slope" },
      element("div", { class: "dials" }, names, ways, place, nudge),
      element("div", { class: "panes" }, element("div", {}, curve, said), side),
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
            "It points where the output rises most, and is as long as that is steep. " +
              "Move the pointer, or the arrow keys. Each band is a height.",
          ),
          told,
        ),
      ),
    ),
  );

  const truth = () => FUNCTIONS[name][1](fround(at));
  const error = (nudged, both_) =>
    Math.abs(measured(name, at, nudged, both_) - truth()) / Math.max(Math.abs(truth()), 1e-9);

  function work() {
    const found = measured(name, at, h, both);
    const off = error(h, both);
    said.replaceChildren(
      ...Object.entries({
        measured: figure(found),
        "true slope": figure(truth()),
        "wrong by": Number.isFinite(off) ? `${precise(100 * off, 2)} %` : "all of it: the nudge is lost",
      }).map(([term, words]) => element("div", {}, element("dt", {}, term), element("dd", {}, words))),
    );
    const line = (label, both_) => {
      const kept = NUDGES.map((each) => [each, error(each, both_)]).filter(([, e]) => e > 0 && e < 100);
      return { name: label, xs: kept.map(([each]) => each), ys: kept.map(([, e]) => e), style: "line" };
    };
    chart.show({
      title: "Too large, and too small",
      across: "nudge h",
      up: "error, as a share",
      log_across: true,
      log_up: true,
      arrows: [],
      lines: [
        line("one way", false),
        line("both ways", true),
        { name: "now", xs: [h], ys: [off > 0 ? off : NaN], style: "marks" },
      ],
    });
    curve.again();
    top.again();
  }

  /** @param {Sheet} sheet
      @param {number} width
      @param {number} height */
  function drawn(sheet, width, height) {
    const [f, , [low, high]] = FUNCTIONS[name];
    const x = axis(-5, 5, 40, width - 8);
    const y = axis(low, high, height - 26, 10);
    const kept = (value) => Math.min(high + (high - low), Math.max(low - (high - low), value));
    const ends = Array.from({ length: 201 }, (_, n) => n / 20 - 5);
    const through = (steep) => path(ends.map((each) => [x(each), y(inside(f(at) + steep * (each - at)))]));
    const inside = (value) => (value >= low && value <= high ? value : NaN);
    const found = measured(name, at, h, both);
    const spots = both ? [at - h, at + h] : [at, at + h];
    sheet.replaceChildren(
      grid(x, y),
      svg("path", { class: "ground", d: path(ends.map((each) => [x(each), y(kept(f(each)))])) }),
      svg("path", { class: "line series-1", "data-style": "dashed", d: through(truth()) }),
      svg("path", { class: "line series-0", d: Number.isFinite(found) ? through(found) : "" }),
      ...spots.map((each) =>
        svg("circle", { class: "dot series-0", cx: x(each), cy: y(kept(f(each))), r: 5 }),
      ),
      svg("circle", { class: "ball", cx: x(at), cy: y(f(at)), r: 7 }),
    );
    set(sheet, {
      "aria-label":
        `The ${name} at ${figure(at)}: measured with a nudge of ${figure(h)} ` +
        `its slope is ${figure(found)}, in truth ${figure(truth())}`,
    });
    sheet.axes = { x, y };
  }
  dragged(curve.sheet, curve.sheet, (px) => {
    at = Math.min(5, Math.max(-5, Number(curve.sheet.axes.x.back(px).toFixed(2))));
    place.put(at);
    changed({ x: at });
    work();
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
        const [gx, gy] = uphill(px, py);
        sheet.append(
          svg("path", { class: "arrow faint", d: arrow(x(px), y(py), gx * unit * 0.7, -gy * unit * 0.7, 4) }),
        );
      }
    }
    const [gx, gy] = uphill(...where);
    sheet.append(
      svg("path", {
        class: "arrow here",
        d: arrow(x(where[0]), y(where[1]), 2.2 * gx * unit, -2.2 * gy * unit, 11),
      }),
      svg("circle", { class: "ball", cx: x(where[0]), cy: y(where[1]), r: 7 }),
    );
    set(sheet, { "aria-label": "A hill from above: arrow keys move the place whose gradient is shown" });
    told.textContent =
      `At (${fixed(where[0], 2)}, ${fixed(where[1], 2)}) the height is ${fixed(hill(...where), 3)} ` +
      `and the gradient (${fixed(gx, 3)}, ${fixed(gy, 3)}).`;
    sheet.axes = { x, y };
  }
  const go = (px, py) => {
    where = [Math.min(ACROSS, Math.max(-ACROSS, px)), Math.min(UP, Math.max(-UP, py))];
    top.again();
  };
  const follow = (event) => {
    const box = top.sheet.getBoundingClientRect();
    go(top.sheet.axes.x.back(event.clientX - box.left), top.sheet.axes.y.back(event.clientY - box.top));
  };
  for (const kind of ["pointermove", "pointerdown"]) top.sheet.addEventListener(kind, follow);
  keyed(top.sheet, (dx, dy) => go(where[0] + 0.1 * dx, where[1] + 0.1 * dy));

  work();
  return {
    set(next) {
      ({ function: name, x: at } = next);
      names.put(name);
      place.put(at);
      work();
    },
    unmount() {
      curve.end();
      top.end();
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
