// A brush for masks: light where a technique works, dark where it leaves the picture alone.

import { contextOf } from "lanterna/canvas.js";
import { Frame } from "./frame.js";
import { html, useEffect, useRef, useState } from "./html.js";

/** @import { Ref } from "preact" */
/** @import { Side } from "./frame.js" */

/** @typedef {{ x: number, y: number }} Pen */

const LONGEST = 1024; // pixels along the mask's longer side

/** A brush over a picture, starting from the mask at the URL `initial`; its tools are below the picture.

    `done(blob)` gets a grey PNG, or null for no change; `words` describe what is painted.
    @param {{ picture: Side, initial?: string | null, words?: string,
        done: (blob: Blob | null) => void }} props */
export default function Mask({ picture, initial = null, words = "where to work", done }) {
  const { width, height } = picture;
  /** @type {Ref<HTMLCanvasElement>} */
  const canvas = useRef();
  const pen = useRef(/** @type {Pen | null} */ (null));
  const drawn = useRef(false);
  const [size, setSize] = useState(12);
  const [erase, setErase] = useState(false);
  const scale = LONGEST / Math.max(width, height);
  const [across, down] = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
  const keyPen = useRef({ x: across / 2, y: down / 2, down: false }).current;
  useEffect(() => {
    canvas.current.closest("section")?.scrollIntoView();
    canvas.current.focus({ preventScroll: true });
    if (initial)
      ink(initial, canvas.current).then(
        () => {
          drawn.current = true;
        },
        () => {},
      );
  }, []);

  function line(to) {
    const context = contextOf(canvas.current);
    const from = pen.current ?? to;
    context.globalCompositeOperation = erase ? "destination-out" : "source-over";
    context.strokeStyle = "#f5b041";
    context.lineCap = context.lineJoin = "round";
    context.lineWidth = (size / 100) * Math.max(across, down);
    context.beginPath();
    context.moveTo(from.x, from.y);
    context.lineTo(to.x + 0.01, to.y);
    context.stroke();
    pen.current = to;
    drawn.current = true;
  }
  const toCanvas = (event) => {
    const box = canvas.current.getBoundingClientRect();
    return {
      x: ((event.clientX - box.left) / box.width) * across,
      y: ((event.clientY - box.top) / box.height) * down,
    };
  };
  function moveByKey(event) {
    const direction = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[
      event.key
    ];
    if (direction) {
      pen.current = { x: keyPen.x, y: keyPen.y };
      keyPen.x = Math.min(across, Math.max(0, keyPen.x + 16 * direction[0]));
      keyPen.y = Math.min(down, Math.max(0, keyPen.y + 16 * direction[1]));
      if (keyPen.down) line({ x: keyPen.x, y: keyPen.y });
      pen.current = null;
    } else if (event.key === " ") {
      keyPen.down = !keyPen.down;
      if (keyPen.down) line({ x: keyPen.x, y: keyPen.y });
      pen.current = null;
    } else return;
    event.preventDefault();
  }
  function clear() {
    contextOf(canvas.current).clearRect(0, 0, across, down);
    drawn.current = false;
  }
  function finish() {
    if (!drawn.current) return initial ? blank(across, down, "#000").then(done) : done(null);
    const out = document.createElement("canvas");
    [out.width, out.height] = [across, down];
    const context = contextOf(out);
    context.drawImage(canvas.current, 0, 0);
    context.globalCompositeOperation = "source-in"; // the ink's shape in white …
    context.fillStyle = "#fff";
    context.fillRect(0, 0, across, down);
    context.globalCompositeOperation = "destination-over"; // … on black
    context.fillStyle = "#000";
    context.fillRect(0, 0, across, down);
    out.toBlob(done, "image/png");
  }
  return html`
    <div class="well"><${Frame} before=${picture} after=${null}><canvas
      class="mask"
      ref=${canvas}
      width=${across}
      height=${down}
      tabindex="0"
      role="application"
      aria-label=${`Mask: paint ${words}. Arrow keys move the brush, Space lowers or lifts it.`}
      onPointerDown=${(event) => {
        if (event.button > 0) return;
        canvas.current.setPointerCapture(event.pointerId);
        pen.current = null;
        line(toCanvas(event));
      }}
      onPointerMove=${(event) => {
        if (pen.current && event.buttons)
          for (const each of event.getCoalescedEvents?.() ?? [event]) line(toCanvas(each));
      }}
      onPointerUp=${() => {
        pen.current = null;
      }}
      onPointerCancel=${() => {
        pen.current = null;
      }}
      onKeyDown=${moveByKey}
    ></canvas><//></div>
    <div class="mask-tools" role="toolbar" aria-label="Mask">
      <span class="quiet">Paint ${words}.</span>
      <label>
        Brush${" "}
        <input
          type="range"
          min="2"
          max="40"
          value=${size}
          onInput=${(event) => setSize(Number(event.target.value))}
        />
      </label>
      <label class="check">
        <input type="checkbox" checked=${erase} onChange=${(event) => setErase(event.target.checked)} />${" "}
        Erase
      </label>
      <button type="button" class="button small" onClick=${clear}>
        Clear
      </button>
      <button type="button" class="button small" onClick=${() => done(null)}>
        Cancel
      </button>
      <button type="button" class="button small primary" onClick=${finish}>
        Use this mask
      </button>
    </div>
  `;
}

/** Draw the light areas of a mask as ink on a canvas.
    @param {string} address
    @param {HTMLCanvasElement} canvas */
async function ink(address, canvas) {
  const image = new Image();
  image.src = address;
  await image.decode();
  const context = contextOf(canvas);
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
  const { data } = pixels;
  for (let at = 0; at < data.length; at += 4) {
    data[at + 3] = Math.round(0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2]);
    [data[at], data[at + 1], data[at + 2]] = [0xf5, 0xb0, 0x41];
  }
  context.putImageData(pixels, 0, 0);
}

/** A mask of one colour, as a PNG.
    @param {number} width
    @param {number} height
    @param {string} colour */
export function blank(width, height, colour) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const context = contextOf(canvas);
  context.fillStyle = colour;
  context.fillRect(0, 0, width, height);
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}
