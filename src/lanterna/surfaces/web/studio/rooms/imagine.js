// Imagine: a plane of noise to move through, each place of which is drawn as a digit; and the techniques.

import { post, upload } from "../api.js";
import { html, time, useEffect, useRef, useState } from "../html.js";
import { remember } from "../pictures.js";
import { address, attempt, go, notify, route, setQuery, updateJob } from "../store.js";
import { Go, Make, useCheck } from "./make.js";

/** @import { Ref } from "preact" */
/** @import { Imagined } from "../api.js" */

const DIGITS = [...Array(10).keys()];
const SIDE = 28; // pixels of a digit
const LARGE = 15 * SIDE; // pixels of the canvas
const STEP = 0.1; // of an arrow key; a drag across the whole digit is 2
const LEARNING = { kind: "imagine", settings: {}, inputs: [] };

export default function Imagine() {
  const { query } = route.value;
  if (!query.get("view") && !query.get("kind") && !query.get("job")) return html`<${Plane} />`;
  const back = html`
    <p><a href=${address("imagine", { view: "plane" })}>Move through the noise of one digit</a></p>
  `;
  return query.get("view") === "plane" ? html`<${Plane} />` : html`<${Make} room="imagine" extra=${back} />`;
}

function Plane() {
  const { query } = route.value;
  const number = (/** @type {string} */ name, /** @type {number} */ otherwise) =>
    query.has(name) ? Number(query.get(name)) : otherwise;
  const digit = number("digit", 4);
  const seed = number("seed", 0);
  const guidance = number("guidance", 2);
  const steps = number("steps", 4);
  const [place, setPlace] = useState({ across: number("across", 0), down: number("down", 0) });
  const canvas = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  const { took, problem } = useDigit({ digit, seed, guidance, steps, ...place }, (levels) =>
    paint(canvas.current, levels),
  );
  const { seconds } = useCheck(problem ? LEARNING : null);
  const held = useRef(/** @type {{ x: number, y: number, across: number, down: number } | null} */ (null));

  /** @param {{ across: number, down: number }} to */
  const stay = ({ across, down }) => setQuery({ across: across.toFixed(3), down: down.toFixed(3) });
  /** @param {PointerEvent & { currentTarget: HTMLElement }} event */
  function drag(event) {
    const from = held.current;
    if (!from) return;
    const scale = 2 / event.currentTarget.clientWidth;
    setPlace({
      across: from.across + (event.clientX - from.x) * scale,
      down: from.down + (event.clientY - from.y) * scale,
    });
  }
  /** @param {KeyboardEvent} event */
  function press(event) {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!way) return;
    event.preventDefault();
    const to = { across: place.across + STEP * way[0], down: place.down + STEP * way[1] };
    setPlace(to);
    stay(to);
  }
  const save = () =>
    canvas.current?.toBlob((blob) =>
      attempt(async () => {
        if (!blob) return;
        const picture = remember(await upload(blob, `imagined ${digit}`));
        notify("The picture is saved in the gallery.", "Look inside", () =>
          go("look", { network: "conv", "in.picture": picture.id }),
        );
      }),
    );
  const learn = () =>
    attempt(async () => {
      const job = await post("/api/jobs", LEARNING);
      updateJob(job);
      go("imagine", { view: "draw", job: job.id });
    });

  return html`
    <div class="room make imagine">
      <section class="workspace" aria-label="The digit">
        <div class="well">
          ${
            problem
              ? html`
                <div class="empty">
                  <p role="status">
                    A network has to learn to draw digits first. It takes${" "}
                    ${seconds ? `about ${time(seconds)}` : "some minutes"}.
                  </p>
                  <p><button type="button" class="button primary" onClick=${learn}>Start learning</button></p>
                </div>
              `
              : html`
                <canvas
                  ref=${canvas}
                  class="plane"
                  width=${LARGE}
                  height=${LARGE}
                  tabindex="0"
                  role="application"
                  aria-label=${`An imagined ${digit}. Arrow keys move through the noise.`}
                  onPointerDown=${(event) => {
                    event.currentTarget.setPointerCapture(event.pointerId);
                    held.current = { x: event.clientX, y: event.clientY, ...place };
                  }}
                  onPointerMove=${drag}
                  onPointerUp=${() => {
                    held.current = null;
                    stay(place);
                  }}
                  onPointerCancel=${() => (held.current = null)}
                  onKeyDown=${press}
                ></canvas>
              `
          }
        </div>
      </section>
      <aside class="panel" aria-label="Settings">
        <div class="scroll">
          <h1>Imagine</h1>
          <p class="lead">
            Drag across the digit to move through noise. Every place is drawn as the digit that you choose.
          </p>
          <div class="segments" role="radiogroup" aria-label="Digit">
            ${DIGITS.map(
              (each) => html`
                <label key=${each}>
                  <input
                    type="radio"
                    name="digit"
                    checked=${each === digit}
                    onChange=${() => setQuery({ digit: each })}
                  />
                  <span>${each}</span>
                </label>
              `,
            )}
          </div>
          <${Range}
            name="guidance"
            label="Guidance"
            value=${guidance}
            most=${4}
            step=${0.25}
            hint="0: any digit. More: clearer digits that differ less."
          />
          <${Range}
            name="steps"
            label="Steps"
            value=${steps}
            least=${1}
            most=${12}
            step=${1}
            hint="From noise to digit. One step is a mean of many digits."
          />
          <p class="hint" role="status">
            ${took == null ? !problem && "Drawing …" : `${took.toFixed(0)} ms from the noise to the digit`}
          </p>
          <p>
            <a href=${address("imagine", { view: "draw" })}>
              Draw many digits, a film, or digits like your own
            </a>
          </p>
        </div>
        <${Go} job=${null}>
          <button type="button" class="button primary" disabled=${took == null} onClick=${save}>
            Save the picture
          </button>
          <button
            type="button"
            class="button"
            onClick=${() => {
              setPlace({ across: 0, down: 0 });
              setQuery({ seed: Math.floor(Math.random() * 1e6), across: null, down: null });
            }}
          >
            Take other noise
          </button>
        <//>
      </aside>
    </div>
  `;
}

/** @param {{ name: string, label: string, value: number, least?: number, most: number, step: number,
        hint: string }} props */
function Range({ name, label, value, least = 0, most, step, hint }) {
  return html`
    <div class="field">
      <div class="head">
        <label for=${name}>${label}</label>
        <output for=${name}>${value}</output>
      </div>
      <input
        type="range"
        id=${name}
        min=${least}
        max=${most}
        step=${step}
        value=${value}
        onInput=${(event) => setQuery({ [name]: event.currentTarget.value })}
      />
      <p class="hint">${hint}</p>
    </div>
  `;
}

/** Draw the digit at the newest place; places in between are skipped while one is drawn.
    @param {Record<string, number>} order
    @param {(levels: number[]) => void} show */
function useDigit(order, show) {
  const [answer, setAnswer] = useState(
    /** @type {{ took: number | null, problem: string }} */ ({ took: null, problem: "" }),
  );
  /** @type {Ref<{ waiting: object | null, busy: boolean, left: boolean }>} */
  const { current: state } = useRef({ waiting: null, busy: false, left: false });
  useEffect(() => {
    state.left = false;
    return () => {
      state.left = true;
    };
  }, []);
  useEffect(() => {
    state.waiting = order;
    if (!state.busy) work();
  }, [JSON.stringify(order)]);
  async function work() {
    state.busy = true;
    while (state.waiting && !state.left) {
      const asked = state.waiting;
      state.waiting = null;
      try {
        const /** @type {Imagined} */ found = await post("/api/imagine", asked);
        if (state.left) break;
        show(found.levels);
        setAnswer({ took: found.milliseconds, problem: "" });
      } catch (error) {
        setAnswer({ took: null, problem: error instanceof Error ? error.message : String(error) });
      }
    }
    state.busy = false;
  }
  return answer;
}

/** Paint 28 × 28 levels on a canvas, smoothly enlarged.
    @param {HTMLCanvasElement | null} canvas
    @param {number[]} levels */
function paint(canvas, levels) {
  const context = canvas?.getContext("2d");
  if (!canvas || !context) return;
  const small = new OffscreenCanvas(SIDE, SIDE);
  const pixels = new ImageData(SIDE, SIDE);
  levels.forEach((level, place) => pixels.data.set([level, level, level, 255], 4 * place));
  small.getContext("2d")?.putImageData(pixels, 0, 0);
  context.imageSmoothingQuality = "high";
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
}
