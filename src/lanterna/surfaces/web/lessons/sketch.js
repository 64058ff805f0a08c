// Lessons 7 and 13, by hand: draw any curve, and neurons that are bent lines come as near to it as they can.
// In lesson 7 they see it only through noisy points, and with many neurons they follow the noise.

import { makeChart } from "lanterna/chart.js";
import { apart, fitted, height } from "lanterna/lessons/fit.js";
import { chance, choice, dragged, keyed, normal, plane, slider } from "lanterna/lessons/parts.js";
import { axis, grid, path, set, svg } from "lanterna/svg.js";
import { element, precise } from "lanterna/words.js";

/** @import { Changed, Settings, Sheet } from "lanterna/lessons/parts.js" */

const [PLACES, FINE] = [81, 801]; // heights of a drawn curve; places at which it is approached
const [LOW, HIGH] = [-1.8, 1.8];
const SIZES = [1, 2, 4, 8, 16, 32, 64, 128];
const READY = {
  waves: (x) => Math.sin(5 * Math.PI * x) + 0.5 * Math.sin(2 * Math.PI * x),
  bump: (x) => Math.exp(-(((x - 0.5) / 0.12) ** 2)),
  step: (x) => (x > 0.4321 ? 1 : 0),
  sine: (x) => Math.sin(2 * Math.PI * (x - 0.5)),
};

const even = (count) => Array.from({ length: count }, (_, at) => at / (count - 1));

/** @param {HTMLElement} host
    @param {Settings} settings
    @param {Changed} changed */
export function mount(host, settings, changed) {
  const noisy = "noise" in settings; // lesson 7
  let curve = noisy ? "sine" : settings.curve;
  let own = noisy ? [] : [...settings.own];
  let { points = 0, noise = 0, seed } = settings;
  let neurons = noisy ? 6 : 8;
  let cursor = 40;
  let last = null; // where the pen was

  const names = noisy ? ["sine", "waves", "bump", "step", "own"] : ["waves", "bump", "step", "own"];
  const curves = choice("The curve", names, curve, (value) => {
    if (value === "own" && own.length < 2) own = sampled();
    curve = value;
    tell();
    work();
  });
  const count = slider(
    "Neurons",
    { least: 1, most: 128, log: true, whole: true, value: neurons },
    (value) => {
      neurons = value;
      work();
    },
  );
  const dials = noisy
    ? {
        points: slider("Points", { least: 6, most: 200, whole: true, value: points }, (value) => {
          points = value;
          changed({ points });
          work();
        }),
        noise: slider("Noise", { least: 0, most: 1, step: 0.05, value: noise }, (value) => {
          noise = value;
          changed({ noise });
          work();
        }),
      }
    : {};
  const board = plane("Draw a curve", drawn, { role: "application", className: "paper" });
  set(board.sheet, { tabindex: 0 });
  const told = element("p", { class: "told", role: "status" });
  const side = element("div", {});
  const chart = makeChart(side);
  host.replaceChildren(
    element(
      "div",
      { class: "piece sketch" },
      element("div", { class: "dials" }, curves, count, ...Object.values(dials)),
      element("div", { class: "panes" }, element("div", {}, board, told), side),
    ),
  );

  const wanted = (x) => (curve === "own" ? height(own, x) : READY[curve](x));
  const sampled = () => even(PLACES).map((x) => Number(wanted(x).toFixed(2)));
  const tell = () => {
    if (!noisy) changed(curve === "own" ? { curve, own } : { curve });
  };

  /** What the neurons see: the curve, or noisy points on it.

      @returns {[xs: number[], ys: number[]]} */
  function seen() {
    const random = chance(seed + 1);
    const xs = noisy ? Array.from({ length: points }, () => random()).sort((a, b) => a - b) : even(FINE);
    return [xs, xs.map((x) => wanted(x) + (noisy ? noise * normal(random) : 0))];
  }

  /** @type {number[]} */
  let fit = [];
  /** @type {[xs: number[], ys: number[]]} */
  let sight = [[], []];
  function work() {
    sight = seen();
    fit = fitted(...sight, neurons);
    /** @type {[xs: number[], ys: number[]]} */
    const true_ = [even(FINE), even(FINE).map(wanted)];
    const least = noisy ? 1e-3 : 1e-6; // what is nearer is drawn there
    const errors = SIZES.map((size) => fitted(...sight, size)).map((each) => [
      Math.max(least, apart(each, ...sight)),
      Math.max(least, apart(each, ...true_)),
    ]);
    const lines = noisy
      ? [
          { name: "from the curve", xs: SIZES, ys: errors.map(([, each]) => each) },
          { name: "at the points", xs: SIZES, ys: errors.map(([each]) => each) },
        ]
      : [{ name: "error", xs: SIZES, ys: errors.map(([each]) => each) }];
    const here = apart(fit, ...true_);
    chart.show({
      title: "Error, and how many neurons",
      across: "neurons",
      up: "error",
      log_across: true,
      log_up: true,
      arrows: [],
      lines: [
        ...lines.map((line) => ({ ...line, style: "line" })),
        { name: "now", xs: [neurons], ys: [Math.max(least, here)], style: "marks" },
      ],
    });
    told.textContent =
      `${neurons} neuron${neurons > 1 ? "s come" : " comes"} within ${precise(here, 2)} of the curve` +
      `${noisy ? `, and within ${precise(apart(fit, ...sight), 2)} of the points` : ""}.`;
    board.again();
  }

  /** @param {Sheet} sheet
      @param {number} width
      @param {number} height_ */
  function drawn(sheet, width, height_) {
    const x = axis(0, 1, 34, width - 8);
    const y = axis(LOW, HIGH, height_ - 26, 10);
    const corners = fit.map((value, at) => [x(at / (fit.length - 1)), y(value)]);
    sheet.replaceChildren(
      grid(x, y),
      svg("path", { class: "wanted", d: path(even(401).map((at) => [x(at), y(wanted(at))])) }),
      svg("path", { class: "line series-0", d: path(corners) }),
      ...(neurons <= 64
        ? corners.slice(1, -1).map(([cx, cy]) => svg("circle", { class: "mark series-0", cx, cy, r: 3 }))
        : []),
      ...(noisy
        ? sight[0].map((at, n) =>
            svg("circle", { class: "mark series-1", cx: x(at), cy: y(sight[1][n]), r: 3.5 }),
          )
        : []),
      svg("circle", {
        class: "pen",
        cx: x(cursor / (PLACES - 1)),
        cy: y(wanted(cursor / (PLACES - 1))),
        r: 7,
      }),
    );
    set(sheet, {
      "aria-label":
        `Draw a curve. It is ${curve === "own" ? "your own" : curve}. ` +
        "Left and right move the pen, up and down lift the curve there.",
    });
    sheet.axes = { x, y };
  }

  function begin() {
    if (curve !== "own") own = sampled();
    curve = "own";
    curves.put("own");
  }
  dragged(
    board.sheet,
    board.sheet,
    (px, py, event) => {
      if (event.type === "pointerdown") {
        begin();
        last = null;
      }
      const at = Math.min(PLACES - 1, Math.max(0, Math.round(board.sheet.axes.x.back(px) * (PLACES - 1))));
      const value = Number(Math.min(HIGH, Math.max(LOW, board.sheet.axes.y.back(py))).toFixed(2));
      const from = last ?? { at, value };
      for (let n = Math.min(at, from.at); n <= Math.max(at, from.at); n += 1)
        own[n] =
          at === from.at
            ? value
            : Number((from.value + ((value - from.value) * (n - from.at)) / (at - from.at)).toFixed(2));
      last = { at, value };
      cursor = at;
      work();
    },
    () => {
      if (last) tell();
      last = null;
    },
  );
  keyed(board.sheet, (dx, dy) => {
    cursor = Math.min(PLACES - 1, Math.max(0, cursor + dx));
    if (dy) {
      begin();
      own = own.map((each, n) =>
        Number(
          Math.min(HIGH, Math.max(LOW, each + 0.1 * dy * Math.exp(-(((n - cursor) / 5) ** 2)))).toFixed(2),
        ),
      );
      tell();
    }
    work();
  });

  work();
  return {
    set(next) {
      ({ points = 0, noise = 0, seed } = next);
      if (noisy) for (const [name, dial] of Object.entries(dials)) dial.put(next[name]);
      else {
        own = [...next.own];
        curve = next.curve === "own" && own.length < 2 ? "waves" : next.curve;
        curves.put(curve);
      }
      work();
    },
    unmount() {
      board.end();
      chart.remove();
      host.replaceChildren();
    },
  };
}
