// Lesson 11, hands on: nine numbers, a kernel, slide over a drawing, and what they add up to at each place.

import { contextOf } from "lanterna/canvas.js";
import { button, choice, onArrowKeys, onDrag } from "lanterna/lessons/parts.js";
import { addDab, drawOn, pixels } from "lanterna/lessons/pixels.js";
import { set, svg } from "lanterna/svg.js";
import { element, figure, fixed } from "lanterna/words.js";

const SIDE = 64; // pixels of the drawing
const MOST = 4; // of a number of the kernel
/** @type {Record<string, number[]>} */
const KERNELS = {
  "upright edges": [1, 0, -1, 2, 0, -2, 1, 0, -1],
  "level edges": [1, 2, 1, 0, 0, 0, -1, -2, -1],
  "slanted edges": [0, 1, 2, -1, 0, 1, -2, -1, 0],
  "upright lines": [-1, 2, -1, -1, 2, -1, -1, 2, -1],
  spots: [-1, -1, -1, -1, 8, -1, -1, -1, -1].map((each) => each / 2),
  random: [],
};

/** Slide a 3 × 3 kernel over a picture of `side` × `side` numbers; outside it the picture continues as at
    its edge.
    @param {ArrayLike<number>} picture
    @param {number} side
    @param {number[]} kernel */
export function filtered(picture, side, kernel) {
  const inside = (/** @type {number} */ at) => Math.min(side - 1, Math.max(0, at));
  return Float64Array.from({ length: side * side }, (_, at) => {
    const [row, column] = [Math.floor(at / side), at % side];
    return kernel.reduce(
      (sum, weight, n) =>
        sum + weight * picture[inside(row + Math.floor(n / 3) - 1) * side + inside(column + (n % 3) - 1)],
      0,
    );
  });
}

/** @param {HTMLElement} host */
export function mount(host) {
  let kernel = [...KERNELS["upright edges"]];
  let drawing = shapes();
  let found = new Float64Array(SIDE * SIDE);
  let here = [8, 44]; // column and row of the place whose arithmetic is shown

  const presets = choice("Kernel", Object.keys(KERNELS), "upright edges", (value) => {
    kernel = value === "random" ? kernel.map(() => Math.round(8 * Math.random() - 4)) : [...KERNELS[value]];
    update();
  });
  const cells = kernel.map((_, n) => {
    const cell = element("div", { class: "cell-of", role: "slider", tabindex: 0 });
    set(cell, { "aria-label": `Row ${Math.floor(n / 3) + 1}, column ${(n % 3) + 1}` });
    set(cell, { "aria-valuemin": -MOST, "aria-valuemax": MOST });
    let [start, from] = [0, 0];
    const change = (/** @type {number} */ value) => {
      kernel[n] = Math.min(MOST, Math.max(-MOST, Math.round(2 * value) / 2));
      presets.setValue("");
      update();
    };
    onDrag(cell, cell, (_x, y, event) => {
      if (event.type === "pointerdown") [start, from] = [y, kernel[n]];
      else change(from + (start - y) / 20);
    });
    onArrowKeys(cell, (dx, dy) => change(kernel[n] + 0.5 * (dx + dy)));
    return cell;
  });
  const paper = pixels("Drawing", SIDE, SIDE, { role: "application" });
  const result = pixels("What the kernel finds", SIDE, SIDE, { kind: "signed", role: "application" });
  const frame = svg("rect", { class: "window" });
  paper.sheet.append(frame);
  set(paper.sheet, { "aria-label": "Drawing: draw with the pointer, or with arrow keys and Space" });
  const status = element("p", { class: "status", role: "status" });
  host.replaceChildren(
    element(
      "div",
      { class: "piece kernel" },
      element("div", { class: "dials" }, presets),
      element(
        "div",
        { class: "three" },
        element("div", {}, element("h3", {}, "Drawing"), paper),
        element(
          "div",
          { class: "middle" },
          element("h3", {}, "Kernel"),
          element("div", { class: "nine" }, ...cells),
          element("p", { class: "hint" }, "Drag a number up or down, or use the arrow keys."),
        ),
        element("div", {}, element("h3", {}, "What it finds"), result),
      ),
      status,
      element(
        "div",
        { class: "tools" },
        button("Empty paper", () => {
          drawing.fill(0);
          update();
        }),
        button("Shapes", () => {
          drawing = shapes();
          update();
        }),
        element(
          "span",
          { class: "hint" },
          "Draw on the left. Point at the right to see the sum at that place.",
        ),
      ),
    ),
  );

  function update() {
    found = filtered(drawing, SIDE, kernel);
    const strength = kernel.reduce((sum, each) => sum + Math.abs(each), 0) / 2 || 1;
    paper.show(drawing);
    result.show(found.map((each) => each / strength));
    cells.forEach((cell, n) => {
      cell.textContent = figure(kernel[n]);
      cell.style.setProperty("--share", `${(100 * Math.abs(kernel[n])) / MOST}%`);
      set(cell, { "data-sign": Math.sign(kernel[n]), "aria-valuenow": kernel[n] });
    });
    show();
  }

  function show() {
    const [column, row] = here;
    const pixel = paper.clientWidth / SIDE;
    set(frame, {
      x: (column - 1) * pixel,
      y: (row - 1) * pixel,
      width: 3 * pixel,
      height: 3 * pixel,
    });
    const sum = found[row * SIDE + column];
    status.textContent =
      `Row ${row + 1}, column ${column + 1}: the nine products add up to ${fixed(sum, 2)}.` +
      `${sum === 0 ? " Nothing here for this kernel." : ""}`;
    set(result.sheet, { "aria-label": `What the kernel finds. ${status.textContent}` });
  }

  /** @param {number} column
      @param {number} row */
  function point(column, row) {
    here = [column, row].map((each) => Math.min(SIDE - 1, Math.max(0, Math.floor(each))));
    show();
  }
  result.sheet.addEventListener("pointermove", (event) => {
    const box = result.sheet.getBoundingClientRect();
    point(((event.clientX - box.left) / box.width) * SIDE, ((event.clientY - box.top) / box.height) * SIDE);
  });
  set(result.sheet, { tabindex: 0 });
  onArrowKeys(result.sheet, (dx, dy) => point(here[0] + dx, here[1] - dy));
  drawOn(paper, SIDE, SIDE, (x, y) => {
    addDab(drawing, SIDE, SIDE, x, y, 1.2);
    update();
  });
  const observer = new ResizeObserver(show);
  observer.observe(paper);
  update();

  return {
    set() {},
    unmount() {
      observer.disconnect();
      for (const each of [paper, result]) each.stop();
      host.replaceChildren();
    },
  };
}

/** A few shapes to begin with: a house, a sun and a fence. */
function shapes() {
  const canvas = element("canvas", { width: SIDE, height: SIDE });
  const context = contextOf(canvas);
  [context.lineWidth, context.lineCap] = [2, "round"];
  context.fillRect(8, 30, 24, 24);
  context.fill(new Path2D("M4 30L20 14 36 30Z"));
  context.clearRect(22, 40, 6, 14);
  context.clearRect(12, 36, 6, 6);
  context.beginPath();
  context.arc(49, 15, 8, 0, 7);
  context.fill();
  context.stroke(new Path2D("M38 46L62 46M40 40L40 56M46 40L46 56M52 40L52 56M58 40L58 56"));
  const { data } = context.getImageData(0, 0, SIDE, SIDE);
  return Float64Array.from({ length: SIDE * SIDE }, (_, at) => data[4 * at + 3] / 255);
}
