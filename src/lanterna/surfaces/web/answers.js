// What a drawing is read as: the network's input, the answer in words, and a bar for each answer.

import { contextOf } from "lanterna/canvas.js";
import { element, percent } from "lanterna/words.js";

const SIDE = 28;
const NOTHING = "Nothing drawn yet.";

/** A section with the answer to a drawing: `paint(pixels)` shows the network's input, in [0, 1], or null, and
    `show(shares)` its probabilities; none empty it.
    @param {string[]} classes */
export function makeAnswers(classes) {
  const digit = element("canvas", {
    width: SIDE,
    height: SIDE,
    role: "img",
    "aria-label": "The network’s input: nothing yet",
  });
  const context = contextOf(digit);
  const read = element("p", { class: "read", role: "status" }, NOTHING);
  const bars = classes.map((name) => {
    const bar = element("i");
    const share = element("span", {}, "");
    const row = element("li", {}, element("b", {}, name), element("div", { class: "bar" }, bar), share);
    return { row, bar, share };
  });
  const host = element(
    "section",
    {},
    read,
    element(
      "div",
      { class: "answer" },
      digit,
      element("ol", { class: "bars", "aria-label": "Probabilities" }, ...bars.map(({ row }) => row)),
    ),
  );
  return {
    host,
    /** @param {ArrayLike<number> | null} pixels */
    paint(pixels) {
      const image = context.createImageData(SIDE, SIDE);
      for (let i = 0; i < SIDE * SIDE; i++)
        image.data.set([240, 234, 222, Math.round(255 * (pixels?.[i] ?? 0))], 4 * i);
      context.putImageData(image, 0, 0);
    },
    /** @param {number[]} shares */
    show(shares) {
      const best = shares.indexOf(Math.max(...shares));
      bars.forEach(({ row, bar, share }, index) => {
        const value = shares[index] ?? 0;
        bar.style.width = `${100 * value}%`;
        share.textContent = shares.length ? percent(value) : "";
        row.classList.toggle("best", index === best);
      });
      const answer = shares.length ? `Read as ${classes[best]}, ${percent(shares[best])}` : NOTHING;
      read.textContent = answer;
      digit.setAttribute("aria-label", `The network’s input. ${answer}`);
    },
  };
}
