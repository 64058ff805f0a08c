// The side panel: the focused unit's details, or without one how every layer adds up, and the legend.

import { arithmetic } from "lanterna/arithmetic.js";
import { fromUnit, toUnit } from "lanterna/curves.js";
import { drawMap, largest } from "lanterna/draw.js";
import { element, exactness, number, questionText, signed, unitName, within } from "lanterna/words.js";

/** @import { Layer } from "lanterna/compute.js" */
/** @import { Column, Flow, Focus, Links, Model, Page } from "lanterna/flow.js" */

/** @typedef {Focus & { position: number }} PositionFocus - a unit and a position in it */

const MAX_LISTED = 5; // links in, and links out
const DIGIT = 28; // pixels along a side of a digit, which is not cropped

/** Show how each layer's units and the later biases add up to the answer, and the legend.
    @param {HTMLElement} host
    @param {Model} model
    @param {boolean} dark - the theme */
export function showOverview(host, model, dark) {
  const key = `overview ${dark ? "dark" : "light"}`;
  if (host.dataset.shows !== key) {
    host.dataset.shows = key;
    host.replaceChildren(
      element("h2", {}, "How it adds up"),
      element("table", { class: "sums" }),
      element("p", { class: "aside exactness" }),
      element("h2", {}, "Legend"),
      legend(model, dark),
    );
  }
  within(host, ".exactness").textContent = exactness(model);
  within(host, "h2").hidden = !model.answers().length;
  if (!model.answers().length) return;
  const rows = model.columns.slice(0, -1).map((column, k) => {
    const { units, offsets, logit } = model.sum(k);
    return element(
      "tr",
      {},
      element("th", { scope: "row" }, k ? column.name : "pixels"),
      element("td", { class: units < 0 ? "cold" : "warm" }, number(units)),
      element("td", {}, signed(offsets)),
      element("td", {}, number(logit)),
    );
  });
  const head = element(
    "tr",
    {},
    ...["layer", "its units", model.exact ? "later biases" : "empty picture", "answer"].map((text) =>
      element("th", { scope: "col" }, text),
    ),
  );
  within(host, "table.sums").replaceChildren(head, ...rows);
}

/** @param {Model} model
    @param {boolean} dark */
function legend(model, dark) {
  const item = (key, text) =>
    element("li", {}, element("i", { class: `key ${key}` }), element("span", {}, text));
  const explains = model.answers().length > 0;
  const stronger = dark ? "brighter" : "darker";
  const items = [
    item("light", `a map or unit: the ${stronger}, the stronger its activation; blue is below zero`),
  ];
  if (explains)
    items.push(
      item("warm", "a line for the answer: one unit's contribution through the next; the wider, the larger"),
      item("cold", "a line against the answer"),
    );
  if (model.computes) items.push(item("cut", "cut: set to zero"));
  const keys = model.computes
    ? "Point at a unit to see its arithmetic, click to pin it. Click an answer to explain it, with Shift " +
      "to compare with it. Keys in the picture: arrows, Enter, X cuts, Z undoes, F and B play."
    : "Point at a map to see where it is active, click to pin it." +
      (explains ? " Click an answer to explain it, with Shift to compare with it." : "");
  const [{ width, height }, ...later] = model.columns;
  const limit = Math.max(0, ...later.map((column) => column.limit ?? 0));
  const shown = [];
  if (!model.computes && width > DIGIT)
    shown.push(`The picture is cropped to its centre, the network's input of ${width} × ${height} pixels.`);
  if (later.some(({ count }) => limit && count > limit))
    shown.push(
      `Each layer shows at most ${limit} of its maps, the ` +
        (explains ? "ones that contribute most to the answer." : "most active ones."),
    );
  return element(
    "div",
    {},
    element("ul", { class: "legend" }, ...items),
    ...[keys, ...shown].map((text) => element("p", { class: "aside" }, text)),
  );
}

/** Show one unit's details. `focus`: its column, the unit, and a position in its map.
    @param {HTMLElement} host
    @param {Page} page
    @param {Flow} flow
    @param {PositionFocus} focus */
export function showUnit(host, page, flow, focus) {
  const { model } = flow;
  const column = model.columns[focus.column];
  const key = `${page.views.findIndex((view) => view.flow === flow)} ${column.name} ${focus.unit}`;
  if (host.dataset.shows !== key) {
    host.dataset.shows = key;
    host.replaceChildren(...frameOf(page, flow, focus));
  }
  const given = column.kind !== "answers" ? model.contributions(focus.column)[focus.unit] : null;
  const { logit } = model.sum(0);
  /** @param {string} name */
  const part = (name) => within(host, `[data-part="${name}"]`);
  if (model.answers().length)
    part("gives").replaceChildren(
      ...(given === null
        ? [`logit ${number(model.logits[focus.unit])}`]
        : [
            "contributes ",
            element("b", { class: given < 0 ? "cold" : "warm" }, signed(given)),
            ` of ${number(logit)} for ${questionText(model)}`,
          ]),
    );
  drawUnit(part, page, model, focus);
  part("arithmetic")?.replaceChildren(...(model.computes ? arithmetic(page, model, focus) : []));
  part("paths").replaceChildren(...listOfLinks(page, model, focus));
  const cut = part("cut");
  if (cut)
    cut.textContent = page.isCut({ layer: column.name, unit: focus.unit })
      ? "Restore it"
      : `Cut this ${column.kind === "maps" ? "map" : column.kind === "picture" ? "pixel" : "unit"}`;
}

/** @param {Page} page
    @param {Flow} flow
    @param {PositionFocus} focus */
function frameOf(page, flow, focus) {
  const { model } = flow;
  const column = model.columns[focus.column];
  const close = element("button", { type: "button", class: "close", "aria-label": "Close" }, "×");
  close.addEventListener("click", () => {
    page.hover(flow, null);
    page.select(flow, null);
  });
  const parts = [
    element(
      "div",
      { class: "title" },
      element("h2", {}, unitName({ ...column, names: model.answers().map(({ name }) => name) }, focus.unit)),
      close,
    ),
    element("p", { "data-part": "gives" }),
  ];
  if (column.kind === "maps" || column.kind === "picture") parts.push(figures(page, model, column));
  if (model.computes && column.kind !== "answers") {
    const cut = element("button", { type: "button", "data-part": "cut" });
    cut.addEventListener("click", () => page.cut({ layer: column.name, unit: focus.unit }));
    parts.push(element("p", {}, cut));
  }
  parts.push(
    element("div", { "data-part": "arithmetic", class: "arithmetic" }),
    element("div", { "data-part": "paths", class: "paths" }),
  );
  return parts;
}

/** @param {Page} page
    @param {Model} model
    @param {Column} column */
function figures(page, model, column) {
  const figure = (part, words) =>
    element(
      "figure",
      {},
      element(
        "div",
        {},
        element("canvas", { "data-part": part }),
        element("i", { "data-part": `${part}-at`, class: "here" }),
      ),
      element("figcaption", {}, words),
    );
  const pair = element(
    "div",
    { class: "pair" },
    figure("map", "activation"),
    figure(
      "given",
      model.computes
        ? "contribution"
        : column.kind === "picture"
          ? "contribution of each place"
          : "where it is active",
    ),
  );
  for (const canvas of pair.querySelectorAll("canvas")) {
    const point = (event) => {
      const box = canvas.getBoundingClientRect();
      const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height].map(
        (share) => Math.min(0.999, Math.max(0, share)),
      );
      page.at(Math.floor(y * column.height) * column.width + Math.floor(x * column.width));
    };
    canvas.addEventListener("pointermove", point);
    canvas.addEventListener("pointerdown", point);
  }
  return pair;
}

/** @param {(name: string) => any} part - an element of the panel
    @param {Page} page
    @param {Model} model
    @param {PositionFocus} focus */
function drawUnit(part, page, model, { column: k, unit, position }) {
  const column = model.columns[k];
  if (!part("map")) return;
  const area = column.height * column.width;
  const first = column.kind === "picture" ? 0 : unit * area;
  const cut = (values) => values.subarray(first, first + area);
  const shown = model.shows(k, "activation");
  if (!(model.drawLarge?.(part("map"), page, k, unit) ?? false)) {
    drawMap(
      part("map"),
      cut(shown.values),
      column.height,
      column.width,
      page.theme.light,
      column.kind === "picture" ? 1 : largest(cut(shown.values)),
    );
  }
  if (!(model.drawGiven?.(part("given"), page, k, unit) ?? false)) {
    drawMap(
      part("given"),
      cut(model.shows(k, "contribution").values),
      column.height,
      column.width,
      page.theme.signed,
    );
  }
  for (const name of ["map-at", "given-at"]) {
    const [row, along] = [Math.floor(position / column.width), position % column.width];
    Object.assign(part(name).style, {
      left: `${(100 * along) / column.width}%`,
      top: `${(100 * row) / column.height}%`,
      width: `${100 / column.width}%`,
      height: `${100 / column.height}%`,
    });
  }
}

/** The strongest incoming and outgoing links, each of which can be cut.
    @param {Page} page
    @param {Model} model
    @param {PositionFocus} focus */
function listOfLinks(page, model, { column: k, unit }) {
  const lists = [];
  for (const [next, words] of /** @type {[number, string][]} */ ([
    [k, "Inputs"],
    [k + 1, "Outputs"],
  ])) {
    if (next < 1 || next >= model.columns.length) continue;
    const links = model.links(next);
    const found = [];
    if (!links.single) {
      for (let i = 0; i < links.values.length; i++) {
        if (links.values[i] !== 0 && (next === k ? toUnit(links, i) : fromUnit(links, i)) === unit)
          found.push(i);
      }
    }
    found.sort((a, b) => Math.abs(links.values[b]) - Math.abs(links.values[a]));
    // A cut link contributes nothing, and must be listed to be restored.
    const mixing = model.columns[next].mixing ?? null;
    const layer = model.network && mixing !== null ? model.network.layers[mixing] : null;
    const cuts = page.state.cuts.flatMap((cut) =>
      cut.to !== undefined && cut.layer === layer?.name && (next === k ? cut.to : cut.from) === unit
        ? [cut.to * links.from + cut.from]
        : [],
    );
    const listed = [...new Set([...cuts, ...found.slice(0, MAX_LISTED)])];
    if (!listed.length) continue;
    const rows = listed.map((index) => linkRow(page, model, links, layer, next, index, next === k));
    lists.push(element("h3", {}, words), element("ul", {}, ...rows));
  }
  return lists;
}

/** @param {Page} page
    @param {Model} model
    @param {Links} links
    @param {Layer | null} layer
    @param {number} next
    @param {number} index
    @param {boolean} incoming */
function linkRow(page, model, links, layer, next, index, incoming) {
  const other = incoming
    ? unitName(model.columns[next - 1], fromUnit(links, index))
    : unitName(
        { ...model.columns[next], names: model.answers().map(({ name }) => name) },
        toUnit(links, index),
      );
  const value = links.values[index];
  const row = element(
    "li",
    {},
    element("span", {}, other),
    element("b", { class: value < 0 ? "cold" : "warm" }, signed(value)),
  );
  if (layer) {
    const what = { layer: layer.name, to: toUnit(links, index), from: fromUnit(links, index) };
    const isCut = page.isCut(what);
    const button = element(
      "button",
      { type: "button", "aria-label": `${isCut ? "Restore" : "Cut"} the connection with ${other}` },
      isCut ? "restore" : "cut",
    );
    button.addEventListener("click", () => page.cut(what));
    row.append(button);
  }
  return row;
}
