// A training film with a slider over its steps: draws the data of `film.py` for the selected step.

/** @import { Arrays } from "lanterna/arrays.js" */
/** @import { Numbers } from "lanterna/draw.js" */

/** @typedef {object} Film - as packed by `film.py`: the lists have a value per snapshot
    @property {number[]} steps
    @property {number[]} accuracy
    @property {number[]} training_accuracy
    @property {number[]} loss
    @property {number[]} training_loss
    @property {[number, number][]} corners - the position of each answer on the map
    @property {number} total
    @property {number} measured
    @property {number} trained

    @typedef {ReturnType<typeof theme>} Ink

    @typedef {number[][]} Colours - 256 of them */

const FRAMES_PER_SECOND = 8;
const DIGITS = [...Array(10).keys()];

/** Draw the page from `data` and `arrays`, and connect its controls.
    @param {{ data: Film, arrays: Arrays }} packed */
export function mount({ data, arrays }) {
  /** @param {string} id */
  const get = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
  const input = (/** @type {string} */ id) => /** @type {HTMLInputElement} */ (get(id));
  const canvas = (/** @type {string} */ id) => /** @type {HTMLCanvasElement} */ (get(id));
  const slider = input("step");
  const last = data.steps.length - 1;
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let at = last; // the shown snapshot; between two of them during playback
  let digit = 4;
  let pointed = -1;
  let playing = false;
  let ink = theme();

  const cells = table(/** @type {HTMLTableElement} */ (get("confusion")));
  const buttons = DIGITS.map((number) => {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-label", a(number));
    const picture = button.appendChild(document.createElement("canvas"));
    button.addEventListener("click", () => {
      digit = number;
      draw();
      updateUrl();
    });
    get("digits").append(button);
    return { button, picture };
  });

  function draw() {
    const now = Math.round(at);
    slider.value = String(now);
    const description = sentence(data, arrays, now);
    get("now").textContent = description;
    slider.setAttribute("aria-valuetext", description);
    drawMap(canvas("map"), { data, arrays, at, digit, pointed, ink });
    drawKernels(now);
    drawLayers(now);
    drawTable(cells, arrays.confusion.subarray(now * 100, now * 100 + 100), ink);
    const right = (share) => -Math.log10(Math.max(1 - share, 1e-3)) / 3;
    drawCurve(
      canvas("accuracy"),
      [data.training_accuracy, data.accuracy],
      now,
      right,
      [
        [0, "0 %"],
        [0.9, "90 %"],
        [0.99, "99 %"],
        [0.999, "99.9 %"],
      ],
      data.steps,
      ink,
    );
    const low = (loss) => Math.min(1, Math.max(0, (Math.log10(Math.max(loss, 1e-3)) + 3) / 4));
    drawCurve(
      canvas("loss"),
      [data.training_loss, data.loss],
      now,
      low,
      [
        [0.001, "0.001"],
        [0.01, "0.01"],
        [0.1, "0.1"],
        [1, "1"],
        [10, "10"],
      ],
      data.steps,
      ink,
    );
    get("accuracy").setAttribute("aria-label", `Accuracy by step. ${description}`);
    get("loss").setAttribute("aria-label", `Loss by step, now ${data.loss[now].toFixed(3)}`);
  }

  /** @param {number} now */
  function drawKernels(now) {
    const [, count, high, wide] = arrays.kernels.shape;
    const size = count * high * wide;
    drawGrid(
      canvas("kernels"),
      arrays.kernels.subarray(now * size, now * size + size),
      [count, high, wide],
      8,
      ink.signed,
    );
  }

  /** @param {number} now */
  function drawLayers(now) {
    for (const canvas of /** @type {NodeListOf<HTMLCanvasElement>} */ (
      document.querySelectorAll("[data-layer]")
    )) {
      const maps = arrays[`maps ${canvas.dataset.layer}`];
      const [, , ...shape] = maps.shape;
      const size = shape.reduce((product, side) => product * side, 1);
      const start = (now * 10 + digit) * size;
      const units = shape.length === 1;
      drawGrid(
        canvas,
        maps.subarray(start, start + size),
        units ? [size, 1, 1] : shape,
        units ? 32 : 6,
        ink.lit,
      );
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", `Activations of ${canvas.dataset.layer} for ${a(digit)}`);
    }
    for (const [number, { button, picture }] of buttons.entries()) {
      button.setAttribute("aria-pressed", String(number === digit));
      grey(picture, arrays.chosen.subarray(number * 784, number * 784 + 784), ink);
    }
  }

  /** Show a snapshot, counted from 0, and stop playing.
      @param {number} to */
  function go(to) {
    at = Math.max(0, Math.min(last, to));
    pause();
    draw();
    updateUrl();
  }

  function pause() {
    playing = false;
    get("play").textContent = "Play";
  }

  function play() {
    playing = true;
    get("play").textContent = "Pause";
    if (at >= last) at = 0;
    let before = performance.now();
    let position = at; // with reduced motion there is no interpolation
    requestAnimationFrame(function move(time) {
      if (!playing) return;
      position += (Math.max(0, time - before) / 1000) * FRAMES_PER_SECOND * Number(input("speed").value);
      before = time;
      at = Math.min(last, still.matches ? Math.floor(position) : position);
      draw();
      if (at < last) requestAnimationFrame(move);
      else {
        pause();
        updateUrl();
      }
    });
  }

  let urlTimer;
  function updateUrl() {
    clearTimeout(urlTimer);
    urlTimer = setTimeout(
      () => history.replaceState(null, "", `#step=${data.steps[Math.round(at)]}&digit=${digit}`),
      120,
    );
  }

  function readUrl() {
    const state = new URLSearchParams(location.hash.slice(1));
    const step = Number(state.get("step") ?? data.steps[last]);
    at = Math.max(
      0,
      data.steps.findLastIndex((one) => one <= step),
    );
    const requested = Number(state.get("digit") ?? digit);
    if (DIGITS.includes(requested)) digit = requested;
    pause();
    draw();
  }

  /** @param {MouseEvent} event */
  function point(event) {
    const box = get("map").getBoundingClientRect();
    const found = nearest(
      arrays,
      Math.round(at),
      event.clientX - box.left,
      event.clientY - box.top,
      box.width,
    );
    if (found === pointed) return;
    pointed = found;
    const [picture, words] = /** @type {[HTMLCanvasElement, HTMLElement]} */ ([...get("pointed").children]);
    picture.hidden = found < 0;
    words.textContent = "";
    if (found >= 0) {
      grey(picture, arrays.digits.subarray(found * 784, found * 784 + 784), ink);
      const answer = arrays.answers[Math.round(at) * arrays.labels.length + found];
      words.textContent = `Test digit ${found}: ${a(arrays.labels[found])}, read as ${answer}`;
    }
    draw();
  }

  slider.addEventListener("input", () => go(Number(slider.value)));
  get("play").addEventListener("click", () => {
    if (playing) {
      pause();
      go(Math.round(at));
    } else play();
  });
  get("map").addEventListener("pointermove", point);
  get("map").addEventListener("pointerdown", point);
  for (const id of ["accuracy", "loss"]) {
    get(id).addEventListener("click", (event) => {
      const { left, width } = get(id).getBoundingClientRect();
      go(Math.round(((event.clientX - left - AXIS) / (width - AXIS - EDGE)) * last));
    });
  }
  addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (
      !by ||
      event.altKey ||
      event.ctrlKey ||
      event.metaKey ||
      /** @type {Element} */ (event.target).matches("input, select")
    )
      return;
    event.preventDefault();
    go(Math.round(at) + by);
  });
  addEventListener("hashchange", readUrl);
  addEventListener("resize", draw);
  matchMedia("(prefers-color-scheme: light)").addEventListener("change", () => {
    ink = theme();
    draw();
  });
  readUrl();
}

/** A snapshot's description.
    @param {Film} data
    @param {Arrays} arrays
    @param {number} now */
function sentence(data, arrays, now) {
  const percent = (share) => `${(share * 100).toFixed(1)} %`;
  const counts = arrays.confusion.subarray(now * 100, now * 100 + 100);
  let worst = -1;
  for (let i = 0; i < 100; i++) if (i % 11 && (worst < 0 || counts[i] > counts[worst])) worst = i;
  const mistake = counts[worst]
    ? ` Most often ${a(Math.floor(worst / 10))} is read as ${worst % 10}: ${times(counts[worst])}.`
    : "";
  return (
    `Step ${data.steps[now].toLocaleString("en")} of ${data.total.toLocaleString("en")}: ` +
    `${percent(data.accuracy[now])} of ${data.measured} classified correctly, ` +
    `${percent(data.training_accuracy[now])} of ${data.trained}.${mistake}`
  );
}

/** @param {number} digit */
const a = (digit) => (digit === 8 ? "an 8" : `a ${digit}`);

/** @param {number} count */
const times = (count) => (count === 1 ? "once" : count === 2 ? "twice" : `${count} times`);

/** The page's colours as numbers, and colour maps of 256 levels: 128 is the page's colour. */
function theme() {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  const parts = (name) => [1, 3, 5].map((i) => parseInt(colour(name).slice(i, i + 2), 16));
  const levels = (above) =>
    Array.from({ length: 256 }, (_, level) => {
      const share = Math.min(1, Math.abs(level - 128) / 127);
      const end = parts(level < 128 ? "against" : above);
      return parts("page").map((from, i) => from + (end[i] - from) * share);
    });
  return { colour, parts, signed: levels("for"), lit: levels("light") };
}

/** Size a canvas in device pixels, and scale its context to CSS pixels.
    @param {HTMLCanvasElement} canvas
    @param {number} height
    @returns {[CanvasRenderingContext2D, number]} */
function sized(canvas, height) {
  const ratio = devicePixelRatio || 1;
  const width = canvas.clientWidth;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  pen.scale(ratio, ratio);
  return [pen, width];
}

const scratch = document.createElement("canvas");

/** Draw pictures `[count, high, wide]` of levels as a grid, each pixel a square.
    @param {HTMLCanvasElement} canvas
    @param {Numbers} levels
    @param {number[]} shape
    @param {number} columns
    @param {Colours} colours */
function drawGrid(canvas, levels, [count, high, wide], columns, colours) {
  const gap = wide === 1 ? 1 : 8;
  columns = Math.min(columns, count);
  const side = (canvas.clientWidth - gap * (columns - 1)) / columns;
  const tall = Math.ceil(count / columns) * (side + gap) - gap;
  canvas.style.height = `${tall}px`;
  const [pen] = sized(canvas, tall);
  pen.imageSmoothingEnabled = false;
  for (let i = 0; i < count; i++) {
    paint(scratch, levels.subarray(i * high * wide, (i + 1) * high * wide), high, wide, colours);
    pen.drawImage(scratch, (i % columns) * (side + gap), Math.floor(i / columns) * (side + gap), side, side);
  }
}

/** Draw levels as the pixels of `canvas`, which is resized to fit.
    @param {HTMLCanvasElement} canvas
    @param {Numbers} levels
    @param {number} high
    @param {number} wide
    @param {Colours} colours */
function paint(canvas, levels, high, wide, colours) {
  canvas.width = wide;
  canvas.height = high;
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const image = pen.createImageData(wide, high);
  levels.forEach((level, i) => image.data.set([...colours[level], 255], i * 4));
  pen.putImageData(image, 0, 0);
}

/** Draw a digit, 28 × 28: ink is light on the dark page and dark on the light one.
    @param {HTMLCanvasElement} canvas
    @param {Numbers} values
    @param {Ink} ink */
function grey(canvas, values, ink) {
  paint(
    canvas,
    values.map((value) => 128 + (value / 255) * 127),
    28,
    28,
    ink.lit,
  );
}

const RIM = 28; // pixels around the circle, for the ten answers

/** The i-th digit's position on a map `width` pixels wide, interpolated between two snapshots.
    @param {Arrays} arrays
    @param {number} at
    @param {number} i
    @param {number} width
    @returns {[number, number]} */
function place(arrays, at, i, width) {
  const count = arrays.labels.length;
  const before = Math.floor(at),
    after = Math.ceil(at),
    share = at - before;
  const part = (axis) => {
    const from = arrays.places[(before * count + i) * 2 + axis];
    return from + (arrays.places[(after * count + i) * 2 + axis] - from) * share;
  };
  const radius = width / 2 - RIM;
  return [width / 2 + part(0) * radius, width / 2 - part(1) * radius];
}

/** @param {Arrays} arrays
    @param {number} at
    @param {number} x
    @param {number} y
    @param {number} width */
function nearest(arrays, at, x, y, width) {
  let found = -1,
    closest = 14 ** 2;
  for (let i = 0; i < arrays.labels.length; i++) {
    const [across, down] = place(arrays, at, i, width);
    const distance = (across - x) ** 2 + (down - y) ** 2;
    if (distance < closest) [found, closest] = [i, distance];
  }
  return found;
}

/** @param {HTMLCanvasElement} canvas
    @param {{ data: Film, arrays: Arrays, at: number, digit: number, pointed: number, ink: Ink }} shown */
function drawMap(canvas, { data, arrays, at, digit, pointed, ink }) {
  const [pen, width] = sized(canvas, canvas.clientWidth);
  const middle = width / 2,
    radius = middle - RIM,
    count = arrays.labels.length;
  const family = getComputedStyle(document.body).fontFamily;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.strokeStyle = ink.colour("line");
  pen.beginPath();
  pen.arc(middle, middle, radius, 0, 2 * Math.PI);
  pen.stroke();
  pen.font = `${width < 480 ? 16 : 20}px ${family}`;
  data.corners.forEach(([across, up], number) => {
    pen.fillStyle = ink.colour(number === digit ? "for" : "ink");
    pen.fillText(String(number), middle + across * (radius + 15), middle - up * (radius + 15));
  });
  pen.font = `${width < 480 ? 9 : 11}px ${family}`;
  const kind = (i) =>
    arrays.labels[i] !== arrays.answers[Math.round(at) * count + i]
      ? "against"
      : arrays.labels[i] === digit
        ? "for"
        : "quiet";
  for (const layer of ["quiet", "for", "against"]) {
    // the rarer kinds on top
    pen.fillStyle = ink.colour(layer);
    for (let i = 0; i < count; i++) {
      if (kind(i) === layer) pen.fillText(String(arrays.labels[i]), ...place(arrays, at, i, width));
    }
  }
  if (pointed >= 0) {
    pen.strokeStyle = ink.colour("ink");
    pen.beginPath();
    pen.arc(...place(arrays, at, pointed, width), 9, 0, 2 * Math.PI);
    pen.stroke();
  }
}

/** Create ten rows of ten cells with headings; return the cells.
    @param {HTMLTableElement} element */
function table(element) {
  const heading = (row, scope, text) => {
    const cell = row.appendChild(document.createElement("th"));
    cell.scope = scope;
    cell.textContent = text;
  };
  const top = element.insertRow();
  top.insertCell().style.background = "none";
  DIGITS.forEach((number) => heading(top, "col", number));
  return DIGITS.flatMap((number) => {
    const row = element.insertRow();
    heading(row, "row", number);
    return DIGITS.map(() => row.insertCell());
  });
}

/** @param {HTMLTableCellElement[]} cells
    @param {Numbers} counts
    @param {Ink} ink */
function drawTable(cells, counts, ink) {
  const page = ink.parts("raised");
  cells.forEach((cell, i) => {
    const row = Math.floor(i / 10);
    const total = Array.from(counts.subarray(row * 10, row * 10 + 10)).reduce((sum, count) => sum + count, 0);
    const share = Math.sqrt(counts[i] / Math.max(1, total));
    const end = ink.parts(i % 11 ? "for" : "light");
    cell.style.background = `rgb(${page.map((from, c) => from + (end[c] - from) * share).join(" ")})`;
    cell.style.color = ink.colour(share > 0.5 ? "page" : "ink");
    cell.textContent = counts[i] ? String(counts[i]) : "";
  });
}

const AXIS = 56,
  EDGE = 8;

/** Draw curves over the snapshots, the last one amber, faint after `now`; `height` maps values to 0 to 1.
    @param {HTMLCanvasElement} canvas
    @param {number[][]} series
    @param {number} now
    @param {(value: number) => number} height
    @param {[number, string][]} ticks
    @param {number[]} steps
    @param {Ink} ink */
function drawCurve(canvas, series, now, height, ticks, steps, ink) {
  const tall = canvas.clientHeight,
    foot = 24;
  const [pen, width] = sized(canvas, tall);
  const x = (i) => AXIS + (i / Math.max(1, steps.length - 1)) * (width - AXIS - EDGE);
  const y = (value) => tall - foot - height(value) * (tall - foot - 8);
  pen.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  pen.fillStyle = ink.colour("quiet");
  pen.strokeStyle = ink.colour("line");
  pen.textBaseline = "middle";
  pen.textAlign = "right";
  for (const [value, label] of ticks) {
    pen.fillText(label, AXIS - 8, y(value));
    stroke(pen, [
      [AXIS, y(value)],
      [width - EDGE, y(value)],
    ]);
  }
  pen.textAlign = "center";
  for (const i of new Set([0, (steps.length - 1) >> 1, steps.length - 1])) {
    pen.textAlign = i && i === steps.length - 1 ? "right" : "center";
    pen.fillText(steps[i].toLocaleString("en"), x(i), tall - 8);
  }
  pen.lineWidth = 2;
  series.forEach((values, number) => {
    const points = values.map((value, i) => [x(i), y(value)]);
    pen.strokeStyle = pen.fillStyle = ink.colour(number ? "for" : "quiet");
    pen.globalAlpha = 0.25;
    stroke(pen, points);
    pen.globalAlpha = 1;
    stroke(pen, points.slice(0, now + 1));
    pen.beginPath();
    pen.arc(points[now][0], points[now][1], 4, 0, 2 * Math.PI);
    pen.fill();
  });
}

/** @param {CanvasRenderingContext2D} pen
    @param {number[][]} points */
function stroke(pen, points) {
  pen.beginPath();
  points.forEach(([x, y]) => pen.lineTo(x, y));
  pen.stroke();
}
