// Charts of lessons and training runs: lines, marks, arrows, a surface drawn as light; or a picture. The
// colours are those of theme.css and chart.css. The pointer or the arrow keys show values.

import { arrow, axis, grid, light, path, placeIn, set, svg } from "lanterna/svg.js";
import { element, figure, precise } from "lanterna/words.js";

/** @import { Axis } from "lanterna/svg.js" */

/** @typedef {object} Line
    @property {string} name
    @property {number[]} xs
    @property {number[]} ys
    @property {string} style - "line", "dashed" or "marks"
    @property {number} [series] - its colour, as numbered in chart.css; by default the line's index

    @typedef {object} Surface - drawn as light
    @property {number[][]} heights - row by row, the lowest first
    @property {number} left
    @property {number} right
    @property {number} bottom
    @property {number} top

    @typedef {object} Picture - instead of a chart
    @property {string} title
    @property {string} source
    @property {string} words
    @property {undefined} [lines]

    @typedef {object} Plot
    @property {string} title
    @property {string} across - the name of the axis
    @property {string} up
    @property {Line[]} lines
    @property {Surface | null} [surface]
    @property {number[][]} [arrows] - start and direction of each: `[x, y, dx, dy]`
    @property {boolean} [log_across]
    @property {boolean} [log_up]
    @property {boolean} [whole_across] - integers only
    @property {boolean} [bare] - without the names of the axes
    @property {string} [words]
    @property {undefined} [source]

    @typedef {Plot | Picture} Chart */

const MARGIN = { left: 54, right: 14, top: 26, bottom: 44 };
const BARE = { left: 54, right: 14, top: 6, bottom: 24 }; // without the axes' names
const MAX_ROWS = 24; // of the table, per line
let charts = 0;

/** A chart inside `host`, with title, legend, and a table of its numbers: `show(chart)` replaces it,
    `remove()` removes it.
    @param {HTMLElement} host */
export function makeChart(host) {
  const id = `chart-${(charts += 1)}`;
  const title = element("h3", { id });
  const legend = element("ul", { class: "legend" });
  const plane = element("div", { class: "plane" });
  const output = element("output", { class: "readout" });
  const table = element("details", { class: "numbers", hidden: "" });
  const figureElement = element(
    "figure",
    { class: "chart" },
    element("figcaption", {}, title, legend),
    plane,
    output,
    table,
  );
  host.replaceChildren(figureElement);
  const plot = makePlot(plane, output);
  return {
    /** @param {Chart} chart */
    show(chart) {
      title.textContent = chart.title;
      figureElement.dataset.kind = chart.source ? "picture" : "chart";
      legend.replaceChildren(
        ...(chart.lines ?? [])
          .map(
            (line, place) =>
              line.name &&
              element("li", { class: seriesOf(line, place), "data-style": line.style }, line.name),
          )
          .filter(Boolean),
      );
      table.hidden = !chart.lines?.length;
      table.replaceChildren(
        element("summary", {}, "Numbers"),
        ...(chart.lines?.length ? [numbers(chart)] : []),
      );
      plot.show(chart);
    },
    remove() {
      plot.remove();
      host.replaceChildren();
    },
  };
}

/** A chart that fills `plane`; the values at the pointer are written into `output`.
    @param {HTMLElement} plane
    @param {HTMLElement} output */
export function makePlot(plane, output) {
  /** @type {Chart | null} */
  let chart = null;

  function draw() {
    if (!chart || !plane.clientWidth) return;
    const focused = plane.contains(document.activeElement);
    plane.replaceChildren(chart.source !== undefined ? picture(chart) : drawPlot(chart, plane, output));
    if (focused) plane.querySelector("svg")?.focus();
  }

  const observer = new ResizeObserver(draw);
  observer.observe(plane);
  const theme = matchMedia("(prefers-color-scheme: light)");
  theme.addEventListener("change", draw);
  addEventListener("theme", draw);
  return {
    /** @param {Chart} next */
    show(next) {
      chart = next;
      output.textContent = chart.words ?? "";
      draw();
    },
    remove() {
      observer.disconnect();
      theme.removeEventListener("change", draw);
      removeEventListener("theme", draw);
      plane.replaceChildren();
    },
  };
}

/** The CSS class of a line's colour: by default of its index.
    @param {Line} line
    @param {number} place */
const seriesOf = ({ series }, place) => `series-${(series ?? place) % 6}`;

/** A chart's description for screen readers.
    @param {Plot} plot */
export function describe({ title, across, up, lines = [], surface, arrows = [] }) {
  const parts = lines.map(({ name, xs, ys }) => {
    const finite = ys.filter(Number.isFinite);
    const from = finite.length
      ? `from ${figure(finite[0])} to ${figure(finite.at(-1))}, ` +
        `minimum ${figure(Math.min(...finite))}, maximum ${figure(Math.max(...finite))}`
      : "empty";
    return `${name || up}: ${xs.length} points, ${from}`;
  });
  if (surface) {
    const heights = surface.heights.flat();
    parts.push(`a surface as light, ${figure(Math.min(...heights))} to ${figure(Math.max(...heights))}`);
  }
  if (arrows.length) parts.push(`${arrows.length} arrows`);
  return `${title}. ${up} against ${across}. ${parts.join(". ")}.`;
}

/** @param {Picture} picture */
function picture({ title, source, words }) {
  return element("img", { src: source, alt: `${title}. ${words}` });
}

/** @param {Plot} chart
    @param {HTMLElement} plane
    @param {HTMLElement} output */
function drawPlot(chart, plane, output) {
  const [width, height] = [plane.clientWidth, plane.clientHeight];
  const { x, y } = axes(chart, width, height);
  const drawing = svg("svg", { width, height, role: "img", "aria-label": describe(chart), tabindex: 0 });
  const { surface } = chart;
  if (surface) {
    const [left, right, bottom, top] = [x(surface.left), x(surface.right), y(surface.bottom), y(surface.top)];
    drawing.append(
      svg("image", {
        x: left,
        y: top,
        width: right - left,
        height: bottom - top,
        preserveAspectRatio: "none",
        href: light(surface.heights, plane),
      }),
    );
  }
  drawing.append(grid(x, y, chart.bare ? { dense: 2 } : chart));
  const unit = arrowScale(chart, x, y);
  for (const [ax, ay, dx, dy] of chart.arrows ?? [])
    drawing.append(svg("path", { class: "arrow", d: arrow(x(ax), y(ay), dx * unit, -dy * unit) }));
  const places = chart.lines.map(({ xs, ys }) => xs.map((value, at) => [x(value), y(ys[at])]));
  chart.lines.forEach((line, place) => {
    const colour = seriesOf(line, place);
    const { style } = line;
    const points = places[place].filter((point) => point.every(Number.isFinite));
    if (style === "marks" || points.length === 1)
      for (const [cx, cy] of points)
        drawing.append(svg("circle", { class: `mark ${colour}`, cx, cy, r: points.length > 80 ? 2.6 : 3.6 }));
    else
      drawing.append(svg("path", { class: `line ${colour}`, "data-style": style, d: path(places[place]) }));
  });
  readout(chart, drawing, places, { x, y, width }, output);
  return drawing;
}

/** Axes that contain everything drawn; a surface fills them to the edge.
    @param {Plot} chart
    @param {number} width
    @param {number} height
    @returns {{ x: Axis, y: Axis }} */
function axes(chart, width, height) {
  const all = { xs: chart.lines.flatMap(({ xs }) => xs), ys: chart.lines.flatMap(({ ys }) => ys) };
  const { surface, log_across, log_up, whole_across } = chart;
  const margin = chart.bare ? BARE : MARGIN;
  for (const [ax, ay] of chart.arrows ?? []) {
    all.xs.push(ax);
    all.ys.push(ay);
  }
  /** @type {[number, number]} */
  const xs = surface ? [surface.left, surface.right] : range(all.xs, log_across, whole_across ? 0 : 0.01);
  /** @type {[number, number]} */
  const ys = surface ? [surface.bottom, surface.top] : range(all.ys, log_up, 0.05);
  return {
    x: axis(...xs, margin.left, width - margin.right, { log: log_across, whole: whole_across }),
    y: axis(...ys, height - margin.bottom, margin.top, { log: log_up }),
  };
}

/** @param {number[]} values
    @param {boolean | undefined} log
    @param {number} room - the margin at both ends, as a share
    @returns {[number, number]} */
function range(values, log, room) {
  const finite = values.filter((value) => Number.isFinite(value) && (!log || value > 0));
  if (!finite.length) return log ? [0.1, 1] : [0, 1];
  const [low, high] = finite.reduce(
    ([a, b], value) => [Math.min(a, value), Math.max(b, value)],
    [Infinity, -Infinity],
  );
  if (log) return high / low > 1.01 ? [low / 1.15, high * 1.15] : [low / 3, high * 3];
  if (high === low && room === 0) return [low, low + 10]; // a range for integers that are still to come
  const more = (high - low || Math.abs(high) || 1) * (high > low ? room : 0.5);
  return [low - more, high + more];
}

/** The arrows' common scale: the longest is an eleventh of the shorter side.
    @param {Plot} chart
    @param {Axis} x
    @param {Axis} y */
function arrowScale({ arrows = [] }, x, y) {
  const longest = Math.max(1e-12, ...arrows.map(([, , dx, dy]) => Math.hypot(dx, dy)));
  return Math.min(x(x.high) - x(x.low), y(y.low) - y(y.high)) / 11 / longest;
}

/** Show the values nearest to the pointer's x on every line; marks only if they are close.
    @param {Plot} chart
    @param {SVGElement} drawing
    @param {number[][][]} places
    @param {{ x: Axis, y: Axis, width: number }} frame
    @param {HTMLElement} output */
function readout(chart, drawing, places, { x, y, width }, output) {
  const rule = svg("line", { class: "rule", y1: y(y.high), y2: y(y.low), visibility: "hidden" });
  const dots = chart.lines.map((line, place) =>
    svg("circle", { class: `dot ${seriesOf(line, place)}`, r: 4.5, visibility: "hidden" }),
  );
  drawing.append(rule, ...dots);
  let at = width / 2;
  const hide = () => {
    for (const each of [rule, ...dots]) set(each, { visibility: "hidden" });
    output.textContent = "";
  };
  /** @param {number} px
      @param {number | null} py */
  function read(px, py = null) {
    at = Math.min(x(x.high), Math.max(x(x.low), px));
    const near = places.map((points, line) => {
      let best = -1;
      let smallest = Infinity;
      points.forEach(([cx, cy], place) => {
        const far =
          chart.lines[line].style === "marks" && py !== null
            ? Math.hypot(cx - px, cy - py)
            : Math.abs(cx - at);
        if (far < smallest && Number.isFinite(cy)) [best, smallest] = [place, far];
      });
      return chart.lines[line].style === "marks" && smallest > 14 ? -1 : best;
    });
    const parts = near
      .map((place, line) => {
        set(
          dots[line],
          place < 0
            ? { visibility: "hidden" }
            : { visibility: "visible", cx: places[line][place][0], cy: places[line][place][1] },
        );
        if (place < 0) return "";
        const { name, ys, style, xs } = chart.lines[line];
        const value = figure(ys[place]);
        return `${name || chart.up} ${style === "marks" ? `(${figure(xs[place])}, ${value})` : value}`;
      })
      .filter(Boolean);
    set(rule, { x1: at, x2: at, visibility: "visible" });
    const { surface, up, across } = chart;
    if (surface && py !== null) {
      const [high, wide] = [surface.heights.length, surface.heights[0].length];
      const place = (value, low, top, count) =>
        Math.min(count - 1, Math.max(0, Math.floor(((value - low) / (top - low)) * count)));
      const row = surface.heights[place(y.back(py), surface.bottom, surface.top, high)];
      parts.push(
        `${up} ${precise(y.back(py), 3)}`,
        `height ${figure(row[place(x.back(at), surface.left, surface.right, wide)])}`,
      );
    }
    const integers = chart.whole_across && !surface;
    const position = integers ? figure(Math.round(x.back(at))) : precise(x.back(at), 3);
    output.textContent = [`${across} ${position}`, ...parts].join(" · ");
  }
  drawing.addEventListener("pointermove", (event) => {
    read(...placeIn(event, drawing));
  });
  drawing.addEventListener("pointerleave", hide);
  drawing.addEventListener("blur", hide);
  drawing.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!way) return;
    event.preventDefault();
    read(at + (way * (x(x.high) - x(x.low))) / 40);
  });
}

/** A table of at most `MAX_ROWS` points of each line, evenly spaced.
    @param {Plot} plot */
function numbers({ across, up, lines }) {
  const body = element("tbody");
  for (const { name, xs, ys } of lines) {
    const every = Math.max(1, Math.ceil(xs.length / MAX_ROWS));
    xs.forEach((value, place) => {
      if (place % every === 0 || place === xs.length - 1)
        body.append(
          element(
            "tr",
            {},
            element("td", {}, name || up),
            element("td", {}, figure(value)),
            element("td", {}, figure(ys[place])),
          ),
        );
    });
  }
  const head = element(
    "thead",
    {},
    element("tr", {}, ...["of", across, up].map((each) => element("th", { scope: "col" }, each))),
  );
  return element(
    "div",
    { class: "scrolled", tabindex: 0, role: "region", "aria-label": "Numbers of the chart" },
    element("table", {}, head, body),
  );
}
