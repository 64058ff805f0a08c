// Lesson 5, hands on: points of two classes, and two networks, of one layer and of two, that learn to
// separate them while you watch. Their answers are shown as colour behind the points.

import { contextOf } from "lanterna/canvas.js";
import {
  button,
  makeRandom,
  choice,
  onDrag,
  onArrowKeys,
  normal,
  plane,
  player,
  slider,
} from "lanterna/lessons/parts.js";
import { countParameters, logit, makeOptimiser, network } from "lanterna/lessons/net.js";
import { rgb, set, svg } from "lanterna/svg.js";
import { element, percent } from "lanterna/words.js";

/** @import { Net } from "lanterna/lessons/net.js" */
/** @import { Changed, Settings, Sheet } from "lanterna/lessons/parts.js" */

const REACH = 1.6; // of the plane, each way from the middle
const [POINTS, PIXELS, MAX_STEPS] = [160, 56, 3000];
const KINDS = ["rings", "xor", "moons", "two heaps", "your own"];
const NAMES = ["One layer", "Two layers"];

/** @param {HTMLElement} host
    @param {Settings} settings
    @param {Changed} changed */
export function mount(host, settings, changed) {
  let { points: kind, hidden, activation, seed } = settings;
  /** @type {number[][]} */
  let points = [];
  /** @type {number[]} */
  let classes = [];
  /** @type {{ net: Net, step: ReturnType<typeof makeOptimiser>, loss: number | null }[]} */
  let nets = [];
  let steps = 0;
  let pen = 0; // the class of the next point
  let cursor = [0, 0];

  const kinds = choice("Points", KINDS, kind, (value) => {
    kind = value;
    if (value !== "your own") notify({ points: value });
    reset(true);
  });
  const activations = choice(
    "Activation between the layers",
    ["relu", "tanh", "sigmoid", "none"],
    activation,
    (value) => {
      activation = value;
      notify({ activation });
      reset();
    },
  );
  const units = slider(
    "Hidden units",
    { min: 1, max: 32, integer: true, value: Math.min(32, hidden) },
    (value) => {
      hidden = value;
      notify({ hidden });
      reset();
    },
  );
  const train = player("Train", host, () => () => {
    learn(4);
    return steps < MAX_STEPS && points.length > 0;
  });
  const once = button("One step", () => {
    train.pause();
    learn(1);
  });
  const again = button("Start again with new weights", () => {
    seed += 1;
    reset();
  });
  const pens = choice("Class of the next point", ["amber", "blue"], "amber", (value) => {
    pen = value === "amber" ? 0 : 1;
  });
  const clear = button("Remove all points", () => {
    kind = "your own";
    kinds.setValue(kind);
    points = [];
    classes = [];
    reset();
  });
  const status = element("span", { class: "hint", role: "status" });
  const panes = NAMES.map((name, place) => {
    const light = element("canvas", { width: PIXELS, height: PIXELS, "aria-hidden": "true" });
    const top = plane(name, (sheet, width, height) => dots(sheet, width, height), {
      role: "application",
    });
    top.prepend(light);
    set(top.sheet, { tabindex: 0 });
    const graph = plane(
      `${name}: connections`,
      (sheet, width, height) => connections(place, sheet, width, height),
      { className: "graph" },
    );
    const stats = element("dl", { "aria-live": "polite" });
    onDrag(top.sheet, top.sheet, (px, py, event) => {
      if (event.type === "pointerdown") put(toPlane(px, top.clientWidth), -toPlane(py, top.clientHeight));
    });
    onArrowKeys(top.sheet, (dx, dy) => {
      cursor = [bounded(cursor[0] + 0.1 * dx), bounded(cursor[1] + 0.1 * dy)];
      top.redraw();
    });
    top.sheet.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        put(...cursor);
      }
    });
    return { name, light, top, graph, stats };
  });
  host.replaceChildren(
    element(
      "div",
      { class: "piece rings" },
      element("div", { class: "dials" }, kinds, activations, units),
      element(
        "div",
        { class: "two" },
        ...panes.map(({ name, top, graph, stats }) =>
          element("div", {}, element("h3", {}, name), top, stats, graph),
        ),
      ),
      element("div", { class: "tools" }, train, once, again, status),
      element(
        "div",
        { class: "tools" },
        element("span", { class: "hint" }, "Click in a picture to add a point:"),
        pens,
        clear,
      ),
    ),
  );

  const notify = (changes) => {
    settings = { ...settings, ...changes };
    changed(changes);
  };
  const bounded = (value) => Math.min(REACH, Math.max(-REACH, value));
  const toPlane = (pixel, side) => bounded((pixel / side) * 2 * REACH - REACH);

  function put(x, y) {
    kind = "your own";
    kinds.setValue(kind);
    points = [...points, [x, y]];
    classes = [...classes, pen];
    draw();
  }

  function reset(resample = false) {
    train.pause();
    if (resample && kind !== "your own") [points, classes] = sample(kind, seed);
    const random = makeRandom(seed + 1);
    nets = [network([2, 1], activation, random), network([2, hidden, 1], activation, random)].map((net) => ({
      net,
      step: makeOptimiser(net),
      loss: null,
    }));
    steps = 0;
    draw();
  }

  function learn(count) {
    if (points.length) {
      for (const each of nets) for (let n = 0; n < count; n += 1) each.loss = each.step(points, classes);
      steps += count;
    }
    draw();
  }

  function draw() {
    const colours = [rgb(host, "--for"), rgb(host, "--against")];
    panes.forEach(({ light, top, graph, stats }, place) => {
      colour(light, nets[place].net, colours);
      top.redraw();
      graph.redraw();
      const right = points.filter(
        (point, n) => logit(nets[place].net, point) > 0 === (classes[n] === 1),
      ).length;
      const { connections, parameters } = countParameters(nets[place].net);
      stats.replaceChildren(
        ...Object.entries({
          accuracy: points.length ? percent(right / points.length) : "no points",
          connections,
          parameters,
          loss: nets[place].loss?.toFixed(3) ?? "–",
        }).map(([name, value]) =>
          element("div", {}, element("dt", {}, name), element("dd", {}, String(value))),
        ),
      );
      set(top.sheet, {
        "aria-label":
          `${NAMES[place]}: ${points.length} points, ${right} of them right. ` +
          "Arrow keys move a cursor, Enter adds a point.",
      });
    });
    status.textContent = `${steps} step${steps === 1 ? "" : "s"}`;
  }

  /** @param {Sheet} sheet
      @param {number} width
      @param {number} height */
  function dots(sheet, width, height) {
    /** @param {number[]} point */
    const at = ([x, y]) => ({
      cx: ((x + REACH) / (2 * REACH)) * width,
      cy: ((REACH - y) / (2 * REACH)) * height,
    });
    const { cx, cy } = at(cursor);
    sheet.replaceChildren(
      ...points.map((point, n) => svg("circle", { class: `mark series-${classes[n]}`, ...at(point), r: 4 })),
      svg("path", { class: "cursor", d: `M${cx - 9} ${cy}h18M${cx} ${cy - 9}v18` }),
    );
  }

  /** @param {number} place
      @param {Sheet} sheet
      @param {number} width
      @param {number} height */
  function connections(place, sheet, width, height) {
    const { layers } = nets[place].net;
    const sizes = [2, ...layers.map(({ to }) => to)];
    const spot = (column, row) => [
      24 + (column * (width - 48)) / 2,
      sizes[column] === 1
        ? height / 2
        : 10 +
          ((row + (sizes[column] === 2 ? 0.75 : 0)) * (height - 20)) /
            (sizes[column] === 2 ? 2.5 : sizes[column] - 1),
    ];
    const last = layers.length - 1;
    const to = (column) => (last === 0 && column === 1 ? 2 : column);
    const place_ = (column, row) => [spot(to(column), 0)[0], spot(column, row)[1]];
    sheet.replaceChildren();
    layers.forEach(({ from, weights }, column) =>
      weights.forEach((weight, n) => {
        const [[x1, y1], [x2, y2]] = [place_(column, n % from), place_(column + 1, Math.floor(n / from))];
        sheet.append(
          svg("line", {
            class: "link",
            "data-sign": weight > 0 ? 1 : -1,
            "stroke-width": Math.min(5, 0.4 + 1.1 * Math.abs(weight)),
            x1,
            y1,
            x2,
            y2,
          }),
        );
      }),
    );
    sizes.forEach((count, column) => {
      for (let row = 0; row < count; row += 1) {
        const [cx, cy] = place_(column, row);
        sheet.append(svg("circle", { class: "node", cx, cy, r: count > 16 ? 2.5 : 5 }));
      }
    });
  }

  reset(true);
  return {
    set(next) {
      const other = next.points !== settings.points || next.seed !== settings.seed;
      if (other) ({ points: kind, seed } = next);
      ({ hidden, activation } = next);
      settings = next;
      kinds.setValue(kind);
      activations.setValue(activation);
      units.setValue(Math.min(32, hidden));
      hidden = Math.min(32, hidden);
      reset(other);
    },
    unmount() {
      train.pause();
      for (const { top, graph } of panes) {
        top.stop();
        graph.stop();
      }
      host.replaceChildren();
    },
  };
}

/** Colour the plane by the network's answer: amber or blue, brighter where it is surer.
    @param {HTMLCanvasElement} canvas
    @param {Net} net
    @param {number[][]} colours */
function colour(canvas, net, [amber, blue]) {
  const context = contextOf(canvas);
  const image = context.createImageData(PIXELS, PIXELS);
  for (let row = 0; row < PIXELS; row += 1) {
    for (let column = 0; column < PIXELS; column += 1) {
      const z = logit(net, [
        ((column + 0.5) / PIXELS) * 2 * REACH - REACH,
        REACH - ((row + 0.5) / PIXELS) * 2 * REACH,
      ]);
      image.data.set(
        [...(z > 0 ? blue : amber), 150 * Math.tanh(Math.abs(z) / 2)],
        4 * (row * PIXELS + column),
      );
    }
  }
  context.putImageData(image, 0, 0);
}

/** Draw points `[x, y]` and their classes, distributed as in lanterna/lessons/layers.py.
    @param {string} kind
    @param {number} seed
    @returns {[points: number[][], classes: number[]]} */
export function sample(kind, seed) {
  const random = makeRandom(seed);
  const classes = Array.from({ length: POINTS }, (_, n) => n % 2);
  const points = classes.map((which) => {
    const noise = [0.1 * normal(random), 0.1 * normal(random)];
    const angle = 2 * Math.PI * random();
    const corner = random() < 0.5 ? 0 : 1;
    if (kind === "rings")
      return [Math.cos(angle), Math.sin(angle)].map((each, i) => (which ? 1 : 0.35) * each + noise[i]);
    if (kind === "moons")
      return [Math.cos(angle / 2) - 0.5, Math.sin(angle / 2) - 0.25].map(
        (each, i) => (which ? -each : each) + noise[i],
      );
    if (kind === "xor") return [corner, corner ^ which].map((each, i) => 0.7 * (2 * each - 1) + 2 * noise[i]);
    return [0, 1].map((i) => 1.4 * which - 0.7 + 2 * noise[i]);
  });
  return [points, classes];
}
