// The page of `lanterna look`: one state, one or two flows, and all interactions.

import { cutLink, makeNetwork, restoreAll } from "lanterna/compute.js";
import { computedModel } from "lanterna/computed.js";
import { makeControls } from "lanterna/controls.js";
import { readTheme } from "lanterna/draw.js";
import { makeFlow } from "lanterna/flow.js";
import { brightest, makeKeys } from "lanterna/keys.js";
import { makePad } from "lanterna/pad.js";
import { showOverview, showUnit } from "lanterna/panel.js";
import { makePictures } from "lanterna/pictures.js";
import { recordedModel } from "lanterna/recorded.js";
import { cutName, inkPixels, inkText, readState, writeState } from "lanterna/state.js";
import { element, readingText, signed, summary, sumText, unitName, within } from "lanterna/words.js";

/** @import { Flow, Focus, Model, Page, View } from "lanterna/flow.js" */
/** @import { Arrays } from "lanterna/arrays.js" */
/** @import { Network } from "lanterna/compute.js" */
/** @import { Numbers } from "lanterna/draw.js" */
/** @import { Front } from "lanterna/lines.js" */
/** @import { Cut, State } from "lanterna/state.js" */

const DEFAULT_LINES = 60; // the default number of lines, in addition to the strongest of each layer
/** @type {Front} */
const EVERYWHERE = { at: 0, way: 0 }; // the light is everywhere
const MS_PER_COLUMN = 380; // of the played animation
const PEN_REST = 400; // ms after the last stroke until the pen counts as resting
const RERUN_KEYS = /** @type {const} */ (["digit", "pixels", "ink", "cuts", "answer", "against", "compare"]);
const BETWEEN_SUMMARIES = 700; // ms between summaries for a screen reader

/** Build the page from Python's data.
    @param {{ data: any, arrays: Arrays }} packed */
export function mount({ data, arrays }) {
  if (location.pathname.endsWith("/api/look")) passOnDrops();
  /** @param {string} id */
  const find = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
  let state = readState(location.hash);
  let theme = readTheme(document.body);
  state.answer ??= data.start?.answer ?? null;
  state.against ??= data.start?.against ?? null;
  /** @type {(Focus & { flow: Flow }) | null} */
  let hovered = null;
  /** @type {number | null} */
  let position = null; // the position in a map whose arithmetic is shown
  let front = EVERYWHERE;
  let lastStroke = -1e9;
  let settling = 0;
  const dirty = { pixels: true, columns: true, draw: true };
  /** @type {View[]} */
  const views = [];
  const computes = Boolean(data.network);

  /** @type {Page} */
  const page = {
    data,
    views,
    get state() {
      return state;
    },
    get theme() {
      return theme;
    },
    height: () => Math.max(400, Math.min(660, innerHeight - 196)),
    focus: (flow) => focusOf(flow),
    cuts: (flow) => shownCuts(flow),
    hover(flow, found) {
      const same =
        hovered?.flow === flow &&
        hovered?.column === found?.column &&
        hovered?.unit === found?.unit &&
        hovered?.position === found?.position;
      if (same || (!found && !hovered)) return;
      hovered = found ? { flow, ...found } : null;
      position = found?.position ?? null;
      redraw();
    },
    select(flow, found) {
      if (found) position = found.position ?? position;
      change({ unit: found ? { layer: flow.model.columns[found.column].name, unit: found.unit } : null });
    },
    at(where) {
      position = where;
      redraw();
    },
    answer(index, isAgainst) {
      if (isAgainst) change({ against: state.against === index ? null : index });
      else change({ answer: index, against: state.against === index ? null : state.against });
    },
    cut(what) {
      const name = cutName(what);
      const others = state.cuts.filter((each) => cutName(each) !== name);
      change({ cuts: others.length < state.cuts.length ? others : [...state.cuts, what] });
    },
    isCut: (what) => state.cuts.some((each) => cutName(each) === cutName(what)),
    undo: () => change({ cuts: state.cuts.slice(0, -1) }),
    restore: () => change({ cuts: [] }),
    change,
    play,
    resized(flow) {
      flow.place();
      redraw();
    },
    redraw,
    render,
    pixelsOf,
    key: (flow, event) => keys(flow, event),
  };
  const keys = makeKeys(page, () => hovered, focusUnit);
  const controls = makeControls(page, find);
  const pad = computes ? makePad(onDraw) : null;
  const pictures = makePictures(page, arrays, find);

  /** Focus another unit, and announce it.
      @param {Flow} flow
      @param {Focus} found */
  function focusUnit(flow, found) {
    hovered = { flow, ...found };
    position = found.position ?? null;
    const { model } = flow;
    const name = unitName(
      { ...model.columns[found.column], names: model.answers().map((each) => each.name) },
      found.unit,
    );
    const gives =
      found.column < model.columns.length - 1
        ? `, contributes ${signed(model.contributions(found.column)[found.unit])}`
        : "";
    find("said").textContent = `${name}${gives}`;
    redraw();
  }

  /** Change the state, and update the URL, the controls and the picture.
      @param {Partial<State>} changes */
  function change(changes) {
    const before = state;
    state = { ...state, ...changes };
    if (changes.digit !== undefined && changes.digit !== "drawn") pad?.wipe();
    const pictureChanged = RERUN_KEYS.some((key) => state[key] !== before[key] || key in changes);
    if (pictureChanged) dirty.pixels = true;
    if (state.columns !== before.columns) dirty.columns = true;
    if (state.compare !== before.compare) syncViews();
    redraw();
    updateUrl();
  }

  let urlTimer = 0;
  function updateUrl() {
    clearTimeout(urlTimer);
    // Browsers limit how often a URL may change.
    // A page inside another document (a notebook's cell) has no URL of its own.
    if (location.protocol !== "about:")
      urlTimer = setTimeout(() => history.replaceState(null, "", writeState(state)), 150);
  }

  let frameRequested = false;
  function redraw() {
    dirty.draw = true;
    if (frameRequested) return;
    frameRequested = true;
    requestAnimationFrame(() => {
      frameRequested = false;
      render();
    });
  }

  /** Run the networks whose picture changed, and draw everything once. */
  function render() {
    if (dirty.columns) for (const view of views) view.model = modelOf(view);
    if (dirty.pixels || dirty.columns) for (const view of views) run(view);
    if (dirty.columns) for (const view of views) view.flow.setModel(view.model);
    else if (dirty.pixels && !drawing()) for (const view of views) updateShown(view);
    const isNew = dirty.pixels || dirty.columns;
    dirty.pixels = dirty.columns = dirty.draw = false;
    const [{ flow, model }] = views;
    const share = state.share ?? defaultShare(model);
    const shown = front.show ? { ...state, share, show: front.show } : { ...state, share };
    for (const view of views) view.flow.draw(theme, shown, front);
    controls.update(share, views[0]);
    if (isNew) updateText(model);
    const focus = focusOf(hovered?.flow ?? flow);
    const host = find("panel");
    if (focus)
      showUnit(host, page, hovered?.flow ?? flow, {
        ...focus,
        position: position ?? brightest((hovered?.flow ?? flow).model, focus),
      });
    else showOverview(host, model, theme.dark);
    host.classList.toggle("open", Boolean(state.unit));
  }

  /** @param {View} view */
  function run(view) {
    if (view.network) {
      restoreAll(view.network);
      for (const cut of state.cuts) applyCut(view.network, cut);
    }
    /** @param {number | null} index */
    const known = (index) => (index !== null && view.model.classes[index] !== undefined ? index : null);
    view.model.run(view.pixels(), known(state.answer), known(state.against), drawing());
  }

  /** @param {Network} network
      @param {Cut} cut */
  function applyCut(network, { layer: name, unit, to, from }) {
    const layer = network.layers[network.at.get(name) ?? -1];
    if (!layer) return;
    if (unit !== undefined) {
      if (unit < layer.units) layer.cut.add(unit);
    } else if (layer.weight && to < layer.units && from < layer.ins) cutLink(layer, to, from);
  }

  /** @param {View} view */
  function updateShown({ flow }) {
    const before = String(flow.shown);
    flow.choose();
    if (String(flow.shown) !== before) flow.place();
  }

  /** @param {Model} model */
  function defaultShare(model) {
    let links = 0;
    for (let k = 1; k < model.columns.length; k++) {
      const { values } = model.links(k);
      for (let i = 0; i < values.length; i++) if (values[i] !== 0) links++;
    }
    return Math.min(1, DEFAULT_LINES / Math.max(1, links));
  }

  /** The focused unit of a flow: the hovered one, or the pinned one.
      @param {Flow} flow
      @returns {Focus | null} */
  function focusOf(flow) {
    if (hovered) return hovered.flow === flow ? hovered : null;
    if (!state.unit || !flow.model) return null;
    const { layer, unit } = state.unit;
    const column = flow.model.columns.findIndex(({ name }) => name === layer);
    return column < 0 || unit >= flow.model.columns[column].count ? null : { column, unit };
  }

  /** @param {Flow} flow
      @returns {Focus[]} */
  function shownCuts({ model }) {
    return state.cuts.flatMap(({ layer, unit }) => {
      if (unit === undefined) return [];
      const column = model.columns.findIndex(({ name }) => name === layer);
      return column < 0 ? [] : [{ column, unit }];
    });
  }

  function addView() {
    const host = element("div", { class: "view" }, element("h2", { class: "which" }));
    find("flows").append(host);
    const flow = makeFlow(host, page);
    const network = computes ? makeNetwork(data.network, arrays) : undefined;
    if (!views.length && pad) {
      flow.pad = pad;
      flow.board.append(pad);
    }
    const view = { host, flow, network, model: modelOf({ network }), pixels: () => pixelsOf(state.digit) };
    views.push(view);
  }

  /** @param {{ network?: Network }} view */
  function modelOf({ network }) {
    return network ? computedModel(network, state.columns === "every") : recordedModel(data, arrays);
  }

  /** Show one view, or two for a comparison. */
  function syncViews() {
    const two = computes && state.compare !== null;
    if (!two && views.length > 1) views.pop()?.host.remove();
    if (two && views.length < 2) addView();
    if (two) {
      const untrained = state.compare === "before" && data.untrained;
      views[1].network = makeNetwork(untrained ? data.untrained : data.network, arrays);
      views[1].pixels = () => pixelsOf(untrained ? state.digit : (state.compare ?? "given"));
      within(views[0].host, ".which").textContent = untrained ? "A, after training" : "A";
      within(views[1].host, ".which").textContent = untrained ? "B, before training" : "B";
    }
    find("flows").classList.toggle("two", two);
    dirty.columns = true;
    redraw();
  }

  /** @param {number | string} digit
      @returns {Numbers} */
  function pixelsOf(digit) {
    if (digit === "drawn") return state.pixels ?? (state.ink ? inkPixels(state.ink) : pixelsOf("given"));
    const source =
      typeof digit === "string" || !(digit < data.digits?.length)
        ? arrays.given
        : arrays.digits.subarray(784 * digit, 784 * (digit + 1));
    return computes && source instanceof Uint8Array
      ? Float64Array.from(source, (level) => level / 255)
      : source;
  }

  const drawing = () => performance.now() - lastStroke < PEN_REST;
  /** @param {Float64Array | null} pixels */
  function onDraw(pixels) {
    lastStroke = performance.now();
    front = EVERYWHERE;
    clearTimeout(settling);
    settling = setTimeout(() => change({ pixels: state.pixels }), PEN_REST + 20);
    if (pixels) change({ digit: "drawn", pixels, ink: inkText(pixels) });
    else change({ digit: "given", pixels: null, ink: null });
  }

  /** Play the forward pass through the columns, or the backward pass.
      @param {number} way */
  function play(way) {
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
      if (way < 0) change({ show: state.show === "gradient" ? "activation" : "gradient" });
      return;
    }
    const columns = views[0].model.columns.length;
    const started = performance.now();
    const animation = (front = { at: way > 0 ? 0 : columns, way, show: way < 0 ? "gradient" : null });
    const step = () => {
      if (front !== animation) return;
      const passed = (performance.now() - started) / MS_PER_COLUMN;
      front.at = way > 0 ? passed : columns - passed;
      for (const { flow } of views) flow.follow(front.at);
      if (passed > columns + 0.5) front = EVERYWHERE;
      render();
      if (front === animation) requestAnimationFrame(step);
    };
    step();
  }

  let summaryTimer = 0;
  /** @param {Model} model */
  function updateText(model) {
    find("reading").textContent = readingText(model);
    find("sum").textContent = sumText(model);
    document.title = `${readingText(model)} – Lanterna`;
    clearTimeout(summaryTimer);
    summaryTimer = setTimeout(() => {
      find("summary").textContent = summary(model, state.cuts.length);
    }, BETWEEN_SUMMARIES);
  }

  // An embedding page can draw: the pad of the studio's room Read.
  addEventListener("message", ({ source, data: message }) => {
    if (!computes || source !== parent || source === window || message?.pixels?.length !== 784) return;
    if (pad) pad.hidden = true;
    onDraw(Float64Array.from(message.pixels, Number));
  });
  addEventListener("hashchange", () => {
    const parsed = readState(location.hash);
    change({ ...parsed, pixels: null });
    dirty.pixels = dirty.columns = true;
    pictures.update();
  });
  function recolour() {
    theme = readTheme(document.body);
    redraw();
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
  addEventListener("theme", recolour);
  addEventListener("beforeprint", render);
  Object.assign(window, { lanterna: page }); // for the console and the tests
  addView();
  syncViews();
  render();
  play(1);
}

// In the studio's room a dropped picture is the next one to look at: the studio takes it.
function passOnDrops() {
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    parent.postMessage({ dropped: [...(event.dataTransfer?.files ?? [])] }, "*");
  });
}
