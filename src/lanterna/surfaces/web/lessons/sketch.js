// Lessons 7 and 13, hands on: draw any curve, and ReLU neurons approximate it as well as they can. In lesson
// 7 they only get noisy points of it, and with many neurons they follow the noise.

import { makeChart } from "lanterna/chart.js";
import { rmse, fitHeights, height } from "lanterna/lessons/fit.js";
import { makeRandom, choice, onDrag, onArrowKeys, normal, plane, slider } from "lanterna/lessons/parts.js";
import { axis, grid, path, set, svg } from "lanterna/svg.js";
import { element, precise } from "lanterna/words.js";

/** @import { Changed, Settings, Sheet } from "lanterna/lessons/parts.js" */

const [PLACES, SAMPLES] = [81, 801]; // of a drawn curve, and of its approximation
const [LOW, HIGH] = [-1.8, 1.8];
const SIZES = [1, 2, 4, 8, 16, 32, 64, 128];
const CURVES = {
  waves: (x) => Math.sin(5 * Math.PI * x) + 0.5 * Math.sin(2 * Math.PI * x),
  bump: (x) => Math.exp(-(((x - 0.5) / 0.12) ** 2)),
  step: (x) => (x > 0.4321 ? 1 : 0),
  sine: (x) => Math.sin(2 * Math.PI * (x - 0.5)),
};

const evenly = (count) => Array.from({ length: count }, (_, at) => at / (count - 1));

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
  let last = null; // position of the pen

  const names = noisy ? ["sine", "waves", "bump", "step", "own"] : ["waves", "bump", "step", "own"];
  const curves = choice("The curve", names, curve, (value) => {
    if (value === "own" && own.length < 2) own = sampled();
    curve = value;
    notify();
    update();
  });
  const count = slider("Neurons", { min: 1, max: 128, log: true, integer: true, value: neurons }, (value) => {
    neurons = value;
    update();
  });
  const dials = noisy
    ? {
        points: slider("Points", { min: 6, max: 200, integer: true, value: points }, (value) => {
          points = value;
          changed({ points });
          update();
        }),
        noise: slider("Noise", { min: 0, max: 1, step: 0.05, value: noise }, (value) => {
          noise = value;
          changed({ noise });
          update();
        }),
      }
    : {};
  const board = plane("Draw a curve", draw, { role: "application", className: "paper" });
  set(board.sheet, { tabindex: 0 });
  const status = element("p", { class: "status", role: "status" });
  const side = element("div", {});
  const chart = makeChart(side);
  host.replaceChildren(
    element(
      "div",
      { class: "piece sketch" },
      element("div", { class: "dials" }, curves, count, ...Object.values(dials)),
      element("div", { class: "panes" }, element("div", {}, board, status), side),
    ),
  );

  const target = (x) => (curve === "own" ? height(own, x) : CURVES[curve](x));
  const sampled = () => evenly(PLACES).map((x) => Number(target(x).toFixed(2)));
  const notify = () => {
    if (!noisy) changed(curve === "own" ? { curve, own } : { curve });
  };

  /** Return the data to fit: the curve, or noisy points of it.
      @returns {[xs: number[], ys: number[]]} */
  function makeData() {
    const random = makeRandom(seed + 1);
    const xs = noisy ? Array.from({ length: points }, () => random()).sort((a, b) => a - b) : evenly(SAMPLES);
    return [xs, xs.map((x) => target(x) + (noisy ? noise * normal(random) : 0))];
  }

  /** @type {number[]} */
  let fit = [];
  /** @type {[xs: number[], ys: number[]]} */
  let data = [[], []];
  function update() {
    data = makeData();
    fit = fitHeights(...data, neurons);
    /** @type {[xs: number[], ys: number[]]} */
    const truth = [evenly(SAMPLES), evenly(SAMPLES).map(target)];
    const min = noisy ? 1e-3 : 1e-6; // smaller errors are drawn here
    const errors = SIZES.map((size) => fitHeights(...data, size)).map((each) => [
      Math.max(min, rmse(each, ...data)),
      Math.max(min, rmse(each, ...truth)),
    ]);
    const lines = noisy
      ? [
          { name: "between the points", xs: SIZES, ys: errors.map(([, each]) => each) },
          { name: "at the points", xs: SIZES, ys: errors.map(([each]) => each) },
        ]
      : [{ name: "error", xs: SIZES, ys: errors.map(([each]) => each) }];
    const error = rmse(fit, ...truth);
    chart.show({
      title: "Error by number of neurons",
      across: "neurons",
      up: "error",
      log_across: true,
      log_up: true,
      arrows: [],
      lines: [
        ...lines.map((line) => ({ ...line, style: "line" })),
        { name: "now", xs: [neurons], ys: [Math.max(min, error)], style: "marks" },
      ],
    });
    status.textContent =
      `${neurons} neuron${neurons > 1 ? "s get" : " gets"} within ${precise(error, 2)} of the curve` +
      `${noisy ? `, and within ${precise(rmse(fit, ...data), 2)} of the points` : ""}.`;
    board.redraw();
  }

  /** @param {Sheet} sheet
      @param {number} width
      @param {number} height_ */
  function draw(sheet, width, height_) {
    const x = axis(0, 1, 34, width - 8);
    const y = axis(LOW, HIGH, height_ - 26, 10);
    const corners = fit.map((value, at) => [x(at / (fit.length - 1)), y(value)]);
    sheet.replaceChildren(
      grid(x, y),
      svg("path", { class: "target", d: path(evenly(401).map((at) => [x(at), y(target(at))])) }),
      svg("path", { class: "line series-0", d: path(corners) }),
      ...(neurons <= 64
        ? corners.slice(1, -1).map(([cx, cy]) => svg("circle", { class: "mark series-0", cx, cy, r: 3 }))
        : []),
      ...(noisy
        ? data[0].map((at, n) =>
            svg("circle", { class: "mark series-1", cx: x(at), cy: y(data[1][n]), r: 3.5 }),
          )
        : []),
      svg("circle", {
        class: "pen",
        cx: x(cursor / (PLACES - 1)),
        cy: y(target(cursor / (PLACES - 1))),
        r: 7,
      }),
    );
    set(sheet, {
      "aria-label":
        `Draw a curve. Now: ${curve === "own" ? "your own" : curve}. ` +
        "Left and right move the pen, up and down raise and lower the curve there.",
    });
    sheet.axes = { x, y };
  }

  function begin() {
    if (curve !== "own") own = sampled();
    curve = "own";
    curves.setValue("own");
  }
  onDrag(
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
      update();
    },
    () => {
      if (last) notify();
      last = null;
    },
  );
  onArrowKeys(board.sheet, (dx, dy) => {
    cursor = Math.min(PLACES - 1, Math.max(0, cursor + dx));
    if (dy) {
      begin();
      own = own.map((each, n) =>
        Number(
          Math.min(HIGH, Math.max(LOW, each + 0.1 * dy * Math.exp(-(((n - cursor) / 5) ** 2)))).toFixed(2),
        ),
      );
      notify();
    }
    update();
  });

  update();
  return {
    set(next) {
      ({ points = 0, noise = 0, seed } = next);
      if (noisy) for (const [name, dial] of Object.entries(dials)) dial.setValue(next[name]);
      else {
        own = [...next.own];
        curve = next.curve === "own" && own.length < 2 ? "waves" : next.curve;
        curves.setValue(curve);
      }
      update();
    },
    unmount() {
      board.stop();
      chart.remove();
      host.replaceChildren();
    },
  };
}
