// Train a network in the page on ten digits that the visitor draws, and watch it. A worker does the
// arithmetic.

import { makeAnswers } from "lanterna/answers.js";
import { contextOf } from "lanterna/canvas.js";
import { makeChart } from "lanterna/chart.js";
import { drawMap, largest, makeTiles, readTheme } from "lanterna/draw.js";
import { makePad } from "lanterna/pad.js";
import { kernelOf, networkFile, read } from "lanterna/site/training.js";
import { inkPixels, inkText } from "lanterna/state.js";
import { count, element, fixed, percent } from "lanterna/words.js";

/** @import { Progress, Reading, Task, Weights } from "lanterna/site/training.js" */

const SIDE = 28;
const DIGITS = Array.from({ length: 10 }, (_, digit) => String(digit));
const [COLUMNS, ROWS] = [8, 3]; // of the hidden units whose weights are shown
const GAP = 2; // pixels between their tiles
const GUESSING = Math.log(10); // the loss of a network that knows nothing
const FILE = "my-digits.safetensors";

export function mount() {
  /** @type {(Float64Array | null)[]} */
  const drawings = readDrawings();
  let at = Math.max(0, drawings.indexOf(null)); // the digit that is drawn now
  /** @type {Progress | null} */
  let latest = null;
  /** @type {Worker | null} */
  let worker = null;
  /** @type {Float64Array | null} */
  let tried = null;
  const losses = { xs: /** @type {number[]} */ ([]), ys: /** @type {number[]} */ ([]) };

  // 1. Ten digits.
  const prompt = element("h3", { class: "prompt", "aria-live": "polite" });
  const pad = makePad((pixels) => {
    drawings[at] = pixels;
    update();
    saveDrawings(drawings);
  });
  const slots = DIGITS.map((digit) => {
    const canvas = element("canvas", { width: SIDE, height: SIDE, "aria-hidden": "true" });
    const button = element("button", { type: "button" }, canvas, element("span", {}, digit));
    button.addEventListener("click", () => choose(Number(digit)));
    return { canvas, button };
  });
  const next = element("button", { type: "button", class: "primary" }, "Next digit");
  next.addEventListener("click", () => {
    const empty = drawings.findIndex((drawing, digit) => !drawing && digit > at);
    choose(empty >= 0 ? empty : drawings.includes(null) ? drawings.indexOf(null) : (at + 1) % 10);
  });
  pad.addEventListener("keydown", ({ key, target }) => {
    if (key === "Enter" && target instanceof HTMLCanvasElement) next.click();
  });

  // 2. The training.
  const seconds = element(
    "select",
    { "aria-label": "How long to train" },
    ...[20, 60, 180].map((each) =>
      element("option", { value: each, selected: each === 60 }, `${each} seconds`),
    ),
  );
  const start = element("button", { type: "button", class: "primary" }, "Train");
  const bar = element("progress", { max: 1, value: 0, "aria-label": "Training" });
  const status = element("p", { class: "status", role: "status" });
  const numbers = element("p", { class: "numbers" });
  const chart = element("div");
  const plot = makeChart(chart);
  const kernels = element("canvas", {
    width: COLUMNS * (SIDE + GAP) - GAP,
    height: ROWS * (SIDE + GAP) - GAP,
    role: "img",
    "aria-label":
      `The weights of ${COLUMNS * ROWS} hidden units: amber where ink excites a unit, blue where it ` +
      "inhibits it",
  });
  const hardest = DIGITS.map(() => {
    const canvas = element("canvas", { width: SIDE, height: SIDE, "aria-hidden": "true" });
    const caption = element("figcaption", {}, "\u00a0");
    return { canvas, caption, host: element("figure", {}, canvas, caption) };
  });
  start.addEventListener("click", () => (worker ? stop() : train()));

  // 3. A trial.
  const answers = makeAnswers(DIGITS);
  const trial = makePad((pixels) => {
    tried = pixels;
    answers.paint(pixels);
    readTried();
  });
  const save = element("button", { type: "button", disabled: true }, "Save the network");
  save.addEventListener("click", () => latest && download(latest.weights));

  /** Draw another digit.
      @param {number} digit */
  function choose(digit) {
    at = digit;
    pad.wipe();
    update();
  }

  function update() {
    const drawn = drawings.filter(Boolean).length;
    prompt.textContent = drawings[at] ? `Your ${at} is drawn` : `Draw ${at === 8 ? "an" : "a"} ${at}`;
    const { light } = readTheme(document.body);
    slots.forEach(({ canvas, button }, digit) => {
      drawMap(canvas, drawings[digit] ?? new Float64Array(SIDE * SIDE), SIDE, SIDE, light, 1);
      button.setAttribute("aria-label", `${digit}, ${drawings[digit] ? "drawn" : "not drawn yet"}`);
      button.setAttribute("aria-current", String(digit === at));
    });
    start.disabled = drawn < 10;
    if (!worker && !latest)
      status.textContent =
        drawn < 10 ? `${drawn} of 10 digits drawn.` : "All ten are drawn: the network can be trained.";
  }

  function train() {
    losses.xs.length = losses.ys.length = 0;
    worker = startWorker(
      {
        drawings: /** @type {Float64Array[]} */ (drawings),
        labels: DIGITS.map(Number),
        seconds: Number(seconds.value),
        seed: Date.now(),
      },
      (progress) => {
        latest = progress;
        losses.xs.push(progress.examples);
        losses.ys.push(progress.loss);
        show();
        if (progress.done === 1) stop();
      },
      () => {
        stop();
        status.textContent = "This browser does not allow the page to compute in the background.";
      },
    );
    start.textContent = "Stop";
    status.textContent = "Training on variants of your digits: shifted, turned, with other pens.";
  }

  function stop() {
    worker?.terminate();
    worker = null;
    start.textContent = "Train again";
    if (!latest) return;
    status.textContent =
      `It learned from ${count(latest.examples)} variants of ten drawings. ` +
      "It knows your hand only: draw a digit below, in your way, and then in another.";
  }

  function show() {
    plot.show({
      title: "Loss",
      across: "variants that it has learned from",
      up: "loss",
      log_up: true,
      lines: [
        { name: "your network", ...losses, style: "line" },
        {
          name: "guessing",
          xs: [0, Math.max(1000, latest?.examples ?? 0)],
          ys: [GUESSING, GUESSING],
          style: "dashed",
        },
      ],
    });
    const theme = readTheme(document.body);
    drawKernels(kernels, latest?.weights ?? null, theme.signed);
    hardest.forEach(({ canvas, caption }, place) => {
      const reading = latest?.hardest[place];
      drawMap(canvas, reading?.pixels ?? new Float64Array(SIDE * SIDE), SIDE, SIDE, theme.light, 1);
      caption.replaceChildren(...(reading ? captionOf(reading) : ["\u00a0"]));
    });
    save.disabled = !latest;
    if (!latest) return;
    bar.value = latest.done;
    numbers.textContent =
      `${count(latest.examples)} variants, loss ${fixed(latest.loss, 3)}, ` +
      `${percent(latest.accuracy)} of 100 others read correctly`;
    readTried();
  }

  function readTried() {
    answers.show(tried && latest ? Array.from(read(latest.weights, tried)) : []);
  }

  document.body.append(
    element(
      "main",
      { class: "training" },
      section(
        "Draw ten digits",
        prompt,
        element(
          "div",
          { class: "two" },
          pad,
          element("div", {}, element("div", { class: "slots" }, ...slots.map(({ button }) => button)), next),
        ),
      ),
      section(
        "Train",
        element("div", { class: "go" }, start, seconds, status),
        bar,
        numbers,
        element(
          "div",
          { class: "two" },
          chart,
          element(
            "div",
            {},
            element("h3", {}, "The weights of 24 of its 128 hidden units"),
            kernels,
            element("h3", {}, "The hardest of 100 variants that it does not learn from"),
            element("div", { class: "hardest" }, ...hardest.map(({ host }) => host)),
          ),
        ),
      ),
      section(
        "Try it",
        element("div", { class: "two" }, trial, answers.host),
        element(
          "p",
          { class: "go" },
          save,
          element(
            "span",
            {},
            "Lanterna reads with it: ",
            element("code", {}, `lanterna read page.jpg --network ${FILE}`),
          ),
        ),
      ),
    ),
  );
  update();
  show();
  answers.paint(null);
  const redraw = () => requestAnimationFrame(() => (update(), show()));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
}

/** @param {string} title
    @param {...Node} children */
function section(title, ...children) {
  return element("section", {}, element("h2", {}, title), ...children);
}

/** @param {Reading} reading */
function captionOf({ written, read: answer, share }) {
  const right = answer === written;
  return [
    element("b", { class: right ? "" : "wrong" }, right ? `${written}` : `${written} as ${answer}`),
    ` ${percent(share)}`,
  ];
}

/** Start the training in a worker, whose source is this page's own module: no file is loaded. Browsers allow
    no module in a worker of a page from disk, so it becomes a plain script.
    @param {Task} task
    @param {(progress: Progress) => void} onProgress
    @param {() => void} onError */
function startWorker(task, onProgress, onError) {
  const [, base64] = import.meta.resolve("lanterna/site/training.js").split(",");
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const script = new TextDecoder().decode(bytes).replaceAll(/^export /gm, "");
  const url = URL.createObjectURL(new Blob([script, "serve(self);"], { type: "text/javascript" }));
  const worker = new Worker(url);
  worker.addEventListener("message", ({ data }) => onProgress(data));
  worker.addEventListener("error", onError);
  worker.postMessage(task);
  return worker;
}

/** Draw the weights to the first hidden units as tiles.
    @param {HTMLCanvasElement} canvas
    @param {Weights | null} weights
    @param {Uint32Array} table */
function drawKernels(canvas, weights, table) {
  const context = contextOf(canvas);
  const tiles = makeTiles(COLUMNS * ROWS, SIDE, SIDE);
  for (let unit = 0; unit < COLUMNS * ROWS; unit++) {
    const kernel = weights ? kernelOf(weights, unit) : new Float32Array(SIDE * SIDE);
    tiles.fill(unit, kernel, 0, largest(kernel), table);
  }
  tiles.show();
  for (let unit = 0; unit < COLUMNS * ROWS; unit++) {
    const [x, y] = [unit % COLUMNS, Math.floor(unit / COLUMNS)].map((place) => place * (SIDE + GAP));
    context.drawImage(tiles.canvas, 0, unit * SIDE, SIDE, SIDE, x, y, SIDE, SIDE);
  }
}

/** @param {Weights} weights */
function download(weights) {
  const url = URL.createObjectURL(new Blob([networkFile(weights)], { type: "application/octet-stream" }));
  element("a", { href: url, download: FILE }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** The drawings in the address, so that a reload loses none. */
function readDrawings() {
  const texts = new URLSearchParams(location.hash.slice(1)).get("digits")?.split(".") ?? [];
  return DIGITS.map((_, digit) =>
    /^[0-9a-f]{784}$/.test(texts[digit] ?? "") ? inkPixels(texts[digit]) : null,
  );
}

let saving = 0;
/** Save the drawings in the address; browsers limit how often it may change.
    @param {(Float64Array | null)[]} drawings */
function saveDrawings(drawings) {
  clearTimeout(saving);
  saving = setTimeout(() => {
    const text = drawings.map((drawing) => (drawing ? inkText(drawing) : "")).join(".");
    history.replaceState(null, "", `#digits=${text}`);
  }, 300);
}
