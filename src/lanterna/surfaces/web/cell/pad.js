// The pad in a cell: a drawing is sent to Python as 28 × 28 bytes, and Python sends the probabilities.

import { receive, send } from "lanterna/cell/inside.js";
import { contextOf } from "lanterna/canvas.js";
import { makePad } from "lanterna/pad.js";
import { element, percent } from "lanterna/words.js";

/** @param {{ data: { classes: string[] } }} packed */
export function mount({ data }) {
  const digit = element("canvas", {
    width: 28,
    height: 28,
    role: "img",
    "aria-label": "The network’s input: nothing yet",
  });
  const context = contextOf(digit);
  const read = element("p", { class: "read", role: "status" }, "Nothing drawn yet.");
  const bars = data.classes.map((name) => {
    const bar = element("i");
    const share = element("span", {}, "");
    const row = element("li", {}, element("b", {}, name), element("div", { class: "bar" }, bar), share);
    return { row, bar, share };
  });
  let number = 0; // of the drawing, to ignore an answer to an older one

  /** @param {Float64Array | null} pixels */
  function onDraw(pixels) {
    const bytes = pixels ? Array.from(pixels, (value) => Math.round(255 * value)) : [];
    paint(bytes);
    send({ number: ++number, pixels: bytes });
    if (!bytes.length) show({ number, shares: [] });
  }

  /** @param {number[]} bytes */
  function paint(bytes) {
    const image = context.createImageData(28, 28);
    for (let i = 0; i < 784; i++) image.data.set([240, 234, 222, bytes[i] ?? 0], 4 * i);
    context.putImageData(image, 0, 0);
  }

  /** @param {{ number: number, shares: number[] }} shown */
  function show(shown) {
    if (!shown.shares || shown.number !== number) return;
    const best = shown.shares.indexOf(Math.max(...shown.shares));
    bars.forEach(({ row, bar, share }, index) => {
      const value = shown.shares[index] ?? 0;
      bar.style.width = `${100 * value}%`;
      share.textContent = shown.shares.length ? percent(value) : "";
      row.classList.toggle("best", index === best);
    });
    const answer = shown.shares.length
      ? `Read as ${data.classes[best]}, ${percent(shown.shares[best])}`
      : "Nothing drawn yet.";
    read.textContent = answer;
    digit.setAttribute("aria-label", `The network’s input. ${answer}`);
  }

  document.body.append(
    element(
      "main",
      { class: "drawing" },
      makePad(onDraw),
      element(
        "section",
        {},
        read,
        element(
          "div",
          { class: "answer" },
          digit,
          element("ol", { class: "bars", "aria-label": "Probabilities" }, ...bars.map(({ row }) => row)),
        ),
      ),
    ),
  );
  receive(show);
}
