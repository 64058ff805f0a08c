// Lesson 6, by hand: a ball on a hill with several valleys, let go where you like; three ways down, side by
// side. Beneath it a valley of two parameters, seen from above.

import { button, dragged, keyed, plane, slider } from "lanterna/lessons/parts.js";
import { cost, cost2, fate, slope, slope2, walk, WAYS } from "lanterna/lessons/walks.js";
import { axis, grid, light, path, set, svg } from "lanterna/svg.js";
import { element, figure } from "lanterna/words.js";

/** @import { Changed, Settings, Sheet } from "lanterna/lessons/parts.js" */

const NAMES = { plain: "Plain", momentum: "With momentum", adam: "Adam" };
const [WIDE, LOW, HIGH] = [10, -1.6, 11.5];
const [ACROSS, UP] = [7, 4];
const FINE = 420; // the surface is computed on so many columns

/** @param {HTMLElement} host
    @param {Settings} settings
    @param {Changed} changed */
export function mount(host, settings, changed) {
  let { start, rate, steps } = settings;
  let start2 = [-6, 3];
  let now = steps; // how much of the walks is shown
  let timer = null;
  /** @type {Record<string, number[][]>} */
  const walks = {};
  /** @type {Record<string, number[][]>} */
  const walks2 = {};

  const dials = {
    start: slider("Start", { least: -10, most: 10, step: 0.1, value: start }, (value) =>
      move({ start: value }),
    ),
    rate: slider("Learning rate", { least: 0.001, most: 10, log: true, value: rate }, (value) =>
      move({ rate: value }),
    ),
    steps: slider("Steps", { least: 1, most: 300, whole: true, value: Math.min(300, steps) }, (value) =>
      move({ steps: value }),
    ),
  };
  const play = button("Watch it go", () => (timer ? rest() : run()), { class: "primary" });
  const step = button("One step", () => {
    rest();
    now = now >= steps ? 0 : now + 1;
    draw();
  });
  const count = element("span", { class: "hint", role: "status" });
  const hills = WAYS.map((way) =>
    plane(`The hill, ${NAMES[way]}`, (sheet, width, height) => hill(way, sheet, width, height)),
  );
  const told = WAYS.map(() => element("p", { class: "hint", role: "status" }));
  const top = plane("A cost of two parameters from above", above, {
    role: "application",
    className: "top-view",
  });
  const told2 = element("ul", { class: "fates", "aria-live": "polite" });
  set(top.sheet, {
    tabindex: 0,
    "aria-label": "A cost of two parameters from above: arrow keys move where the walks begin",
  });
  host.replaceChildren(
    element(
      "div",
      { class: "piece hill" },
      element("div", { class: "dials" }, ...Object.values(dials)),
      element(
        "div",
        { class: "three" },
        ...WAYS.map((way, place) =>
          element(
            "div",
            { class: `series-${place}` },
            element("h3", {}, NAMES[way]),
            hills[place],
            told[place],
          ),
        ),
      ),
      element("div", { class: "tools" }, play, step, count),
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
            "Each band is a height; the valleys have the colour of the page. " +
              "Press where the walks are to begin.",
          ),
          told2,
        ),
      ),
    ),
  );

  function move(changes) {
    start = changes.start ?? start;
    rate = changes.rate ?? rate;
    steps = changes.steps ?? steps;
    now = steps;
    rest();
    changed(changes);
    work();
  }

  function work() {
    for (const way of WAYS) {
      walks[way] = walk([start], rate, steps, way, slope);
      walks2[way] = walk(start2, rate, steps, way, slope2);
    }
    draw();
  }

  function draw() {
    for (const each of [...hills, top]) each.again();
    WAYS.forEach((way, place) => {
      told[place].textContent = fate(walks[way].slice(0, now + 1), slope, cost);
    });
    told2.replaceChildren(
      ...WAYS.map((way, place) =>
        element(
          "li",
          { class: `series-${place}` },
          `${NAMES[way]}: ${fate(walks2[way].slice(0, now + 1), slope2, cost2)}`,
        ),
      ),
    );
    count.textContent = `after ${Math.min(now, steps)} of ${steps} steps`;
  }

  /** @param {string} way
      @param {Sheet} sheet
      @param {number} width
      @param {number} height */
  function hill(way, sheet, width, height) {
    const x = axis(-WIDE, WIDE, 34, width - 8);
    const y = axis(LOW, HIGH, height - 30, 14);
    const clip = (value) => Math.min(HIGH + 3, value);
    const ground = Array.from({ length: 201 }, (_, at) => at / 10 - WIDE);
    const places = walks[way].slice(0, now + 1).map(([at]) => [x(at), y(clip(cost(at)))]);
    const inside = places.filter(([px]) => px > x(-WIDE) - 2 && px < x(WIDE) + 2);
    sheet.replaceChildren(
      grid(x, y),
      svg("path", { class: "ground", d: path(ground.map((at) => [x(at), y(cost(at))])) }),
      svg("path", {
        class: "trail",
        d: path(places.map(([px, py]) => [Math.min(width + 20, Math.max(-20, px)), Math.max(-20, py)])),
      }),
      ...inside.slice(0, -1).map(([cx, cy]) => svg("circle", { class: "mark", cx, cy, r: 2.5 })),
      svg("circle", { class: "begun", cx: x(start), cy: y(cost(start)), r: 4 }),
    );
    const end = places[places.length - 1];
    if (end === inside.at(-1)) sheet.append(svg("circle", { class: "ball", cx: end[0], cy: end[1], r: 7 }));
    set(sheet, {
      "aria-label":
        `The hill, ${NAMES[way]}, from ${figure(start)}: ` + fate(walks[way].slice(0, now + 1), slope, cost),
    });
    sheet.axes = { x, y };
  }

  for (const each of hills) {
    dragged(each.sheet, each.sheet, (px) => {
      const value = Math.min(WIDE, Math.max(-WIDE, Number(each.sheet.axes.x.back(px).toFixed(2))));
      dials.start.put(value);
      move({ start: value });
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
    WAYS.forEach((way, place) => {
      const places = walks2[way]
        .slice(0, now + 1)
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
    sheet.append(svg("circle", { class: "begun", cx: x(start2[0]), cy: y(start2[1]), r: 4 }));
    sheet.axes = { x, y };
  }

  function begin2(px, py) {
    start2 = [Math.min(ACROSS, Math.max(-ACROSS, px)), Math.min(UP, Math.max(-UP, py))];
    rest();
    now = steps;
    work();
  }
  dragged(top.sheet, top.sheet, (px, py) => begin2(top.sheet.axes.x.back(px), top.sheet.axes.y.back(py)));
  keyed(top.sheet, (dx, dy) => begin2(start2[0] + 0.2 * dx, start2[1] + 0.2 * dy));

  function run() {
    if (now >= steps) now = 0;
    play.textContent = "Pause";
    timer = setInterval(() => {
      now += Math.max(1, Math.round(steps / 150));
      if (now >= steps) rest();
      draw();
    }, 60);
  }
  function rest() {
    clearInterval(timer);
    timer = null;
    now = Math.min(now, steps);
    play.textContent = "Watch it go";
  }

  work();
  return {
    set(next) {
      ({ start, rate, steps } = next);
      now = steps;
      rest();
      for (const [name, dial] of Object.entries(dials)) dial.put(next[name]);
      work();
    },
    unmount() {
      rest();
      for (const each of [...hills, top]) each.end();
      host.replaceChildren();
    },
  };
}

function rows() {
  const high = Math.round((FINE * UP) / ACROSS);
  return Array.from({ length: high }, (_, row) =>
    Array.from({ length: FINE }, (_, column) =>
      cost2(((column + 0.5) / FINE) * 2 * ACROSS - ACROSS, ((row + 0.5) / high) * 2 * UP - UP),
    ),
  );
}
