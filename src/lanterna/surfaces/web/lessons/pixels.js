// Small pictures of numbers for the hands-on pieces, and bars for ten digits.

import { contextOf } from "lanterna/canvas.js";
import { onArrowKeys, onDrag, plane } from "lanterna/lessons/parts.js";
import { rgb, set, svg } from "lanterna/svg.js";
import { percent } from "lanterna/words.js";

/** A picture of `columns` × `rows` numbers. `show(values)` draws numbers in [0, 1] as light, signed ones in
    [-1, 1] as amber and blue, or three numbers for each pixel as colours.
    @param {string} name
    @param {number} columns
    @param {number} rows
    @param {{ kind?: "light" | "signed" | "colours", role?: string }} options */
export function pixels(name, columns, rows, { kind = "light", role = "img" } = {}) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [columns, rows];
  canvas.setAttribute("aria-hidden", "true");
  /** @type {ArrayLike<number>} */
  let values = [];
  const host = plane(name, paint, { role, className: "pixels" });
  host.prepend(canvas);
  host.style.aspectRatio = `${columns} / ${rows}`;

  function paint() {
    const context = contextOf(canvas);
    const image = context.createImageData(columns, rows);
    const [light, pro, con] = ["--light", "--for", "--against"].map((each) => rgb(host, each));
    for (let at = 0; at < columns * rows; at += 1) {
      const value = values[at] ?? 0;
      if (kind === "colours")
        for (let n = 0; n < 3; n += 1) image.data[4 * at + n] = 255 * values[3 * at + n];
      else image.data.set(kind === "light" ? light : value > 0 ? pro : con, 4 * at);
      image.data[4 * at + 3] = kind === "colours" ? 255 : 255 * Math.min(1, Math.abs(value));
    }
    context.putImageData(image, 0, 0);
  }
  return Object.assign(host, {
    /** @param {ArrayLike<number>} next */
    show(next) {
      values = next;
      host.redraw();
    },
  });
}

/** Let somebody draw on a picture: `dab(column, row)` is called for every place that the pen touches. With
    keys, arrows move the pen, and Space lowers and lifts it.
    @param {ReturnType<typeof pixels>} board
    @param {number} columns
    @param {number} rows
    @param {(column: number, row: number) => void} dab
    @param {() => void} onEnd */
export function drawOn(board, columns, rows, dab, onEnd = () => {}) {
  const pen = { x: columns / 2, y: rows / 2, down: false };
  const mark = svg("circle", { class: "pen", r: 6 });
  board.sheet.append(mark);
  set(board.sheet, { tabindex: 0 });
  /** @type {[number, number] | null} */
  let last = null;
  onDrag(
    board.sheet,
    board.sheet,
    (px, py, event) => {
      const [x, y] = [(px / board.clientWidth) * columns, (py / board.clientHeight) * rows];
      if (event.type === "pointerdown") last = null;
      const [fromX, fromY] = last ?? [x, y];
      const steps = Math.max(1, Math.ceil(2 * Math.hypot(x - fromX, y - fromY)));
      for (let n = 1; n <= steps; n += 1)
        dab(fromX + ((x - fromX) * n) / steps, fromY + ((y - fromY) * n) / steps);
      last = [x, y];
    },
    () => {
      if (last) onEnd();
      last = null;
    },
  );
  const place = () =>
    set(mark, { cx: (pen.x / columns) * board.clientWidth, cy: (pen.y / rows) * board.clientHeight });
  board.sheet.addEventListener("focus", place);
  onArrowKeys(board.sheet, (dx, dy) => {
    pen.x = Math.min(columns - 0.5, Math.max(0.5, pen.x + dx));
    pen.y = Math.min(rows - 0.5, Math.max(0.5, pen.y - dy));
    if (pen.down) dab(pen.x, pen.y);
    place();
  });
  board.sheet.addEventListener("keydown", (event) => {
    if (event.key !== " ") return;
    event.preventDefault();
    pen.down = !pen.down;
    if (pen.down) dab(pen.x, pen.y);
    else onEnd();
  });
}

/** Bars for the probabilities of ten digits. `show(shares)` draws them.
    @param {string} name */
export function digitBars(name) {
  /** @type {ArrayLike<number>} */
  let shares = [];
  const host = plane(name, draw, { className: "ten" });
  /** @param {SVGSVGElement} sheet
      @param {number} width
      @param {number} height */
  function draw(sheet, width, height) {
    const each = width / 10;
    const best = Array.from(shares).indexOf(Math.max(...Array.from(shares)));
    sheet.replaceChildren(
      ...Array.from(shares).flatMap((share, digit) => [
        svg("rect", {
          class: "bar",
          "data-best": digit === best,
          x: each * (digit + 0.15),
          width: 0.7 * each,
          y: (1 - share) * (height - 24),
          height: Math.max(1, share * (height - 24)),
        }),
        svg(
          "text",
          { class: "value", x: each * (digit + 0.5), y: height - 5, "text-anchor": "middle" },
          `${digit}`,
        ),
      ]),
    );
    set(sheet, { "aria-label": `${name}: ${best}, ${percent(shares[best] ?? 0)}` });
  }
  return Object.assign(host, {
    /** @param {ArrayLike<number>} next */
    show(next) {
      shares = next;
      host.redraw();
    },
  });
}

/** Add a soft dab to `values`, at most `most`.
    @param {Float64Array} values
    @param {number} columns
    @param {number} rows
    @param {number} x
    @param {number} y
    @param {number} radius */
export function addDab(values, columns, rows, x, y, radius) {
  for (let row = Math.max(0, Math.floor(y - radius - 1)); row <= Math.min(rows - 1, y + radius + 1); row += 1)
    for (
      let column = Math.max(0, Math.floor(x - radius - 1));
      column <= Math.min(columns - 1, x + radius + 1);
      column += 1
    ) {
      const off = Math.hypot(column + 0.5 - x, row + 0.5 - y);
      const ink = Math.min(1, Math.max(0, radius + 0.5 - off));
      values[row * columns + column] = Math.max(values[row * columns + column], ink);
    }
}
