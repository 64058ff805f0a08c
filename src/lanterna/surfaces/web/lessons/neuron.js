// Lesson 4, hands on: a neuron. Each input times its weight, all added up with the bias, and the sum on three
// activation functions, with the slope of each.

import { onDrag, plane, slider } from "lanterna/lessons/parts.js";
import { axis, grid, path, set, svg } from "lanterna/svg.js";
import { element, figure, fixed, signed } from "lanterna/words.js";

/** @import { Changed, Settings, Sheet } from "lanterna/lessons/parts.js" */

const REACH = 6; // of the sum, both ways
const REASONS = ["Your friend goes", "Good music", "Rain"];
const sigmoid = (/** @type {number} */ sum) => 1 / (1 + Math.exp(-sum));

/** Each activation: the function, its derivative, and the range to draw.
    @type {Record<string, [(sum: number) => number, (sum: number) => number, number, number]>} */
export const ACTIVATIONS = {
  Sigmoid: [sigmoid, (sum) => sigmoid(sum) * (1 - sigmoid(sum)), -0.1, 1.1],
  Tanh: [Math.tanh, (sum) => 1 - Math.tanh(sum) ** 2, -1.15, 1.15],
  ReLU: [(sum) => Math.max(0, sum), (sum) => (sum > 0 ? 1 : 0), -0.6, REACH],
};

/** @param {HTMLElement} host
    @param {Settings} settings
    @param {Changed} changed */
export function mount(host, settings, changed) {
  let inputs = [...settings.inputs];
  let weights = [...settings.weights];
  let { bias } = settings;
  const count = Math.min(inputs.length, weights.length);
  const names = Array.from({ length: count }, (_, n) => (count === 3 ? REASONS[n] : `Input ${n + 1}`));
  const products = () => names.map((_, n) => inputs[n] * weights[n]);
  const total = () => products().reduce((sum, each) => sum + each, bias);

  const rows = names.map((_, n) => ({
    input: slider("Input", { min: 0, max: 1, step: 0.1, value: inputs[n] }, (value) => {
      inputs = inputs.with(n, value);
      change({ inputs });
    }),
    weight: slider("Weight", { min: -5, max: 5, step: 0.1, value: weights[n] }, (value) => {
      weights = weights.with(n, value);
      change({ weights });
    }),
  }));
  const biasDial = slider("Bias", { min: -10, max: 10, step: 0.1, value: bias }, (value) => {
    bias = value;
    change({ bias });
  });
  const graph = plane("The neuron", drawGraph, { className: "graph" });
  const curves = Object.keys(ACTIVATIONS).map((name) => {
    const sheet = plane(name, (...place) => drawCurve(name, ...place));
    return { name, sheet, said: element("p", { class: "hint" }) };
  });
  const status = element("p", { class: "status", role: "status" });
  host.replaceChildren(
    element(
      "div",
      { class: "piece neuron" },
      element(
        "div",
        { class: "panes" },
        graph,
        element(
          "div",
          { class: "reasons" },
          ...rows.map(({ input, weight }, n) =>
            element("fieldset", {}, element("legend", {}, names[n]), input, weight),
          ),
          element("fieldset", {}, element("legend", {}, "Your mood"), biasDial),
        ),
      ),
      status,
      element(
        "div",
        { class: "three" },
        ...curves.map(({ name, sheet, said }) => element("div", {}, element("h3", {}, name), sheet, said)),
      ),
    ),
  );

  /** @param {Settings} changes */
  function change(changes) {
    changed(changes);
    redraw();
  }

  function redraw() {
    const sum = total();
    status.textContent =
      `${products()
        .map((each) => signed(each, 2))
        .join(" ")} ${signed(bias, 2)} = ${fixed(sum, 2)}. ` +
      (sum > 0 ? "More speaks for it than against it." : "More speaks against it than for it.");
    for (const { name, said } of curves) {
      const [apply, slope] = ACTIVATIONS[name];
      said.textContent = `output ${fixed(apply(sum), 2)}, slope ${fixed(slope(sum), 2)}`;
    }
    for (const each of [graph, ...curves.map(({ sheet }) => sheet)]) each.redraw();
  }

  /** @param {Sheet} sheet
      @param {number} width
      @param {number} height */
  function drawGraph(sheet, width, height) {
    const [left, right] = [26, width - 46];
    const from = (/** @type {number} */ n) => (height * (n + 0.5)) / (count + 1);
    const middle = height / 2;
    const link = (/** @type {number} */ n, /** @type {number} */ value, /** @type {number} */ strength) => {
      const [x, y] = [left + 0.6 * (right - left), from(n) + 0.6 * (middle - from(n))];
      return [
        svg("path", {
          class: "wire",
          "data-lit": strength > 0 ? "for" : strength < 0 ? "against" : "none",
          "stroke-width": 1 + 1.6 * Math.min(5, Math.abs(strength)),
          d: path([
            [left, from(n)],
            [right, middle],
          ]),
        }),
        svg("text", { class: "value", x, y: y - 10, "text-anchor": "middle" }, signed(value, 2)),
      ];
    };
    const node = (
      /** @type {number} */ x,
      /** @type {number} */ y,
      /** @type {number} */ r,
      /** @type {string} */ text,
    ) => [
      svg("circle", { class: "gate", cx: x, cy: y, r }),
      svg("text", { class: "sign", x, y: y + 6 }, text),
    ];
    sheet.replaceChildren(
      ...products().flatMap((each, n) => link(n, each, weights[n] * (inputs[n] ? 1 : 0.0001))),
      ...link(count, bias, bias / 2),
      ...names.flatMap((_, n) => node(left, from(n), 22, figure(inputs[n]))),
      ...node(left, from(count), 22, "1"),
      ...node(right, middle, 40, fixed(total(), 2)),
      svg("text", { class: "name", x: right, y: middle + 62, "text-anchor": "middle" }, "sum"),
    );
    set(sheet, { "aria-label": `The neuron: its sum is ${fixed(total(), 2)}` });
  }

  /** @param {string} name
      @param {Sheet} sheet
      @param {number} width
      @param {number} height */
  function drawCurve(name, sheet, width, height) {
    const [apply, slope, low, high] = ACTIVATIONS[name];
    const x = axis(-REACH, REACH, 34, width - 10);
    const y = axis(low, high, height - 26, 10);
    const at = Math.min(REACH, Math.max(-REACH, total()));
    const sums = Array.from({ length: 241 }, (_, n) => (n / 20 - 6) * (REACH / 6));
    const [dx, rise] = [1.6, slope(at) * 1.6];
    sheet.replaceChildren(
      grid(x, y, { dense: 0.7 }),
      svg("path", { class: "line series-0", d: path(sums.map((each) => [x(each), y(apply(each))])) }),
      svg("path", {
        class: "tangent",
        d: path([
          [x(at - dx), y(apply(at) - rise)],
          [x(at + dx), y(apply(at) + rise)],
        ]),
      }),
      svg("circle", { class: "ball", cx: x(at), cy: y(apply(at)), r: 7 }),
    );
    set(sheet, { "aria-label": `${name}: output ${fixed(apply(total()), 2)}` });
    sheet.axes = { x, y };
  }

  /** @param {number} next */
  function moveBias(next) {
    bias = Math.min(10, Math.max(-10, Number(next.toFixed(1))));
    biasDial.setValue(bias);
    change({ bias });
  }
  for (const { sheet } of curves) {
    onDrag(sheet.sheet, sheet.sheet, (px) => moveBias(bias + sheet.sheet.axes.x.back(px) - total()));
  }
  redraw();

  return {
    /** @param {Settings} next */
    set(next) {
      if (Math.min(next.inputs.length, next.weights.length) !== count) {
        this.unmount();
        Object.assign(this, mount(host, next, changed));
        return;
      }
      inputs = [...next.inputs];
      weights = [...next.weights];
      ({ bias } = next);
      rows.forEach(({ input, weight }, n) => {
        input.setValue(inputs[n]);
        weight.setValue(weights[n]);
      });
      biasDial.setValue(bias);
      redraw();
    },
    unmount() {
      for (const each of [graph, ...curves.map(({ sheet }) => sheet)]) each.stop();
      host.replaceChildren();
    },
  };
}
