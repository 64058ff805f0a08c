// The model of a network that the page cannot compute: what Python recorded (`export_activations.py`), with
// the same interface as `computed.js`. Contributions are linear in the answer, so those to one answer against
// another are differences of the recorded ones.

import { contextOf } from "lanterna/canvas.js";

/** @import { Arrays, Packed } from "lanterna/arrays.js" */
/** @import { Numbers, Theme } from "lanterna/draw.js" */
/** @import { Answer, Column, Focus, Links, Model } from "lanterna/flow.js" */

/** @typedef {Column & { low: number, step: number }} RecordedColumn - its values are `low` + level × `step`

    @typedef {object} Recorded - as packed by `export_activations.py`
    @property {RecordedColumn[]} columns
    @property {number[]} answers
    @property {string[]} classes
    @property {string} title
    @property {boolean} exact
    @property {string} [why]
    @property {string} note
    @property {Record<string, number[]>} offsets
    @property {number[]} values
    @property {string} depth
    @property {string} last

    @typedef {CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D} Context */

const MAX_SHOWN = 12; // the strongest maps of a column

/** The model of a recorded network.
    @param {Recorded} data
    @param {Arrays} arrays
    @returns {Model} */
export function recordedModel(data, arrays) {
  /** @type {RecordedColumn[]} */
  const columns = data.columns.map((column) => ({
    ...column,
    ...(column.kind === "picture" ? { shownName: "picture" } : { limit: MAX_SHOWN }),
  }));
  if (data.answers.length)
    columns.push({
      name: "answers",
      kind: "answers",
      count: data.answers.length,
      height: 1,
      width: 1,
      low: 0,
      step: 1,
    });
  const values = columns.map((column) => levels(column, arrays[`maps ${column.name}`]));
  const contributions = columns.map((column) => new Float64Array(column.count));
  /** @type {Links[]} */
  const links = columns.map(() => ({ values: new Float64Array(0), to: 0, from: 1, single: false }));
  const means = columns.map(({ count }, k) =>
    Float64Array.from({ length: count }, (_, unit) => {
      const area = values[k].length / count;
      return (
        values[k].subarray(unit * area, (unit + 1) * area).reduce((sum, value) => sum + Math.abs(value), 0) /
        area
      );
    }),
  );
  const photograph = pictureOf(arrays.picture);
  const answers = data.answers.map((index, i) => ({
    index,
    name: data.classes[index],
    probability: arrays.probabilities[i],
  }));
  let answerIndex = 0;
  let againstIndex = -1;

  /** The recorded numbers of one answer, or of the difference of two, from `(answers, …)`.
      @param {string} name
      @param {Float64Array} [into] */
  function selectRecorded(name, into) {
    const recorded = arrays[name];
    if (!recorded) return into ? into.fill(0) : new Float64Array(0);
    const each = recorded.length / answers.length;
    const selected = into ?? new Float64Array(each);
    for (let i = 0; i < each; i++)
      selected[i] =
        recorded[answerIndex * each + i] - (againstIndex < 0 ? 0 : recorded[againstIndex * each + i]);
    return selected;
  }

  const model = {
    columns,
    computes: false,
    named: true,
    title: data.title,
    exact: data.exact,
    why: data.why ?? "This network was recorded: the page does not compute it.",
    note: data.note,
    classes: data.classes,
    logits: arrays.logits,
    answers: () => answers,
    get question() {
      return {
        answer: data.answers[answerIndex] ?? null,
        against: againstIndex < 0 ? null : data.answers[againstIndex],
      };
    },
    run(_, answer, against) {
      answerIndex = Math.max(0, data.answers.indexOf(answer));
      againstIndex = against === null ? -1 : data.answers.indexOf(against);
      columns.forEach((column, k) => {
        if (column.kind !== "answers") selectRecorded(`contributions ${column.name}`, contributions[k]);
        if (k) links[k] = linksInto(k);
      });
    },
    values: (k) => values[k],
    shows: (k) => ({ values: values[k], signed: false }),
    contributions: (k) => contributions[k],
    /** The measure of the strongest units: contributions, or activations if there is no answer. */
    strength: (k) => (answers.length ? contributions[k] : means[k]),
    links: (k) => links[k],
    sum(k) {
      const difference = (list) =>
        list ? list[answerIndex] - (againstIndex < 0 ? 0 : list[againstIndex]) : 0;
      return {
        units: contributions[k].reduce((a, b) => a + b, 0),
        offsets: difference(data.offsets[columns[k].name]),
        logit: difference(data.values),
      };
    },
    heat: (name) => ({
      values: selectRecorded(`heat ${name}`),
      shape: arrays[`heat ${name}`]?.shape.slice(1),
    }),
    /** The photograph under a heat map of contributions, or under the selected map. */
    drawPicture(context, place, theme, state, focus) {
      if (focus && columns[focus.column].kind === "maps")
        drawWhereActive(context, place.x, place.y, place.width, focus);
      else drawHeat(context, place.x, place.y, place.width, theme, state.depth ?? data.depth);
    },
    drawLarge(canvas, _, k) {
      if (columns[k].kind !== "picture") return false;
      canvas.width = canvas.height = 256;
      contextOf(canvas).drawImage(photograph, 0, 0, 256, 256);
      return true;
    },
    drawGiven(canvas, page, k, unit) {
      canvas.width = canvas.height = 256;
      const context = contextOf(canvas);
      if (columns[k].kind === "picture")
        drawHeat(context, 0, 0, 256, page.theme, page.state.depth ?? data.depth);
      else drawWhereActive(context, 0, 0, 256, { column: k, unit });
      return true;
    },
  };

  /** @param {number} k
      @returns {Links} */
  function linksInto(k) {
    const recorded = arrays[`links ${columns[k].name === "answers" ? data.last : columns[k].name}`];
    if (!recorded) return { values: new Float64Array(0), to: 0, from: 1, single: false };
    const [, to, from] = recorded.shape;
    const name = columns[k].name === "answers" ? data.last : columns[k].name;
    return {
      values: selectRecorded(`links ${name}`),
      to,
      from,
      single: false,
      toUnits: arrays[`units ${columns[k].name}`],
      fromUnits: arrays[`units ${columns[k - 1].name}`],
    };
  }

  /** @param {Context} context
      @param {number} x
      @param {number} y
      @param {number} side
      @param {Theme} theme
      @param {string} name */
  function drawHeat(context, x, y, side, theme, name) {
    const { values: heat, shape } = model.heat(name);
    context.imageSmoothingEnabled = true;
    context.drawImage(photograph, x, y, side, side);
    if (!shape || !heat.length || name === "none") return;
    const [height, width] = shape;
    // Dim the photograph, and tint each place by its contribution.
    context.fillStyle = `rgba(${theme.page}, 0.5)`;
    context.fillRect(x, y, side, side);
    const max = percentile(heat, 0.995);
    const sheet = new OffscreenCanvas(width, height);
    const image = new ImageData(width, height);
    heat.forEach((value, i) => {
      const share = Math.min(1, Math.abs(value) / max);
      image.data.set([...(value < 0 ? theme.cold : theme.warm), 235 * share ** 0.8], 4 * i);
    });
    contextOf(sheet).putImageData(image, 0, 0);
    context.drawImage(sheet, x, y, side, side);
  }

  /** The photograph, lit only where a map is active.
      @param {Context} context
      @param {number} x
      @param {number} y
      @param {number} side
      @param {Focus} focus */
  function drawWhereActive(context, x, y, side, { column: k, unit }) {
    const { height, width } = columns[k];
    const map = values[k].subarray(unit * height * width, (unit + 1) * height * width);
    const max = Math.max(...map, 1e-9);
    const sheet = new OffscreenCanvas(width, height);
    const image = new ImageData(width, height);
    map.forEach((value, i) => {
      image.data[4 * i + 3] = 235 * (1 - Math.max(0, value) / max);
    });
    contextOf(sheet).putImageData(image, 0, 0);
    context.imageSmoothingEnabled = true;
    context.drawImage(photograph, x, y, side, side);
    context.drawImage(sheet, x, y, side, side);
  }

  return model;
}

/** @param {RecordedColumn} column
    @param {Packed | undefined} packed */
function levels(column, packed) {
  if (!packed) return new Float64Array(column.count * column.height * column.width);
  return Float64Array.from(packed, (level) => column.low + level * column.step);
}

/** A canvas of a picture that is packed channel by channel.
    @param {Packed} packed */
function pictureOf(packed) {
  const [channels, height, width] = packed.shape;
  const area = height * width;
  const image = new ImageData(width, height);
  for (let i = 0; i < area; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = packed[(channels === 3 ? c : 0) * area + i];
    image.data[4 * i + 3] = 255;
  }
  const canvas = new OffscreenCanvas(width, height);
  contextOf(canvas).putImageData(image, 0, 0);
  return canvas;
}

/** @param {Numbers} values
    @param {number} share */
function percentile(values, share) {
  const sizes = Float64Array.from(values, Math.abs).sort();
  return sizes[Math.floor(share * (sizes.length - 1))] || 1;
}
