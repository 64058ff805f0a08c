// Lesson 1, hands on: two numbers and a gate that multiplies them. Three methods raise its output, and each
// pays for every time it runs the gate.

import { makeChart } from "lanterna/chart.js";
import { button, makeRandom, normal, plane, slider } from "lanterna/lessons/parts.js";
import { set, svg } from "lanterna/svg.js";
import { element, fixed } from "lanterna/words.js";

/** @import { Random, Settings, Sheet } from "lanterna/lessons/parts.js" */

/** @typedef {object} State - of a method
    @property {number[]} at - its inputs now
    @property {number} runs - of the gate so far
    @property {number[] | null} gradient - that it used last
    @property {number[][]} path - `[runs, output]` after each step */

const NUDGE = 1e-4;
const METHODS = ["random", "numerical", "analytic"];
const NAMES = {
  random: "Random search",
  numerical: "Numerical derivative",
  analytic: "Analytic derivative",
};
const WORDS = {
  random: "Move both numbers at random, and keep the move if the output rises.",
  numerical: "Nudge each number, see how much the output changes, and step in that direction.",
  analytic: "The derivative with respect to x is y, and with respect to y it is x. Step in that direction.",
};
const ACTIONS = {
  random: "Try a random step",
  numerical: "Step by nudges",
  analytic: "Step by the derivative",
};

/** @param {number[]} vector
    @param {number} length */
const withLength = (vector, length) => vector.map((each) => (each * length) / (Math.hypot(...vector) || 1));

/** Take one step from `[x, y]`. Return the new inputs, how often the gate was run, and the gradient used.
    @param {string} method
    @param {number[]} from
    @param {number} length
    @param {Random} random */
export function takeStep(method, [x, y], length, random) {
  /** @param {number[]} inputs */
  const gate = ([a, b]) => a * b;
  if (method === "random") {
    const step = withLength([normal(random), normal(random)], length);
    const candidate = [x + step[0], y + step[1]];
    return { at: gate(candidate) > gate([x, y]) ? candidate : [x, y], runs: 1, gradient: null };
  }
  const output = gate([x, y]);
  const gradient =
    method === "analytic"
      ? [y, x]
      : [(gate([x + NUDGE, y]) - output) / NUDGE, (gate([x, y + NUDGE]) - output) / NUDGE];
  const step = withLength(gradient, length);
  return { at: [x + step[0], y + step[1]], runs: method === "analytic" ? 1 : 3, gradient };
}

/** @param {HTMLElement} host
    @param {Settings} settings */
export function mount(host, settings) {
  let length = settings.step;
  let start = [-2, 3];
  let random = makeRandom(settings.seed + 1);
  /** @type {Record<string, State>} */
  const state = {};

  const dials = ["x", "y"].map((name, place) =>
    slider(`${name} at the start`, { min: -4, max: 4, step: 0.1, value: start[place] }, (value) => {
      start = place ? [start[0], value] : [value, start[1]];
      reset();
    }),
  );
  const side = element("div", {});
  const chart = makeChart(side);
  const panes = Object.fromEntries(
    METHODS.map((method, place) => {
      const sheet = plane(NAMES[method], (drawing, width, height) => circuit(method, drawing, width, height));
      const runs = element("p", { class: "runs-of", role: "status" });
      const action = button(ACTIONS[method], () => step(method, 1), { class: "primary" });
      return [
        method,
        {
          sheet,
          runs,
          pane: element(
            "div",
            { class: `series-${place}` },
            element("h3", {}, NAMES[method]),
            element("p", { class: "hint" }, WORDS[method]),
            sheet,
            element("div", { class: "tools" }, action, runs),
          ),
        },
      ];
    }),
  );
  host.replaceChildren(
    element(
      "div",
      { class: "piece gates" },
      element("div", { class: "dials" }, ...dials),
      element("div", { class: "three" }, ...METHODS.map((method) => panes[method].pane)),
      element(
        "div",
        { class: "tools" },
        button("Ten of each", () => {
          for (const method of METHODS) step(method, 10);
        }),
        button("Start again", () => reset()),
      ),
      side,
    ),
  );

  function reset() {
    random = makeRandom(settings.seed + 1);
    for (const method of METHODS)
      state[method] = { at: start, runs: 0, gradient: null, path: [[0, start[0] * start[1]]] };
    draw();
  }

  function step(method, count) {
    for (let n = 0; n < count; n += 1) {
      const found = takeStep(method, state[method].at, length, random);
      const runs = state[method].runs + found.runs;
      state[method] = {
        at: found.at,
        runs,
        gradient: found.gradient,
        path: [...state[method].path, [runs, found.at[0] * found.at[1]]],
      };
    }
    draw();
  }

  function draw() {
    for (const method of METHODS) {
      panes[method].sheet.redraw();
      const { runs, at } = state[method];
      panes[method].runs.textContent =
        `${runs} run${runs === 1 ? "" : "s"} of the gate, output ${fixed(at[0] * at[1], 3)}`;
    }
    chart.show({
      title: "Output against runs of the gate",
      across: "runs of the gate",
      up: "output",
      whole_across: true,
      arrows: [],
      lines: METHODS.map((method) => ({
        name: NAMES[method],
        xs: state[method].path.map(([runs]) => runs),
        ys: state[method].path.map(([, output]) => output),
        style: "line",
      })),
    });
  }

  /** @param {string} method
      @param {Sheet} sheet
      @param {number} width
      @param {number} height */
  function circuit(method, sheet, width, height) {
    const { at } = state[method];
    // The gradient at the place that is shown.
    const gradient = state[method].gradient && takeStep(method, at, length, random).gradient;
    const [left, gate, right] = [28, width * 0.56, width - 10];
    const rows = [height * 0.22, height * 0.78];
    const text = (name, x, y, words) => svg("text", { class: name, x, y }, words);
    sheet.replaceChildren(
      ...rows.map((y, n) => {
        const sign = gradient ? Math.sign(gradient[n]) : 0;
        return svg("path", {
          class: "wire",
          "data-lit": sign > 0 ? "for" : sign < 0 ? "against" : "value",
          "stroke-width": gradient ? 2.5 : 1.5,
          d: `M${left} ${y}C${width * 0.35} ${y} ${width * 0.35} ${height / 2} ${gate} ${height / 2}`,
        });
      }),
      svg("path", {
        class: "wire",
        "data-lit": "value",
        "stroke-width": 1.5,
        d: `M${gate} ${height / 2}H${right}`,
      }),
      ...rows.flatMap((y, n) => [
        svg("circle", { class: "gate", cx: left - 10, cy: y, r: 15 }),
        text("sign", left - 10, y + 5.5, "xy"[n]),
        text("value", left + 16, y - 9, fixed(at[n], 3)),
        ...(gradient
          ? [
              set(text("gradient", left + 16, y + 21, fixed(gradient[n], 3)), {
                "data-sign": Math.sign(gradient[n]),
              }),
            ]
          : []),
      ]),
      svg("circle", { class: "gate", cx: gate, cy: height / 2, r: 18 }),
      text("sign", gate, height / 2 + 5.5, "×"),
      text("value output", gate + 34, height / 2 - 12, fixed(at[0] * at[1], 3)),
    );
    set(sheet, {
      "aria-label":
        `${NAMES[method]}: x is ${fixed(at[0], 3)}, y ${fixed(at[1], 3)}, ` +
        `their product ${fixed(at[0] * at[1], 3)}` +
        (gradient ? `; derivatives ${gradient.map((each) => fixed(each, 3)).join(" and ")}` : ""),
    });
  }

  reset();
  return {
    set(next) {
      const restart = next.step !== length || next.seed !== settings.seed;
      settings = next;
      length = next.step;
      if (restart) reset();
    },
    unmount() {
      for (const method of METHODS) panes[method].sheet.stop();
      chart.remove();
      host.replaceChildren();
    },
  };
}
