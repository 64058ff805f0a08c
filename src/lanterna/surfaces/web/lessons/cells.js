// Lesson 20, hands on: cells that live by the number of their living neighbours, and a rule to change.

import { button, choice, makeRandom, player, slider } from "lanterna/lessons/parts.js";
import { drawOn, pixels } from "lanterna/lessons/pixels.js";
import { set } from "lanterna/svg.js";
import { count, element } from "lanterna/words.js";

/** @import { Changed, Settings } from "lanterna/lessons/parts.js" */

const [COLUMNS, ROWS] = [96, 64];
const BRUSH = 5; // cells of its radius when it wipes
const FADES = 0.8; // how much light is left of a dead cell after each step
/** @type {Record<string, [born: string, survives: string]>} */
const RULES = {
  life: ["3", "23"],
  maze: ["3", "12345"],
  coral: ["3", "45678"],
  vote: ["4678", "35678"],
  copies: ["1357", "1357"],
};

/** The cells of a torus after a step, 1 if alive.
    @param {Uint8Array} alive
    @param {number} columns
    @param {number} rows
    @param {string} born - the numbers of living neighbours with which a dead cell comes alive
    @param {string} survives - and with which a living one stays so */
export function stepped(alive, columns, rows, born, survives) {
  const next = [born, survives].map((text) => Array.from({ length: 9 }, (_, n) => text.includes(`${n}`)));
  const after = new Uint8Array(alive.length);
  for (let row = 0; row < rows; row += 1) {
    const lines = [row + rows - 1, row, row + 1].map((each) => (each % rows) * columns);
    for (let column = 0; column < columns; column += 1) {
      const [left, right] = [(column + columns - 1) % columns, (column + 1) % columns];
      let sum = -alive[lines[1] + column];
      for (const line of lines) sum += alive[line + left] + alive[line + column] + alive[line + right];
      after[lines[1] + column] = next[alive[lines[1] + column]][sum] ? 1 : 0;
    }
  }
  return after;
}

/** @param {HTMLElement} host
    @param {Settings} settings
    @param {Changed} changed */
export function mount(host, settings, changed) {
  let { born, survives } = settings;
  /** @type {Uint8Array} */
  let alive;
  /** @type {Float64Array} */
  let light;
  let [steps, brush, rate, seed] = [0, "draw", 12, 1];
  let due = 0;

  const presets = choice("Rule", Object.keys(RULES), "", (value) => {
    [born, survives] = RULES[value];
    notify();
  });
  const counts = (/** @type {string} */ name, /** @type {number} */ which) =>
    Array.from({ length: 9 }, (_, n) =>
      button(`${n}`, () => toggle(which, `${n}`), { "aria-label": `${name} with ${n} living neighbours` }),
    );
  const rule = [counts("Born", 0), counts("Survives", 1)];
  const brushes = choice("Brush", ["draw", "wipe"], brush, (value) => {
    brush = value;
  });
  const speed = slider(
    "Steps a second",
    { min: 1, max: 60, log: true, integer: true, value: rate },
    (value) => {
      rate = value;
    },
  );
  const run = player("Run", host, () => live, report);
  const board = pixels("The cells", COLUMNS, ROWS, { role: "application" });
  const status = element("p", { class: "status", role: "status" });
  set(board.sheet, { "aria-label": "The cells: draw with the pointer, or with arrow keys and Space" });
  host.replaceChildren(
    element(
      "div",
      { class: "piece automaton" },
      element("div", { class: "dials" }, element("span", {}, "Rule"), presets),
      element(
        "div",
        { class: "rule" },
        ...rule.flatMap((squares, which) => [
          element("span", {}, which ? "Survives with" : "Born with"),
          element("div", { role: "group", "aria-label": which ? "Survives with" : "Born with" }, ...squares),
        ]),
      ),
      board,
      status,
      element(
        "div",
        { class: "tools" },
        run,
        button("One step", () => {
          run.pause();
          step();
          report();
        }),
        button("Random start", scatter),
        button("Empty", () => start(new Uint8Array(COLUMNS * ROWS))),
        brushes,
        speed,
      ),
    ),
  );

  /** @param {number} which
      @param {string} n */
  function toggle(which, n) {
    const text = which ? survives : born;
    const next = text.includes(n) ? text.replace(n, "") : [...text, n].sort().join("");
    if (which) survives = next;
    else born = next;
    notify();
  }

  function notify() {
    changed({ born, survives });
    showRule();
  }

  function showRule() {
    const found = Object.keys(RULES).find((name) => RULES[name].join() === [born, survives].join());
    presets.setValue(found ?? "");
    rule.forEach((squares, which) =>
      squares.forEach((square, n) =>
        set(square, { "aria-pressed": (which ? survives : born).includes(`${n}`) }),
      ),
    );
  }

  function step() {
    alive = stepped(alive, COLUMNS, ROWS, born, survives);
    light = light.map((value, at) => (alive[at] ? 1 : Math.min(0.4, value * FADES)));
    steps += 1;
    board.show(light);
  }

  function live(/** @type {number} */ now) {
    if (now < due) return;
    due = now + 1000 / rate;
    step();
    if (steps % 20 === 0) report();
  }

  function report() {
    const living = alive.reduce((sum, each) => sum + each, 0);
    status.textContent =
      `${steps === 1 ? "1 step" : `${count(steps)} steps`}: ` +
      `${count(living)} of ${count(alive.length)} cells are alive.`;
  }

  /** @param {Uint8Array} next */
  function start(next) {
    [alive, steps] = [next, 0];
    light = Float64Array.from(alive);
    board.show(light);
    report();
  }

  function scatter() {
    const random = makeRandom((seed += 1));
    start(Uint8Array.from({ length: COLUMNS * ROWS }, () => (random() < 0.5 ? 1 : 0)));
  }

  drawOn(
    board,
    COLUMNS,
    ROWS,
    (x, y) => {
      const radius = brush === "wipe" ? BRUSH : 0;
      for (let row = -radius; row <= radius; row += 1)
        for (let column = -radius; column <= radius; column += 1) {
          if (Math.hypot(row, column) > radius) continue;
          const [toX, toY] = [Math.floor(x) + column + COLUMNS, Math.floor(y) + row + ROWS];
          const at = (toY % ROWS) * COLUMNS + (toX % COLUMNS);
          light[at] = alive[at] = brush === "wipe" ? 0 : 1;
        }
      board.show(light);
    },
    report,
  );
  showRule();
  scatter();

  return {
    set(next) {
      ({ born, survives } = next);
      showRule();
    },
    unmount() {
      run.pause();
      board.stop();
      host.replaceChildren();
    },
  };
}
