// The pad in a cell: a drawing is sent to Python as 28 × 28 bytes, and Python sends the probabilities.

import { makeAnswers } from "lanterna/answers.js";
import { receive, send } from "lanterna/cell/inside.js";
import { makePad } from "lanterna/pad.js";
import { element } from "lanterna/words.js";

/** @param {{ data: { classes: string[] } }} packed */
export function mount({ data }) {
  const answers = makeAnswers(data.classes);
  let number = 0; // of the drawing, to ignore an answer to an older one

  /** @param {Float64Array | null} pixels */
  function onDraw(pixels) {
    answers.paint(pixels);
    send({
      number: ++number,
      pixels: pixels ? Array.from(pixels, (value) => Math.round(255 * value)) : [],
    });
    if (!pixels) answers.show([]);
  }

  document.body.append(element("main", { class: "drawing" }, makePad(onDraw), answers.host));
  receive((/** @type {{ number: number, shares?: number[] }} */ shown) => {
    if (shown.shares && shown.number === number) answers.show(shown.shares);
  });
}
