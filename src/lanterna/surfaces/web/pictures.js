// The sheet of test digits, and the choice of a comparison.

import { contextOf } from "lanterna/canvas.js";
import { element } from "lanterna/words.js";

/** @import { Arrays } from "lanterna/arrays.js" */
/** @import { Page } from "lanterna/flow.js" */

const SIDE = 28;
const SHARP = 2; // pixels of the sheet per pixel of a digit

/** The sheet of test digits, chosen with a click or with arrows and Enter.
    @param {Page} page
    @param {Arrays} arrays
    @param {(id: string) => any} find */
export function makePictures(page, arrays, find) {
  const { digits, untrained } = page.data;
  if (!digits?.length) {
    find("pictures").hidden = true;
    return { update() {} };
  }
  const rows = innerWidth < 640 ? 10 : 5;
  const columns = Math.ceil(digits.length / rows);
  const canvas = element("canvas", {
    width: columns * SIDE * SHARP,
    height: rows * SIDE * SHARP,
    tabindex: 0,
    role: "application",
    "aria-label": `${digits.length} test digits. Arrows move, Enter chooses.`,
  });
  const given = element("button", { type: "button" }, page.data.given ?? "Original picture");
  const said = element("p", { class: "aside", "aria-live": "polite" });
  find("choose").append(
    element("div", { class: "sheet" }, canvas),
    element("div", { class: "tools" }, given, said),
  );
  given.addEventListener("click", () => page.change({ digit: "given" }));
  const places = digits.map((_, index) => [Math.floor(index / rows), index % rows]); // down, then along
  let at = 0;
  let hover = null;

  function draw() {
    const context = contextOf(canvas);
    const { theme, state } = page;
    const image = context.createImageData(SIDE, SIDE);
    const pixels = new Uint32Array(image.data.buffer);
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.imageSmoothingEnabled = true;
    const one = new OffscreenCanvas(SIDE, SIDE);
    const small = contextOf(one);
    places.forEach(([column, row], index) => {
      for (let i = 0; i < SIDE * SIDE; i++)
        pixels[i] = theme.light[255 + arrays.digits[index * SIDE * SIDE + i]];
      small.putImageData(image, 0, 0);
      const [x, y, side] = [column * SIDE * SHARP, row * SIDE * SHARP, SIDE * SHARP];
      context.globalAlpha = hover === null || hover === index ? 1 : 0.6;
      context.drawImage(one, x + 2, y + 2, side - 4, side - 4);
      context.globalAlpha = 1;
      if (index === state.digit || (index === at && document.activeElement === canvas)) {
        context.strokeStyle = `rgb(${index === state.digit ? theme.accent : theme.quiet})`;
        context.lineWidth = 3;
        context.strokeRect(x + 2, y + 2, side - 4, side - 4);
      }
    });
  }

  function under(event) {
    const box = canvas.getBoundingClientRect();
    const column = Math.floor(((event.clientX - box.left) / box.width) * columns);
    const row = Math.floor(((event.clientY - box.top) / box.height) * rows);
    const index = column * rows + row;
    return column >= 0 && row >= 0 && row < rows && index < digits.length ? index : null;
  }

  function choose(index) {
    at = index;
    page.change({ digit: index });
    draw();
  }

  canvas.addEventListener("click", (event) => {
    const index = under(event);
    if (index !== null) choose(index);
  });
  canvas.addEventListener("pointermove", (event) => {
    const index = under(event);
    if (index !== hover) {
      hover = index;
      draw();
    }
  });
  canvas.addEventListener("pointerleave", () => {
    hover = null;
    draw();
  });
  canvas.addEventListener("focus", draw);
  canvas.addEventListener("blur", draw);
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -rows, ArrowRight: rows, ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (step) {
      at = Math.min(digits.length - 1, Math.max(0, at + step));
      said.textContent = `a ${digits[at]}, number ${at + 1} of ${digits.length}`;
      draw();
    } else if (event.key === "Enter" || event.key === " ") choose(at);
    else return;
    event.preventDefault();
  });

  const compare = find("compare");
  const options = [["", "nothing"]];
  if (untrained) options.push(["before", "the network before training"]);
  digits.forEach((label, index) => {
    if (index % (digits.length / 10) < 2)
      options.push([index, `test digit: a ${label}${index % 2 ? ", another" : ""}`]);
  });
  compare.replaceChildren(...options.map(([value, name]) => element("option", { value }, name)));
  compare.addEventListener("change", ({ target }) => {
    page.change({
      compare: target.value === "" ? null : target.value === "before" ? "before" : Number(target.value),
    });
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => requestAnimationFrame(draw));
  addEventListener("theme", () => requestAnimationFrame(draw));
  const update = () => {
    compare.value = page.state.compare ?? "";
    draw();
  };
  update();
  return { update };
}
