// Lesson 4, by hand: a neuron as a switch with a smooth middle. Its weight makes it harder, its bias moves
// it; the lamp shines as brightly as the neuron is on.

import { dragged, plane, slider } from "lanterna/lessons/parts.js";
import { axis, grid, path, set, svg } from "lanterna/svg.js";
import { element, figure, fixed, precise } from "lanterna/words.js";

/** @import { Changed, Settings, Sheet } from "lanterna/lessons/parts.js" */

const WIDE = 10;

/** What a neuron gives for the sum of its inputs. */
export const output = (sum, weight, bias) => 1 / (1 + Math.exp(-(weight * sum + bias)));

/** @param {HTMLElement} host
    @param {Settings} settings
    @param {Changed} changed */
export function mount(host, settings, changed) {
  let { weight, bias } = settings;
  let sum = 1;

  const dials = {
    weight: slider("Weight", { least: 0.1, most: 20, log: true, value: weight }, (value) =>
      move({ weight: value }),
    ),
    bias: slider("Bias", { least: -10, most: 10, step: 0.1, value: bias }, (value) => move({ bias: value })),
    sum: slider("Sum of its inputs", { least: -WIDE, most: WIDE, step: 0.1, value: sum }, (value) => {
      sum = value;
      curve.again();
    }),
  };
  const curve = plane("The switch", drawn, { className: "curve-of" });
  const told = element("p", { class: "told", role: "status" });
  host.replaceChildren(
    element(
      "div",
      { class: "piece switch-of" },
      element("div", { class: "dials" }, ...Object.values(dials)),
      curve,
      told,
    ),
  );

  function move(changes) {
    weight = changes.weight ?? weight;
    bias = changes.bias ?? bias;
    changed(changes);
    curve.again();
  }

  /** @param {Sheet} sheet
      @param {number} width
      @param {number} height */
  function drawn(sheet, width, height) {
    const lamp = Math.min(70, width * 0.11);
    const x = axis(-WIDE, WIDE, 40, width - 2.8 * lamp);
    const y = axis(-0.08, 1.08, height - 40, 12);
    const sums = Array.from({ length: 401 }, (_, at) => at / 20 - WIDE);
    const line = (by) => path(sums.map((each) => [x(each), y(output(each, weight, by))]));
    const now = output(sum, weight, bias);
    const half = -bias / weight;
    const middle =
      Math.abs(half) <= WIDE
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
        `a sum of ${figure(sum)} gives ${precise(now, 3)}`,
    });
    told.textContent =
      `A sum of ${figure(sum)} gives ${precise(now, 2)}. ` +
      `It is halfway at ${fixed(half, 2)}${bias ? ", without its bias at 0" : ""}.`;
    sheet.axes = { x, y };
  }
  dragged(curve.sheet, curve.sheet, (px) => {
    sum = Math.min(WIDE, Math.max(-WIDE, Number(curve.sheet.axes.x.back(px).toFixed(1))));
    dials.sum.put(sum);
    curve.again();
  });

  return {
    set(next) {
      ({ weight, bias } = next);
      dials.weight.put(weight);
      dials.bias.put(bias);
      curve.again();
    },
    unmount() {
      curve.end();
      host.replaceChildren();
    },
  };
}
