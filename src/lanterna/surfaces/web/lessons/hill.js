// Lesson 6, hands on: a ball on a hill with several valleys, released anywhere, and three optimisers side by
// side. Below it, a valley of two parameters from above.

import { button, onDrag, onArrowKeys, plane, slider } from "lanterna/lessons/parts.js";
import {
  cost,
  cost2,
  derivative,
  descend,
  describe,
  gradient2,
  OPTIMISERS,
} from "lanterna/lessons/descent.js";
import { axis, grid, light, path, set, svg } from "lanterna/svg.js";
import { element, figure } from "lanterna/words.js";

/** @import { Changed, Settings, Sheet } from "lanterna/lessons/parts.js" */

const NAMES = { plain: "Plain", momentum: "With momentum", adam: "Adam" };
const [WIDE, LOW, HIGH] = [10, -1.6, 11.5];
const [ACROSS, UP] = [7, 4];
const COLUMNS = 420; // of the surface

/** @param {HTMLElement} host
    @param {Settings} settings
    @param {Changed} changed */
export function mount(host, settings, changed) {
  let { start, rate, steps } = settings;
  let start2 = [-6, 3];
  let shown = steps; // of each run
  let timer = null;
  /** @type {Record<string, number[][]>} */
  const paths = {};
  /** @type {Record<string, number[][]>} */
  const paths2 = {};

  const dials = {
    start: slider("Start", { min: -10, max: 10, step: 0.1, value: start }, (value) =>
      change({ start: value }),
    ),
    rate: slider("Learning rate", { min: 0.001, max: 10, log: true, value: rate }, (value) =>
      change({ rate: value }),
    ),
    steps: slider("Steps", { min: 1, max: 300, integer: true, value: Math.min(300, steps) }, (value) =>
      change({ steps: value }),
    ),
  };
  const playButton = button("Play", () => (timer ? pause() : play()), { class: "primary" });
  const step = button("One step", () => {
    pause();
    shown = shown >= steps ? 0 : shown + 1;
    draw();
  });
  const count = element("span", { class: "hint", role: "status" });
  const hills = OPTIMISERS.map((optimiser) =>
    plane(`The hill, ${NAMES[optimiser]}`, (sheet, width, height) => hill(optimiser, sheet, width, height)),
  );
  const statuses = OPTIMISERS.map(() => element("p", { class: "hint", role: "status" }));
  const top = plane("A cost of two parameters from above", above, {
    role: "application",
    className: "top-view",
  });
  const statuses2 = element("ul", { class: "outcomes", "aria-live": "polite" });
  set(top.sheet, {
    tabindex: 0,
    "aria-label": "A cost of two parameters from above: arrow keys move the start",
  });
  host.replaceChildren(
    element(
      "div",
      { class: "piece hill" },
      element("div", { class: "dials" }, ...Object.values(dials)),
      element(
        "div",
        { class: "three" },
        ...OPTIMISERS.map((optimiser, place) =>
          element(
            "div",
            { class: `series-${place}` },
            element("h3", {}, NAMES[optimiser]),
            hills[place],
            statuses[place],
          ),
        ),
      ),
      element("div", { class: "tools" }, playButton, step, count),
      element(
        "div",
        { class: "panes" },
        top,
        element(
          "div",
          {},
          element("h3", {}, "Two parameters, from above"),
          element(
            "p",
            { class: "hint" },
            "Each band is a height; the valleys have the colour of the page. Click to choose the start.",
          ),
          statuses2,
        ),
      ),
    ),
  );

  function change(changes) {
    start = changes.start ?? start;
    rate = changes.rate ?? rate;
    steps = changes.steps ?? steps;
    shown = steps;
    pause();
    changed(changes);
    update();
  }

  function update() {
    for (const optimiser of OPTIMISERS) {
      paths[optimiser] = descend([start], rate, steps, optimiser, derivative);
      paths2[optimiser] = descend(start2, rate, steps, optimiser, gradient2);
    }
    draw();
  }

  function draw() {
    for (const each of [...hills, top]) each.redraw();
    OPTIMISERS.forEach((optimiser, place) => {
      statuses[place].textContent = describe(paths[optimiser].slice(0, shown + 1), derivative, cost);
    });
    statuses2.replaceChildren(
      ...OPTIMISERS.map((optimiser, place) =>
        element(
          "li",
          { class: `series-${place}` },
          `${NAMES[optimiser]}: ${describe(paths2[optimiser].slice(0, shown + 1), gradient2, cost2)}`,
        ),
      ),
    );
    count.textContent = `after ${Math.min(shown, steps)} of ${steps} steps`;
  }

  /** @param {string} optimiser
      @param {Sheet} sheet
      @param {number} width
      @param {number} height */
  function hill(optimiser, sheet, width, height) {
    const x = axis(-WIDE, WIDE, 34, width - 8);
    const y = axis(LOW, HIGH, height - 30, 14);
    const clip = (value) => Math.min(HIGH + 3, value);
    const ground = Array.from({ length: 201 }, (_, at) => at / 10 - WIDE);
    const places = paths[optimiser].slice(0, shown + 1).map(([at]) => [x(at), y(clip(cost(at)))]);
    const inside = places.filter(([px]) => px > x(-WIDE) - 2 && px < x(WIDE) + 2);
    sheet.replaceChildren(
      grid(x, y),
      svg("path", { class: "ground", d: path(ground.map((at) => [x(at), y(cost(at))])) }),
      svg("path", {
        class: "trail",
        d: path(places.map(([px, py]) => [Math.min(width + 20, Math.max(-20, px)), Math.max(-20, py)])),
      }),
      ...inside.slice(0, -1).map(([cx, cy]) => svg("circle", { class: "mark", cx, cy, r: 2.5 })),
      svg("circle", { class: "origin", cx: x(start), cy: y(cost(start)), r: 4 }),
    );
    const end = places[places.length - 1];
    if (end === inside.at(-1)) sheet.append(svg("circle", { class: "ball", cx: end[0], cy: end[1], r: 7 }));
    set(sheet, {
      "aria-label":
        `The hill, ${NAMES[optimiser]}, from ${figure(start)}: ` +
        describe(paths[optimiser].slice(0, shown + 1), derivative, cost),
    });
    sheet.axes = { x, y };
  }

  for (const each of hills) {
    onDrag(each.sheet, each.sheet, (px) => {
      const value = Math.min(WIDE, Math.max(-WIDE, Number(each.sheet.axes.x.back(px).toFixed(2))));
      dials.start.setValue(value);
      change({ start: value });
    });
  }

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
    OPTIMISERS.forEach((optimiser, place) => {
      const places = paths2[optimiser]
        .slice(0, shown + 1)
        .map(([px, py]) => [x(Math.min(99, Math.max(-99, px))), y(Math.min(99, Math.max(-99, py)))]);
      const [cx, cy] = places[places.length - 1];
      sheet.append(
        svg(
          "g",
          { class: `series-${place}` },
          svg("path", { class: "trail", d: path(places) }),
          svg("circle", { class: "ball", cx, cy, r: 6 }),
        ),
      );
    });
    sheet.append(svg("circle", { class: "origin", cx: x(start2[0]), cy: y(start2[1]), r: 4 }));
    sheet.axes = { x, y };
  }

  function setStart2(px, py) {
    start2 = [Math.min(ACROSS, Math.max(-ACROSS, px)), Math.min(UP, Math.max(-UP, py))];
    pause();
    shown = steps;
    update();
  }
  onDrag(top.sheet, top.sheet, (px, py) => setStart2(top.sheet.axes.x.back(px), top.sheet.axes.y.back(py)));
  onArrowKeys(top.sheet, (dx, dy) => setStart2(start2[0] + 0.2 * dx, start2[1] + 0.2 * dy));

  function play() {
    if (shown >= steps) shown = 0;
    playButton.textContent = "Pause";
    timer = setInterval(() => {
      shown += Math.max(1, Math.round(steps / 150));
      if (shown >= steps) pause();
      draw();
    }, 60);
  }
  function pause() {
    clearInterval(timer);
    timer = null;
    shown = Math.min(shown, steps);
    playButton.textContent = "Play";
  }

  update();
  return {
    set(next) {
      ({ start, rate, steps } = next);
      shown = steps;
      pause();
      for (const [name, dial] of Object.entries(dials)) dial.setValue(next[name]);
      update();
    },
    unmount() {
      pause();
      for (const each of [...hills, top]) each.stop();
      host.replaceChildren();
    },
  };
}

function rows() {
  const high = Math.round((COLUMNS * UP) / ACROSS);
  return Array.from({ length: high }, (_, row) =>
    Array.from({ length: COLUMNS }, (_, column) =>
      cost2(((column + 0.5) / COLUMNS) * 2 * ACROSS - ACROSS, ((row + 0.5) / high) * 2 * UP - UP),
    ),
  );
}
