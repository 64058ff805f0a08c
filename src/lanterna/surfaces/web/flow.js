// One picture flowing through one network: lines drawn by WebGL, maps on a canvas, answers as buttons.

import { makeCurves } from "lanterna/curves.js";
import { contextOf } from "lanterna/canvas.js";
import { largest, makeTiles } from "lanterna/draw.js";
import { layOut, maxShown } from "lanterna/layout.js";
import { makeLines } from "lanterna/lines.js";
import { contributionText, element, percent, within } from "lanterna/words.js";

/** @import { Layer, Network } from "lanterna/compute.js" */
/** @import { Curves } from "lanterna/curves.js" */
/** @import { Colour, Numbers, Theme, Tiles } from "lanterna/draw.js" */
/** @import { Layout, Place, Size } from "lanterna/layout.js" */
/** @import { Front } from "lanterna/lines.js" */
/** @import { Cut, State } from "lanterna/state.js" */

/** @typedef {CanvasRenderingContext2D} Context

    @typedef {object} Column - a layer with weights, and those up to the next one
    @property {string} name
    @property {"picture" | "maps" | "units" | "answers"} kind
    @property {number} count - the number of its units
    @property {number} height - of one unit's map
    @property {number} width
    @property {number} [limit] - the maximum number of units shown, the strongest
    @property {number[]} [size] - height and width of the map before downscaling
    @property {string[]} [names] - of answers
    @property {number} [layer] - the index of the last of its layers, if computed
    @property {number | null} [mixing] - the layer with weights
    @property {number[]} [group] - all layers from the previous column to this one

    @typedef {object} Links - contributions of the links into a column, to × from
    @property {Numbers} values
    @property {number} to
    @property {number} from
    @property {boolean} single - one to one: no mixing
    @property {Numbers} [toUnits] - the recorded units, if only some were
    @property {Numbers} [fromUnits]

    @typedef {{ name: string, index: number, probability: number }} Answer

    @typedef {{ values: Numbers, signed: boolean }} Shown

    @typedef {{ units: number, offsets: number, logit: number }} Sum - the contributions of a column's units
        and of the offsets of later layers, and the answer: their sum

    @typedef {object} Model - a network's run on a picture, computed in the page or recorded
    @property {Column[]} columns
    @property {boolean} computes
    @property {boolean} [named] - answers are words, not digits
    @property {string} [title]
    @property {boolean} exact
    @property {string} [why] - the network was recorded
    @property {string} note
    @property {string[]} classes
    @property {Network} [network]
    @property {Numbers} logits
    @property {{ answer: number, against: number | null }} question
    @property {(pixels: Numbers, answer: number | null, against: number | null, moving?: boolean) => void} run
    @property {() => Answer[]} answers
    @property {(k: number) => Numbers} values
    @property {(k: number, what: string) => Shown} shows
    @property {(k: number) => Float64Array} contributions
    @property {(k: number) => Float64Array} [strength] - the measure of the strongest units
    @property {(k: number) => Links} links
    @property {(k: number) => Sum} sum
    @property {(context: Context, place: Place, theme: Theme, state: State, focus: Focus | null) => void}
        [drawPicture]
    @property {(canvas: HTMLCanvasElement, page: Page, k: number, unit: number) => boolean} [drawLarge]
    @property {(canvas: HTMLCanvasElement, page: Page, k: number, unit: number) => boolean} [drawGiven]

    @typedef {object} Focus - the selected or hovered unit
    @property {number} column
    @property {number} unit
    @property {number} [position] - an index into its map

    @typedef {object} View
    @property {HTMLElement} host
    @property {Flow} flow
    @property {Model} model
    @property {Network} [network]
    @property {() => Numbers} pixels

    @typedef {object} Page - the page's interface for its parts
    @property {any} data - what Python packed
    @property {View[]} views
    @property {State} state
    @property {Theme} theme
    @property {() => number} height - the available height of a flow in pixels
    @property {(flow: Flow) => Focus | null} focus
    @property {(flow: Flow) => Focus[]} cuts - the cut units of a flow
    @property {(flow: Flow, found: Focus | null) => void} hover
    @property {(flow: Flow, found: Focus | null) => void} select
    @property {(where: number) => void} at - show the arithmetic at this position of a map
    @property {(index: number, isAgainst: boolean) => void} answer
    @property {(what: Cut) => void} cut
    @property {(what: Cut) => boolean} isCut
    @property {() => void} undo
    @property {() => void} restore
    @property {(some: Partial<State>) => void} change
    @property {(way: number) => void} play
    @property {(flow: Flow) => void} resized
    @property {() => void} redraw
    @property {(digit: number | string) => Numbers} pixelsOf - a digit as the network's input
    @property {() => void} render
    @property {(flow: Flow, event: KeyboardEvent) => void} key

    @typedef {object} Flow
    @property {HTMLElement} host
    @property {HTMLElement} board
    @property {boolean} gpu
    @property {Layout} layout - set with the model, like the next two
    @property {Model} model
    @property {number[][]} shown - the shown units of each column
    @property {Curves} curves
    @property {HTMLElement | null} pad
    @property {number} ratio
    @property {(model: Model) => void} setModel
    @property {() => void} choose
    @property {() => void} place
    @property {(theme: Theme, state: State & { share: number }, front: Front) => void} draw
    @property {(at: number) => void} follow
    @property {(event: MouseEvent) => Focus | null} at */

const CAPTION = 44; // pixels above the columns, for their names
const ROOM_FOR_CAPTION = 124; // between columns, to show the size of the maps in the caption
const NARROW = 640; // narrower than this, the picture flows from top to bottom

/** A view in `host`. It calls `page.hover`, `page.select` and `page.answer`.
    @param {HTMLElement} host
    @param {Page} page
    @returns {Flow} */
export function makeFlow(host, page) {
  const scroll = element("div", { class: "scroll" });
  const board = element("div", {
    class: "board",
    tabindex: 0,
    role: "application",
    "aria-label": "The network. Arrow keys move between units, Enter pins one, X cuts it.",
  });
  const canvases = [element("canvas", { class: "lines" }), element("canvas", { class: "maps" })];
  const captions = element("div", { class: "captions" });
  const answers = element("div", { class: "answers", role: "group", "aria-label": "Answers" });
  canvases.forEach((canvas) => canvas.setAttribute("aria-hidden", "true"));
  board.append(...canvases, captions, answers);
  scroll.append(board);
  host.append(scroll);
  const lines = makeLines(canvases[0]);
  const context = contextOf(canvases[1]);
  const curves = makeCurves();
  const flow = /** @type {Flow} */ (
    /** @type {unknown} */ ({ host, board, gpu: lines.gpu, curves, pad: null })
  );
  /** @type {Tiles[]} */
  let tiles = [];
  /** @type {HTMLElement[]} */
  let buttons = [];
  /** @type {HTMLElement[]} */
  let labels = [];

  /** Show another network, or the same one with other columns. */
  flow.setModel = (model) => {
    flow.model = model;
    flow.choose();
    answers.replaceChildren(...(buttons = model.answers().map((each) => answerButton(each, page))));
    captions.replaceChildren(
      ...(labels = model.columns.filter(({ kind }) => kind !== "answers").map(captionOf)),
    );
    tiles = [];
    flow.place();
  };

  /** Choose the shown units: all, or the strongest if there are too many. Not while a pen moves. */
  flow.choose = () => {
    const { model } = flow;
    flow.shown = model.columns.map((column, k) =>
      strongest(model.strength?.(k) ?? model.contributions(k), maxShown(column), column),
    );
  };

  /** Lay everything out in the available space. */
  flow.place = () => {
    const { model } = flow;
    const width = scroll.clientWidth;
    const upright = width < NARROW;
    const named = model.named;
    const height = upright ? 0 : page.height();
    const size = {
      width,
      height,
      upright,
      named,
      picture: upright
        ? Math.floor(Math.min(176, width / 2 - 8))
        : Math.min(named ? 264 : 176, height / 2 - 40),
      answers: named ? 208 : 148,
      gap: 88,
    };
    const layout = (flow.layout = layOut(model.columns, flow.shown, size));
    arrangePicture(flow, size);
    const box = { width: layout.width, height: layout.height + CAPTION };
    board.style.width = `${box.width}px`;
    board.style.height = `${box.height}px`;
    board.classList.toggle("upright", upright);
    board.classList.toggle("named", Boolean(named));
    board.classList.toggle("tight", !upright && layout.step < ROOM_FOR_CAPTION);
    const ratio = Math.min(2, devicePixelRatio || 1);
    for (const canvas of canvases) {
      canvas.width = Math.round(box.width * ratio);
      canvas.height = Math.round(layout.height * ratio);
      canvas.style.width = `${box.width}px`;
      canvas.style.height = `${layout.height}px`;
      canvas.style.top = `${CAPTION}px`;
    }
    flow.ratio = ratio;
    model.columns.forEach((column, k) => {
      const place = layout.places[k];
      if (column.kind === "answers") placeAnswers(buttons, place, upright, named);
      else placeCaption(labels[k], place, upright, width);
    });
  };

  /** Draw everything. `front`: `{ at, way }`, the position (in columns) and direction of the light. */
  flow.draw = (theme, state, front) => {
    const { model, layout, ratio } = flow;
    const focus = page.focus(flow);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, layout.width, layout.height);
    context.imageSmoothingEnabled = false;
    drawColumns(flow, tiles, context, theme, state, front, focus);
    if (focus)
      frame(context, layout.places[focus.column], model.columns[focus.column], focus.unit, theme.accent);
    for (const cut of page.cuts(flow))
      cross(context, layout.places[cut.column], model.columns[cut.column], cut.unit, theme);
    curves.fill(model, layout, { share: state.share, focus, overAll: state.scale === "all" });
    lines.draw(curves.buffer, curves.count, {
      width: layout.width,
      height: layout.height,
      upright: layout.upright,
      warm: theme.warm,
      cold: theme.cold,
      front,
    });
    showAnswers(buttons, model, front);
    labels.forEach((label, k) => {
      within(label, ".gives").textContent = contributionText(model, k);
    });
  };

  /** Scroll to the column that the light has reached. */
  flow.follow = (at) => {
    const { places, width, upright } = flow.layout;
    if (upright || width <= scroll.clientWidth) return;
    const { x } = places[Math.max(0, Math.min(places.length - 1, Math.round(at)))];
    scroll.scrollLeft += 0.15 * (x - scroll.clientWidth / 2 - scroll.scrollLeft);
  };

  /** The unit under a point of the screen, `{ column, unit, position }`, or null. */
  flow.at = (event) => {
    const box = canvases[1].getBoundingClientRect();
    return hit(flow, event.clientX - box.left, event.clientY - box.top);
  };

  board.addEventListener(
    "pointermove",
    (event) => event.pointerType === "mouse" && page.hover(flow, flow.at(event)),
  );
  board.addEventListener("pointerleave", () => page.hover(flow, null));
  board.addEventListener(
    "click",
    (event) =>
      !(/** @type {Element} */ (event.target).closest("button")) && page.select(flow, flow.at(event)),
  );
  board.addEventListener("keydown", (event) => page.key(flow, event));
  new ResizeObserver(() => flow.model && page.resized(flow)).observe(scroll);
  return flow;
}

/** @param {Numbers} values
    @param {number} limit
    @param {Column} column */
function strongest(values, limit, column) {
  if (column.kind === "picture")
    return column.count === 1 ? [0] : Array.from({ length: column.count }, (_, i) => i);
  const all = Array.from({ length: column.count }, (_, i) => i);
  if (column.count <= limit) return all;
  return all
    .sort((a, b) => Math.abs(values[b]) - Math.abs(values[a]))
    .slice(0, limit)
    .sort((a, b) => a - b);
}

/** Place the picture at the start, with the drawing pad below (or next to) it.
    @param {Flow} flow
    @param {Size} size */
function arrangePicture(flow, size) {
  const { layout, pad } = flow;
  const place = layout.places[0];
  if (!pad) return;
  if (size.upright) place.x = 0;
  else place.y = Math.max(0, (layout.height - 2 * size.picture - 56) / 2);
  place.tiles[0] = place.x;
  place.tiles[1] = place.y;
  const style = {
    width: `${size.picture}px`,
    left: `${size.upright ? size.width - size.picture : place.x}px`,
  };
  style.top = `${size.upright ? CAPTION + place.y : CAPTION + place.y + size.picture + 56}px`;
  Object.assign(pad.style, style);
}

/** @param {Column} column */
function captionOf(column) {
  const { count, kind, limit } = column;
  const caption = element("p", { class: "caption" });
  const name = element("b", {}, kind === "picture" ? "picture" : column.name);
  const shown =
    maxShown(column) < count
      ? `${maxShown(column)} of ${count} ${kind === "maps" ? "maps" : "units"}`
      : `${count} ${kind === "maps" ? "maps" : "units"}`;
  const size = (column.size ?? [column.height, column.width]).toReversed().join(" × ");
  caption.append(name);
  if (kind !== "picture") caption.append(element("span", {}, shown));
  if (kind !== "units" && !(limit && count > limit))
    caption.append(element("span", { class: "size" }, kind === "picture" ? size : `, ${size}`));
  caption.append(element("span", { class: "gives" }));
  return caption;
}

/** @param {HTMLElement} label
    @param {Place} place
    @param {boolean} upright
    @param {number} width */
function placeCaption(label, place, upright, width) {
  Object.assign(
    label.style,
    upright
      ? { left: "0", top: `${place.y + CAPTION - 24}px`, width: `${width}px` }
      : { left: `${place.x + place.width / 2}px`, top: `${place.y}px`, width: "" },
  );
}

/** @param {Answer} answer
    @param {Page} page */
function answerButton({ name, index }, page) {
  const button = element("button", { class: "answer", type: "button", "data-answer": index });
  button.append(
    element("span", { class: "name" }, name),
    element("span", { class: "bar" }, element("i")),
    element("span", { class: "share" }),
  );
  button.addEventListener("click", (event) => page.answer(index, event.shiftKey));
  return button;
}

/** @param {HTMLElement[]} buttons
    @param {Place} place
    @param {boolean} upright
    @param {boolean} [named] */
function placeAnswers(buttons, place, upright, named) {
  buttons.forEach((button, i) => {
    const across = upright && !named;
    Object.assign(button.style, {
      left: `${across ? place.tiles[2 * i] : place.x}px`,
      top: `${CAPTION + (across ? place.y : upright ? place.y + 40 * i : place.tiles[2 * i + 1])}px`,
      width: `${across ? place.side : place.width}px`,
      height: `${across ? place.height : upright ? 40 : place.side}px`,
    });
  });
}

/** @param {HTMLElement[]} buttons
    @param {Model} model
    @param {Front} front */
function showAnswers(buttons, model, front) {
  const { answer, against } = model.question;
  const lit = front.way === 1 && front.at < model.columns.length - 1 ? 0 : 1;
  model.answers().forEach(({ index, probability }, i) => {
    const button = buttons[i];
    const text = percent(probability * lit);
    within(button, "i").style.setProperty("--share", (probability * lit).toFixed(4));
    within(button, ".share").textContent = text;
    button.classList.toggle("for", index === answer);
    button.classList.toggle("against", index === against);
    button.setAttribute("aria-pressed", String(index === answer));
  });
}

/** Draw the values of every shown unit, dimmed beyond the light's position.
    @param {Flow} flow
    @param {Tiles[]} tiles
    @param {Context} context
    @param {Theme} theme
    @param {State} state
    @param {Front} front
    @param {Focus | null} focus */
function drawColumns(flow, tiles, context, theme, state, front, focus) {
  const { model, layout } = flow;
  const shows = model.columns.map((_, k) => model.shows(k, state.show));
  const overAll =
    state.scale === "all" ? Math.max(...shows.slice(1, -1).map(({ values }) => largest(values))) : 0;
  model.columns.forEach((column, k) => {
    if (column.kind === "answers") return;
    const place = layout.places[k];
    const { shown } = place;
    if (model.drawPicture && column.kind === "picture") {
      model.drawPicture(context, place, theme, state, focus);
      return;
    }
    context.imageSmoothingEnabled = false;
    const { values, signed } = shows[k];
    const one = column.kind === "picture"; // drawn as one tile, even with a unit per pixel
    const count = one ? 1 : shown.length;
    const [height, width] = [column.height, column.width];
    const sheet = (tiles[k] ??= makeTiles(count, height, width));
    const perLayer = one ? (signed ? largest(values) : 1) : overAll || largest(values);
    const table = signed ? theme.signed : theme.light;
    const area = height * width;
    for (let i = 0; i < count; i++) {
      const unit = one ? 0 : shown[i];
      const max =
        state.scale === "map" && area > 1 && !one
          ? largest(values, unit * area, (unit + 1) * area)
          : perLayer;
      sheet.fill(i, values, unit, max, table);
    }
    sheet.show();
    const reached = front.way === 0 ? 1 : Math.min(1, Math.max(0.12, (front.at - k + 0.4) * front.way * 3));
    context.globalAlpha = reached;
    for (let i = 0; i < count; i++) {
      context.drawImage(
        sheet.canvas,
        0,
        i * height,
        width,
        height,
        place.tiles[2 * i],
        place.tiles[2 * i + 1],
        place.side,
        place.side,
      );
    }
    context.globalAlpha = 1;
  });
}

/** @param {Context} context
    @param {Place} place
    @param {Column} column
    @param {number} unit
    @param {Colour} colour */
function frame(context, place, column, unit, colour) {
  const slot = column.kind === "picture" ? 0 : place.shown.indexOf(unit);
  if (slot < 0 || column.kind === "answers") return;
  context.strokeStyle = `rgb(${colour})`;
  context.lineWidth = 2;
  context.strokeRect(
    place.tiles[2 * slot] - 1,
    place.tiles[2 * slot + 1] - 1,
    place.side + 2,
    place.side + 2,
  );
}

/** Cross out a cut unit.
    @param {Context} context
    @param {Place} place
    @param {Column} column
    @param {number} unit
    @param {Theme} theme */
function cross(context, place, column, unit, theme) {
  const slot = place.shown.indexOf(unit);
  if (slot < 0) return;
  let [x, y, side] = [place.tiles[2 * slot], place.tiles[2 * slot + 1], place.side];
  if (column.kind === "picture" && column.count > 1) {
    side = place.side / column.width;
    x = place.x + (unit % column.width) * side;
    y = place.y + Math.floor(unit / column.width) * side;
  }
  context.strokeStyle = `rgb(${theme.ink})`;
  context.lineWidth = Math.min(2, side / 6);
  context.beginPath();
  context.moveTo(x + 2, y + 2);
  context.lineTo(x + side - 2, y + side - 2);
  context.moveTo(x + side - 2, y + 2);
  context.lineTo(x + 2, y + side - 2);
  context.stroke();
}

/** @param {Flow} flow
    @param {number} x
    @param {number} y
    @returns {Focus | null} */
function hit({ model, layout }, x, y) {
  for (let k = 0; k < model.columns.length; k++) {
    const column = model.columns[k];
    const place = layout.places[k];
    if (column.kind === "answers") continue;
    const count = column.kind === "picture" ? 1 : place.shown.length;
    for (let i = 0; i < count; i++) {
      const [dx, dy] = [x - place.tiles[2 * i], y - place.tiles[2 * i + 1]];
      if (dx < -1 || dy < -1 || dx > place.side + 1 || dy > place.side + 1) continue;
      const share = (d, cells) => Math.min(cells - 1, Math.max(0, Math.floor((d / place.side) * cells)));
      const position = share(dy, column.height) * column.width + share(dx, column.width);
      return {
        column: k,
        unit: column.kind === "picture" ? (column.count > 1 ? position : 0) : place.shown[i],
        position,
      };
    }
  }
  return null;
}
