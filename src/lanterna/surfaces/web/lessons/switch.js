// Lesson 4, hands on: a neuron as a switch with a smooth transition. Its weight makes the switch sharper, its
// bias shifts it, and a lamp shows the output as brightness.

import { onDrag, plane, slider } from "lanterna/lessons/parts.js";
import { axis, grid, path, set, svg } from "lanterna/svg.js";
import { element, figure, fixed, precise } from "lanterna/words.js";

/** @import { Changed, Settings, Sheet } from "lanterna/lessons/parts.js" */

const REACH = 10; // of the sum, both ways

/** Return a neuron's output for the sum of its inputs. */
export const output = (sum, weight, bias) => 1 / (1 + Math.exp(-(weight * sum + bias)));

/** @param {HTMLElement} host
    @param {Settings} settings
    @param {Changed} changed */
export function mount(host, settings, changed) {
  let { weight, bias } = settings;
  let sum = 1;

  const dials = {
    weight: slider("Weight", { min: 0.1, max: 20, log: true, value: weight }, (value) =>
      change({ weight: value }),
    ),
    bias: slider("Bias", { min: -10, max: 10, step: 0.1, value: bias }, (value) => change({ bias: value })),
    sum: slider("Sum of its inputs", { min: -REACH, max: REACH, step: 0.1, value: sum }, (value) => {
      sum = value;
      curve.redraw();
    }),
  };
  const curve = plane("The switch", draw, { className: "curve-of" });
  const status = element("p", { class: "status", role: "status" });
  host.replaceChildren(
    element(
      "div",
      { class: "piece switch-of" },
      element("div", { class: "dials" }, ...Object.values(dials)),
      curve,
      status,
    ),
  );

  function change(changes) {
    weight = changes.weight ?? weight;
    bias = changes.bias ?? bias;
    changed(changes);
    curve.redraw();
  }

  /** @param {Sheet} sheet
      @param {number} width
      @param {number} height */
  function draw(sheet, width, height) {
    const lamp = Math.min(70, width * 0.11);
    const x = axis(-REACH, REACH, 40, width - 2.8 * lamp);
    const y = axis(-0.08, 1.08, height - 40, 12);
    const sums = Array.from({ length: 401 }, (_, at) => at / 20 - REACH);
    const line = (by) => path(sums.map((each) => [x(each), y(output(each, weight, by))]));
    const now = output(sum, weight, bias);
    const half = -bias / weight;
    const middle =
      Math.abs(half) <= REACH
        ? [svg("line", { class: "rule", x1: x(half), x2: x(half), y1: y(-0.08), y2: y(1.08) })]
        : [];
    sheet.replaceChildren(
      grid(x, y, { across: "sum of its inputs" }),
      ...middle,
      svg("path", { class: "line series-2", "data-style": "dashed", d: line(0) }),
      svg("path", { class: "line series-0", d: line(bias) }),
      svg("path", {
        class: "beam",
        d: path([
          [x(sum), y(now)],
          [width - 1.3 * lamp, y(now)],
        ]),
      }),
      svg("circle", { class: "ball", cx: x(sum), cy: y(now), r: 8 }),
      svg("circle", {
        class: "halo",
        cx: width - 1.3 * lamp,
        cy: height / 2,
        r: 1.25 * lamp,
        opacity: 0.28 * now,
      }),
      svg("circle", { class: "lamp", cx: width - 1.3 * lamp, cy: height / 2, r: 0.8 * lamp }),
      svg("circle", { class: "glow", cx: width - 1.3 * lamp, cy: height / 2, r: 0.8 * lamp, opacity: now }),
    );
    set(sheet, {
      "aria-label":
        `The switch with weight ${figure(weight)} and bias ${figure(bias)}: ` +
        `with a sum of ${figure(sum)} the output is ${precise(now, 3)}`,
    });
    status.textContent =
      `With a sum of ${figure(sum)} the output is ${precise(now, 2)}. ` +
      `The output is 0.5 at a sum of ${fixed(half, 2)}${bias ? "; without the bias, at 0" : ""}.`;
    sheet.axes = { x, y };
  }
  onDrag(curve.sheet, curve.sheet, (px) => {
    sum = Math.min(REACH, Math.max(-REACH, Number(curve.sheet.axes.x.back(px).toFixed(1))));
    dials.sum.setValue(sum);
    curve.redraw();
  });

  return {
    set(next) {
      ({ weight, bias } = next);
      dials.weight.setValue(weight);
      dials.bias.setValue(bias);
      curve.redraw();
    },
    unmount() {
      curve.stop();
      host.replaceChildren();
    },
  };
}
