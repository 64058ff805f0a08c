// The picture, as large as the room allows: a job's result so far, its input, and a loupe over both.

import { file, preview, thumbnail } from "./api.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "./html.js";

/** @import { Child, Ref, State } from "preact" */
/** @import { Job } from "./api.js" */

/** @typedef {{ address: string, job: string, width: number, height: number }} Live - the newest picture of a
        job

    @typedef {{ src: string, width: number, height: number, words: string, still?: string | null }} Side */

/** The newest preview of a job as an image URL; the next one is fetched once the last loaded loaded.
    @param {Job | null | undefined} job
    @returns {Live | null} */
export function useLive(job) {
  const [shown, setShown] = useState(/** @type {Live | null} */ (null));
  /** @type {Ref<{ busy: boolean, loaded: string | null, latest: Job | null }>} */
  const { current: state } = useRef({ busy: false, loaded: null, latest: null });
  useEffect(() => {
    if (!job?.preview) return;
    state.latest = job;
    const key = (/** @type {Job} */ each) => `${each.id} ${each.preview}`;
    async function next() {
      if (state.busy || !state.latest || state.loaded === key(state.latest)) return;
      state.busy = true;
      const requested = state.latest;
      try {
        const response = await fetch(preview(requested));
        if (response.ok) {
          const address = URL.createObjectURL(await response.blob());
          const image = new Image();
          image.src = address;
          await image.decode();
          setShown((last) => {
            if (last) setTimeout(() => URL.revokeObjectURL(last.address), 1000);
            return { address, job: requested.id, width: image.naturalWidth, height: image.naturalHeight };
          });
        }
        state.loaded = key(requested);
      } catch {
        state.loaded = key(requested); // skip it: the next one may load
      }
      state.busy = false;
      next();
    }
    next();
  }, [job?.id, job?.preview]);
  return shown && shown.job === job?.id ? shown : null;
}

/** Two pictures of one frame: `before` and `after` are `{src, width, height, words}` or null.

    `compare` puts a movable divider between them; `loupe` is a magnifier under the pointer.
    @param {{ before: Side | null, after: Side | null, compare: boolean, loupe: boolean, tags?: string[],
        children?: Child }} props */
export function Frame({ before, after, compare, loupe, tags = ["before", "after"], children }) {
  const shape = after ?? before;
  const [playing, setPlaying] = useState(!matchMedia("(prefers-reduced-motion: reduce)").matches);
  const [place, setPlace] = useState(50);
  /** @type {Ref<HTMLElement>} */
  const frame = useRef();
  const both = compare && before && after;
  if (!shape) return null;
  return html`
    <div
      class="frame"
      ref=${frame}
      style=${{ "--w": shape.width, "--h": shape.height, "--place": `${place}%` }}
    >
      ${
        before &&
        (both || !after) &&
        html`
          <img class="picture" src=${before.src} alt=${before.words} draggable=${false} />
        `
      }
      ${
        after?.still &&
        html`
          <button type="button" class="button small plays" onClick=${() => setPlaying(!playing)}>
            ${playing ? "Pause" : "Play"}
          </button>
        `
      }
      ${
        after &&
        html`
          <img
            class=${`picture ${both ? "after" : ""}`}
            src=${after.still && !playing ? after.still : after.src}
            alt=${after.words}
            draggable=${false}
          />
        `
      }
      ${
        both &&
        html`
          <input
            class="divide"
            type="range"
            min="0"
            max="100"
            step="0.5"
            value=${place}
            aria-label="Before and after"
            aria-valuetext=${`${Math.round(place)} % before`}
            onInput=${(event) => setPlace(Number(event.target.value))}
          />
          <span class="line" aria-hidden="true"></span>
          <span class="tag left" aria-hidden="true">
            ${tags[0]}
          </span>
          <span class="tag right" aria-hidden="true">
            ${tags[1]}
          </span>
        `
      }
      ${loupe && html`<${Loupe} frame=${frame} picture=${after ?? before} />`}
      ${children}
    </div>
  `;
}

const ZOOM = 3;

/** @param {{ frame: Ref<HTMLElement>, picture: Side }} props */
function Loupe({ frame, picture }) {
  /** @type {Ref<HTMLElement>} */
  const glass = useRef();
  /** @type {Ref<HTMLElement>} */
  const pad = useRef();
  const at = useRef({ x: 0.5, y: 0.5 });
  function move() {
    const box = frame.current.getBoundingClientRect();
    const { x, y } = at.current;
    const side = glass.current.offsetWidth;
    // At least one picture pixel per screen pixel, and at least three times the shown size.
    const zoom = Math.max(ZOOM, picture.width / box.width);
    Object.assign(glass.current.style, {
      left: `${x * box.width}px`,
      top: `${y * box.height}px`,
      backgroundImage: `url("${picture.src}")`,
      backgroundSize: `${box.width * zoom}px ${box.height * zoom}px`,
      backgroundPosition: `${side / 2 - x * box.width * zoom}px ${side / 2 - y * box.height * zoom}px`,
    });
  }
  useLayoutEffect(move, [picture.src]);
  const clamp = (value) => Math.min(1, Math.max(0, value));
  return html`
    <div
      class="loupe-pad"
      ref=${pad}
      tabindex="0"
      role="application"
      aria-label="Loupe: move it with the pointer or the arrow keys"
      onPointerMove=${(event) => {
        const box = frame.current.getBoundingClientRect();
        at.current = {
          x: clamp((event.clientX - box.left) / box.width),
          y: clamp((event.clientY - box.top) / box.height),
        };
        move();
      }}
      onKeyDown=${(event) => {
        const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[
          event.key
        ];
        if (!way) return;
        event.preventDefault();
        at.current = {
          x: clamp(at.current.x + way[0] * 0.02),
          y: clamp(at.current.y + way[1] * 0.02),
        };
        move();
      }}
    ></div>
    <div class="loupe" ref=${glass} aria-hidden="true"></div>
  `;
}

/** A stored picture as a side of a frame; a film also loaded a still. */
export const side = (picture, words) =>
  picture && {
    src: file(picture.id),
    width: picture.width,
    height: picture.height,
    words,
    still: picture.origin === "made" && picture.media === "image/webp" ? thumbnail(picture.id) : null,
  };
