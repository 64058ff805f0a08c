// A pad to draw a digit on, with pointer, touch, pen or keys; and MNIST's normalisation of digits.

import { contextOf } from "lanterna/canvas.js";
import { element } from "lanterna/words.js";

/** @typedef {{ x: number, y: number, pressure?: number }} Pen */

const SIDE = 224; // pixels of the pad
const DIGIT = 28;
const BOX = 20; // the longer side of the ink in a digit
const SAMPLES = 5; // samples per pixel of a digit, in each direction
const STEP = 8; // pixels per arrow key

/** A pad; `drawn(pixels)` is called with 28 × 28 numbers in [0, 1], or null when it was cleared.
    @param {(pixels: Float64Array | null) => void} drawn */
export function makePad(drawn) {
  const canvas = element("canvas", {
    width: SIDE,
    height: SIDE,
    tabindex: 0,
    role: "application",
    "aria-label":
      "Pad: draw a digit. With keys: arrows move the pen, Space lowers or lifts it, Delete clears.",
  });
  const context = contextOf(canvas, { willReadFrequently: true });
  const brush = element("input", {
    type: "range",
    min: 8,
    max: 36,
    value: 20,
    "aria-label": "Brush",
    title: "Brush",
  });
  const clear = element("button", { type: "button" }, "Clear");
  const hint = element(
    "span",
    { class: "hint" },
    "draw a digit here",
    element("small", {}, "it is scaled and centred like MNIST’s digits"),
  );
  const host = element(
    "div",
    { class: "pad" },
    element("div", { class: "paper" }, canvas, hint),
    element("div", { class: "tools" }, brush, clear),
  );
  /** @type {Pen | null} */
  let from = null; // the pen's position while it is down
  const key = { x: SIDE / 2, y: SIDE / 2, down: false };

  /** @param {Pen} to */
  function line(to) {
    context.strokeStyle = "#fff";
    context.lineCap = context.lineJoin = "round";
    context.lineWidth = Number(brush.value) * (to.pressure ?? 1);
    context.beginPath();
    context.moveTo((from ?? to).x, (from ?? to).y);
    context.lineTo(to.x + 0.01, to.y); // so that a dot is visible
    context.stroke();
    from = to;
    hint.hidden = true;
    drawn(normalised(context.getImageData(0, 0, SIDE, SIDE).data));
  }

  /** @param {PointerEvent} event
      @returns {Pen} */
  function place(event) {
    const box = canvas.getBoundingClientRect();
    // More pressure of a pen draws a broader line; a mouse and a finger have none.
    const pressure = event.pointerType === "pen" && event.pressure > 0 ? 0.5 + event.pressure : 1;
    return {
      x: ((event.clientX - box.left) / box.width) * SIDE,
      y: ((event.clientY - box.top) / box.height) * SIDE,
      pressure,
    };
  }

  function wipe() {
    context.clearRect(0, 0, SIDE, SIDE);
    hint.hidden = false;
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button > 0) return;
    canvas.setPointerCapture(event.pointerId);
    from = place(event);
    line(from);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (from && event.buttons) for (const each of event.getCoalescedEvents?.() ?? [event]) line(place(each));
  });
  for (const end of ["pointerup", "pointercancel"])
    canvas.addEventListener(end, () => {
      from = null;
    });
  canvas.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (way) {
      from = { x: key.x, y: key.y };
      key.x = Math.min(SIDE, Math.max(0, key.x + STEP * way[0]));
      key.y = Math.min(SIDE, Math.max(0, key.y + STEP * way[1]));
      if (key.down) line({ x: key.x, y: key.y });
      from = null;
    } else if (event.key === " ") {
      key.down = !key.down;
      if (key.down) {
        from = { x: key.x, y: key.y };
        line(from);
        from = null;
      }
    } else if (event.key === "Delete" || event.key === "Backspace") clear.click();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  clear.addEventListener("click", () => {
    wipe();
    drawn(null);
  });
  return Object.assign(host, { wipe });
}

/** Normalise ink on the pad (the alpha of RGBA) like MNIST's digits: the longer side of its box is 20
    pixels, and its centre of mass is in the middle of 28 × 28 (LeCun et al. 1998). Null without ink.
    @param {Uint8ClampedArray} rgba */
export function normalised(rgba) {
  let [left, right, top, bottom, mass, sumX, sumY] = [SIDE, -1, SIDE, -1, 0, 0, 0];
  for (let y = 0, i = 3; y < SIDE; y++) {
    for (let x = 0; x < SIDE; x++, i += 4) {
      const ink = rgba[i];
      if (!ink) continue;
      if (x < left) left = x;
      if (x > right) right = x;
      if (y < top) top = y;
      if (y > bottom) bottom = y;
      mass += ink;
      sumX += ink * (x + 0.5);
      sumY += ink * (y + 0.5);
    }
  }
  if (!mass) return null;
  const scale = Math.max(right - left + 1, bottom - top + 1) / BOX; // pad pixels per digit pixel
  const [middleX, middleY] = [sumX / mass, sumY / mass];
  const pixels = new Float64Array(DIGIT * DIGIT);
  for (let y = 0; y < DIGIT; y++) {
    for (let x = 0; x < DIGIT; x++) {
      let sum = 0;
      for (let sy = 0; sy < SAMPLES; sy++) {
        const py = Math.floor(middleY + (y + (sy + 0.5) / SAMPLES - DIGIT / 2) * scale);
        if (py < 0 || py >= SIDE) continue;
        for (let sx = 0; sx < SAMPLES; sx++) {
          const px = Math.floor(middleX + (x + (sx + 0.5) / SAMPLES - DIGIT / 2) * scale);
          if (px >= 0 && px < SIDE) sum += rgba[4 * (py * SIDE + px) + 3];
        }
      }
      pixels[y * DIGIT + x] = sum / (255 * SAMPLES * SAMPLES);
    }
  }
  return pixels;
}
