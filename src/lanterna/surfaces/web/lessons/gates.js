// Lesson 1, by hand: two numbers and a gate that multiplies them. Three ways make its output go higher; each
// pays for every time it runs the gate.

import { makeChart } from "lanterna/chart.js";
import { button, chance, normal, plane, slider } from "lanterna/lessons/parts.js";
import { set, svg } from "lanterna/svg.js";
import { element, fixed } from "lanterna/words.js";

/** @import { Chance, Settings, Sheet } from "lanterna/lessons/parts.js" */

/** @typedef {{ at: number[], runs: number, slopes: number[] | null, way: number[][] }} Run - of one way, so
        far: where it is, how often it ran the gate, by what it went last, and `[runs, output]` after each
        step */

const NUDGE = 1e-4;
const WAYS = ["tries", "nudges", "rule"];
const NAMES = { tries: "Blind tries", nudges: "Nudges", rule: "The rule" };
const WORDS = {
  tries: "Move both numbers somewhere by chance. Keep it if the output is higher.",
  nudges: "Nudge each number, see by how much the output changes, and go that way.",
  rule: "The slope by x is y, and by y it is x. Go that way at once.",
};
const DOES = { tries: "Try", nudges: "Step by nudges", rule: "Step by the rule" };

/** @param {number[]} way
    @param {number} length */
const toLength = (way, length) => way.map((each) => (each * length) / (Math.hypot(...way) || 1));

/** A step of a way from `[x, y]`: where it leads, how often the gate was run, and the slopes it went by.
    @param {string} way
    @param {number[]} from
    @param {number} length
    @param {Chance} random */
export function stepped(way, [x, y], length, random) {
  /** @param {number[]} inputs */
  const gate = ([a, b]) => a * b;
  if (way === "tries") {
    const by = toLength([normal(random), normal(random)], length);
    const tried = [x + by[0], y + by[1]];
    return { at: gate(tried) > gate([x, y]) ? tried : [x, y], runs: 1, slopes: null };
  }
  const here = gate([x, y]);
  const slopes =
    way === "rule" ? [y, x] : [(gate([x + NUDGE, y]) - here) / NUDGE, (gate([x, y + NUDGE]) - here) / NUDGE];
  const by = toLength(slopes, length);
  return { at: [x + by[0], y + by[1]], runs: way === "rule" ? 1 : 3, slopes };
}

/** @param {HTMLElement} host
    @param {Settings} settings */
export function mount(host, settings) {
  let length = settings.step;
  let begun = [-2, 3];
  let random = chance(settings.seed + 1);
  /** @type {Record<string, Run>} */
  const state = {};

  const dials = ["x", "y"].map((name, place) =>
    slider(`${name}, at first`, { least: -4, most: 4, step: 0.1, value: begun[place] }, (value) => {
      begun = place ? [begun[0], value] : [value, begun[1]];
      fresh();
    }),
  );
  const side = element("div", {});
  const chart = makeChart(side);
  const panes = Object.fromEntries(
    WAYS.map((way, place) => {
      const sheet = plane(NAMES[way], (on, width, height) => circuit(way, on, width, height));
      const runs = element("p", { class: "runs-of", role: "status" });
      const does = button(DOES[way], () => step(way, 1), { class: "primary" });
      return [
        way,
        {
          sheet,
          runs,
          made: element(
            "div",
            { class: `series-${place}` },
            element("h3", {}, NAMES[way]),
            element("p", { class: "hint" }, WORDS[way]),
            sheet,
            element("div", { class: "tools" }, does, runs),
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
      element("div", { class: "three" }, ...WAYS.map((way) => panes[way].made)),
      element(
        "div",
        { class: "tools" },
        button("Ten of each", () => {
          for (const way of WAYS) step(way, 10);
        }),
        button("From the start", () => fresh()),
      ),
      side,
    ),
  );

  function fresh() {
    random = chance(settings.seed + 1);
    for (const way of WAYS)
      state[way] = { at: begun, runs: 0, slopes: null, way: [[0, begun[0] * begun[1]]] };
    draw();
  }

  function step(way, count) {
    for (let n = 0; n < count; n += 1) {
      const found = stepped(way, state[way].at, length, random);
      const runs = state[way].runs + found.runs;
      state[way] = {
        at: found.at,
        runs,
        slopes: found.slopes,
        way: [...state[way].way, [runs, found.at[0] * found.at[1]]],
      };
    }
    draw();
  }

  function draw() {
    for (const way of WAYS) {
      panes[way].sheet.again();
      const { runs, at } = state[way];
      panes[way].runs.textContent =
        `${runs} run${runs === 1 ? "" : "s"} of the gate, output ${fixed(at[0] * at[1], 3)}`;
    }
    chart.show({
      title: "The output, and how often the gate was run",
      across: "runs of the gate",
      up: "output",
      whole_across: true,
      arrows: [],
      lines: WAYS.map((way) => ({
        name: NAMES[way],
        xs: state[way].way.map(([runs]) => runs),
        ys: state[way].way.map(([, output]) => output),
        style: "line",
      })),
    });
  }

  /** @param {string} way
      @param {Sheet} sheet
      @param {number} width
      @param {number} height */
  function circuit(way, sheet, width, height) {
    const { at } = state[way];
    const slopes = state[way].slopes && stepped(way, at, length, random).slopes; // at the place that is shown
    const [left, gate, right] = [28, width * 0.56, width - 10];
    const rows = [height * 0.22, height * 0.78];
    const text = (name, x, y, words) => svg("text", { class: name, x, y }, words);
    sheet.replaceChildren(
      ...rows.map((y, n) => {
        const sign = slopes ? Math.sign(slopes[n]) : 0;
        return svg("path", {
          class: "wire",
          "data-lit": sign > 0 ? "for" : sign < 0 ? "against" : "value",
          "stroke-width": slopes ? 2.5 : 1.5,
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
        ...(slopes
          ? [
              set(text("slope", left + 16, y + 21, fixed(slopes[n], 3)), {
                "data-sign": Math.sign(slopes[n]),
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
        `${NAMES[way]}: x is ${fixed(at[0], 3)}, y ${fixed(at[1], 3)}, ` +
        `their product ${fixed(at[0] * at[1], 3)}` +
        (slopes ? `; slopes ${slopes.map((each) => fixed(each, 3)).join(" and ")}` : ""),
    });
  }

  fresh();
  return {
    set(next) {
      const other = next.step !== length || next.seed !== settings.seed;
      settings = next;
      length = next.step;
      if (other) fresh();
    },
    unmount() {
      for (const way of WAYS) panes[way].sheet.end();
      chart.remove();
      host.replaceChildren();
    },
  };
}
