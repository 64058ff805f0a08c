// Lesson 5, by hand: points of two classes, and two networks that learn them apart before your eyes, one of
// one layer, one of two. What they answer lies as light beneath the points.

import { contextOf } from "lanterna/canvas.js";
import { button, chance, choice, dragged, keyed, normal, plane, slider } from "lanterna/lessons/parts.js";
import { counted, learner, logit, network } from "lanterna/lessons/net.js";
import { rgb, set, svg } from "lanterna/svg.js";
import { element, percent } from "lanterna/words.js";

/** @import { Net } from "lanterna/lessons/net.js" */
/** @import { Changed, Settings, Sheet } from "lanterna/lessons/parts.js" */

const REACH = 1.6; // of the plane, each way from the middle
const [POINTS, FINE, MOST] = [160, 56, 3000];
const KINDS = ["rings", "xor", "moons", "two heaps", "your own"];
const NAMES = ["One layer", "Two layers"];

/** @param {HTMLElement} host
    @param {Settings} settings
    @param {Changed} changed */
export function mount(host, settings, changed) {
  let { points: kind, hidden, bend, seed } = settings;
  /** @type {number[][]} */
  let points = [];
  /** @type {number[]} */
  let classes = [];
  /** @type {{ net: Net, step: ReturnType<typeof learner>, cost: number | null }[]} */
  let nets = [];
  let steps = 0;
  let running = false;
  let pen = 0; // the class of a point that is put down
  let cursor = [0, 0];

  const kinds = choice("Points", KINDS, kind, (value) => {
    kind = value;
    if (value !== "your own") tell({ points: value });
    fresh(true);
  });
  const bends = choice(
    "What stands between the layers",
    ["relu", "tanh", "sigmoid", "none"],
    bend,
    (value) => {
      bend = value;
      tell({ bend });
      fresh();
    },
  );
  const units = slider(
    "Hidden units",
    { least: 1, most: 32, whole: true, value: Math.min(32, hidden) },
    (value) => {
      hidden = value;
      tell({ hidden });
      fresh();
    },
  );
  const train = button("Train", () => (running ? rest() : run()), { class: "primary" });
  const once = button("One step", () => {
    rest();
    learn(1);
  });
  const again = button("Again, from other weights", () => {
    seed += 1;
    fresh();
  });
  const pens = choice("Press in a plane to put down a point of", ["amber", "blue"], "amber", (value) => {
    pen = value === "amber" ? 0 : 1;
  });
  const clear = button("No points", () => {
    kind = "your own";
    kinds.put(kind);
    points = [];
    classes = [];
    fresh();
  });
  const told = element("span", { class: "hint", role: "status" });
  const panes = NAMES.map((name, place) => {
    const light = element("canvas", { width: FINE, height: FINE, "aria-hidden": "true" });
    const top = plane(name, (sheet, width, height) => dots(sheet, width, height), {
      role: "application",
    });
    top.prepend(light);
    set(top.sheet, { tabindex: 0 });
    const wires = plane(
      `${name}: its connections`,
      (sheet, width, height) => links(place, sheet, width, height),
      { className: "wires" },
    );
    const said = element("dl", { "aria-live": "polite" });
    dragged(top.sheet, top.sheet, (px, py, event) => {
      if (event.type === "pointerdown") put(toPlane(px, top.clientWidth), -toPlane(py, top.clientHeight));
    });
    keyed(top.sheet, (dx, dy) => {
      cursor = [bounded(cursor[0] + 0.1 * dx), bounded(cursor[1] + 0.1 * dy)];
      top.again();
    });
    top.sheet.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        put(...cursor);
      }
    });
    return { name, light, top, wires, said };
  });
  host.replaceChildren(
    element(
      "div",
      { class: "piece rings" },
      element("div", { class: "dials" }, kinds, bends, units),
      element(
        "div",
        { class: "two" },
        ...panes.map(({ name, top, wires, said }) =>
          element("div", {}, element("h3", {}, name), top, said, wires),
        ),
      ),
      element("div", { class: "tools" }, train, once, again, told),
      element(
        "div",
        { class: "tools" },
        element("span", { class: "hint" }, "Press in a plane to put down a point:"),
        pens,
        clear,
      ),
    ),
  );

  const tell = (changes) => {
    settings = { ...settings, ...changes };
    changed(changes);
  };
  const bounded = (value) => Math.min(REACH, Math.max(-REACH, value));
  const toPlane = (pixel, side) => bounded((pixel / side) * 2 * REACH - REACH);

  function put(x, y) {
    kind = "your own";
    kinds.put(kind);
    points = [...points, [x, y]];
    classes = [...classes, pen];
    draw();
  }

  function fresh(also = false) {
    rest();
    if (also && kind !== "your own") [points, classes] = sample(kind, seed);
    const random = chance(seed + 1);
    nets = [network([2, 1], bend, random), network([2, hidden, 1], bend, random)].map((net) => ({
      net,
      step: learner(net),
      cost: null,
    }));
    steps = 0;
    draw();
  }

  function learn(count) {
    if (points.length) {
      for (const each of nets) for (let n = 0; n < count; n += 1) each.cost = each.step(points, classes);
      steps += count;
    }
    draw();
  }

  function run() {
    running = true;
    train.textContent = "Pause";
    const frame = () => {
      if (!running) return;
      learn(4);
      if (steps >= MOST || !points.length) rest();
      else requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  }
  function rest() {
    running = false;
    train.textContent = "Train";
  }

  function draw() {
    const colours = [rgb(host, "--for"), rgb(host, "--against")];
    panes.forEach(({ light, top, wires, said }, place) => {
      shine(light, nets[place].net, colours);
      top.again();
      wires.again();
      const right = points.filter(
        (point, n) => logit(nets[place].net, point) > 0 === (classes[n] === 1),
      ).length;
      const { links: many, numbers } = counted(nets[place].net);
      said.replaceChildren(
        ...Object.entries({
          "told apart": points.length ? percent(right / points.length) : "no points",
          connections: many,
          "with biases": numbers,
          cost: nets[place].cost?.toFixed(3) ?? "–",
        }).map(([name, value]) =>
          element("div", {}, element("dt", {}, name), element("dd", {}, String(value))),
        ),
      );
      set(top.sheet, {
        "aria-label":
          `${NAMES[place]}: ${points.length} points, ${right} told apart. ` +
          "Arrow keys move a mark, Enter puts down a point.",
      });
    });
    told.textContent = `${steps} steps`;
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

  // Every node is joined to every node of the next layer.
  /** @param {number} place
      @param {Sheet} sheet
      @param {number} width
      @param {number} height */
  function links(place, sheet, width, height) {
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

  fresh(true);
  return {
    set(next) {
      const other = next.points !== settings.points || next.seed !== settings.seed;
      if (other) ({ points: kind, seed } = next);
      ({ hidden, bend } = next);
      settings = next;
      kinds.put(kind);
      bends.put(bend);
      units.put(Math.min(32, hidden));
      hidden = Math.min(32, hidden);
      fresh(other);
    },
    unmount() {
      rest();
      for (const { top, wires } of panes) {
        top.end();
        wires.end();
      }
      host.replaceChildren();
    },
  };
}

/** The answer over the plane: amber or blue, the brighter the surer.
    @param {HTMLCanvasElement} canvas
    @param {Net} net
    @param {number[][]} colours */
function shine(canvas, net, [amber, blue]) {
  const context = contextOf(canvas);
  const image = context.createImageData(FINE, FINE);
  for (let row = 0; row < FINE; row += 1) {
    for (let column = 0; column < FINE; column += 1) {
      const z = logit(net, [
        ((column + 0.5) / FINE) * 2 * REACH - REACH,
        REACH - ((row + 0.5) / FINE) * 2 * REACH,
      ]);
      image.data.set(
        [...(z > 0 ? blue : amber), 150 * Math.tanh(Math.abs(z) / 2)],
        4 * (row * FINE + column),
      );
    }
  }
  context.putImageData(image, 0, 0);
}

/** Points `[x, y]` of a kind, and which class each is of; as in lanterna/lessons/layers.py, by another
    chance.
    @param {string} kind
    @param {number} seed
    @returns {[points: number[][], classes: number[]]} */
export function sample(kind, seed) {
  const random = chance(seed);
  const classes = Array.from({ length: POINTS }, (_, n) => n % 2);
  const points = classes.map((which) => {
    const noise = [0.1 * normal(random), 0.1 * normal(random)];
    const turn = 2 * Math.PI * random();
    const corner = random() < 0.5 ? 0 : 1;
    if (kind === "rings")
      return [Math.cos(turn), Math.sin(turn)].map((each, i) => (which ? 1 : 0.35) * each + noise[i]);
    if (kind === "moons")
      return [Math.cos(turn / 2) - 0.5, Math.sin(turn / 2) - 0.25].map(
        (each, i) => (which ? -each : each) + noise[i],
      );
    if (kind === "xor") return [corner, corner ^ which].map((each, i) => 0.7 * (2 * each - 1) + 2 * noise[i]);
    return [0, 1].map((i) => 1.4 * which - 0.7 + 2 * noise[i]);
  });
  return [points, classes];
}
