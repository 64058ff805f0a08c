// Read: a pad on which the network answers while the pen moves, and pages that are dropped, chosen or filmed.

import { messageOf } from "lanterna/words.js";
import { contextOf } from "lanterna/canvas.js";
import { makePad } from "lanterna/pad.js";
import { file, read, readSteps, upload, url } from "../api.js";
import { useRoomDrop } from "../drop.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { uploadPicture } from "../pictures.js";
import Picker from "../picker.js";
import { attempt, go, setQuery, route, announcement } from "../store.js";
import { Explained } from "../terms.js";
import { readers, TrainFirst } from "../train_first.js";

/** @import { Child, Ref, State } from "preact" */
/** @import { Reading } from "../api.js" */

/** @typedef {Reading & { elapsed: number }} TimedReading - with the elapsed milliseconds

    @typedef {object} Queue - the drawing being read, and the next one
    @property {boolean} busy
    @property {{ blob: Blob, started: number } | null} next
    @property {string} network
    @property {string} surface
    @property {Blob | null} [last]
    @property {number} [explainTimer]
    @property {HTMLElement} [pad]
    @property {(found: TimedReading) => void} onAnswer */

// Sides in pixels: a drawing read while the pen moves takes a tenth of the time of the pad's full 224.
const QUICK_SIDE = 80;
const PAD_SIDE = 224;
const SLOW = 300; // ms without an answer after which the page says that it is coming
const PEN_REST = 120; // ms without a new drawing after which the answer is explained
const CAMERA_INTERVAL = 700; // ms between two camera frames
const DIGITS = [...Array(10).keys()];

export default function Read() {
  const { query } = route.value;
  const all = readers();
  const network = query.get("network") ?? all[0]?.name ?? "conv";
  const camera = query.get("from") === "camera";
  const page = camera ? null : query.get("in.picture");
  const lookInside = query.get("inside") === "1";
  const [answer, setAnswer] = useState(/** @type {TimedReading | null} */ (null));
  const [problem, setProblem] = useState("");
  const [which, setWhich] = useState(0);
  const [picking, setPicking] = useState(false);
  const [slow, setSlow] = useState(false);
  const [inside, setInside] = useState(false); // whether the look page shows the digit
  // The URL of the picture of all steps.
  const [steps, setSteps] = useState(/** @type {string | null} */ (null));
  /** @type {Ref<HTMLElement>} */
  const host = useRef();
  /** @type {Ref<HTMLIFrameElement>} */
  const lookFrame = useRef();
  /** @type {Ref<Queue>} */
  const { current: queue } = useRef({ busy: false, next: null, network, surface: "pad", onAnswer: () => {} });
  queue.network = network;
  queue.surface = page || camera ? "page" : "pad";
  queue.onAnswer = (found) => {
    // Keep the last contributions until the new ones arrive.
    setAnswer((last) =>
      found.digits.some((each) => each.why) || !last
        ? found
        : {
            ...found,
            digits: found.digits.map((each, place) => ({
              ...each,
              why: last.digits[place]?.digit === each.digit ? last.digits[place].why : null,
            })),
          },
    );
    setProblem("");
    setWhich(Math.max(0, found.digits.length - 1));
  };

  /** Read one drawing at a time, and always the newest one next.

      @param {Blob | null} blob */
  async function ask(blob) {
    if (!blob) return;
    queue.next = { blob, started: performance.now() };
    queue.last = blob;
    clearTimeout(queue.explainTimer);
    if (queue.busy) return;
    queue.busy = true;
    const timer = setTimeout(() => setSlow(true), SLOW);
    while (queue.next) {
      const { blob: newest, started } = queue.next;
      queue.next = null;
      const penMoves = queue.surface === "pad";
      try {
        const found = await read(newest, queue.network, queue.surface, penMoves);
        const elapsed = performance.now() - started;
        if (queue.last === null) continue; // the pad was cleared meanwhile
        clearTimeout(timer);
        setSlow(false);
        queue.onAnswer({ ...found, elapsed });
        // Contributions and touching digits take longer, so they are requested when the pen rests.
        if (penMoves && found.digits.length)
          queue.explainTimer = setTimeout(
            () =>
              read(newest, queue.network, queue.surface, false).then(
                (reading) => queue.last === newest && queue.onAnswer({ ...reading, elapsed }),
                () => {},
              ),
            PEN_REST,
          );
      } catch (error) {
        setProblem(messageOf(error));
      }
    }
    clearTimeout(timer);
    setSlow(false);
    queue.busy = false;
  }
  useEffect(() => {
    if (!all.length || page || camera) return undefined;
    setAnswer(null);
    const pad = makePad((pixels) => {
      if (!pixels) {
        setAnswer(null);
        clearTimeout(queue.explainTimer);
        queue.next = queue.last = null; // ignore an answer that is on its way
        return;
      }
      drawing(pad, QUICK_SIDE).then(ask);
    });
    queue.pad = pad;
    host.current.replaceChildren(pad);
    return () => {
      host.current?.replaceChildren();
    };
  }, [page, camera, !all.length]);
  useRoomDrop(([id]) => {
    setPicking(false);
    setQuery({ "in.picture": id, from: null });
  });
  useEffect(() => {
    if (!page || !all.length) return;
    setAnswer(null);
    fetch(file(page))
      .then((response) => response.blob())
      .then(ask);
  }, [page, network, !all.length]);
  useEffect(() => {
    if (!answer) return undefined;
    const reading = setTimeout(() => {
      announcement.value = answer.digits.length
        ? `Read as ${answer.text || answer.digits.map((each) => each.digit).join(" ")}.`
        : "No digit found.";
    }, 700);
    return () => clearTimeout(reading);
  }, [answer]);

  async function showSteps() {
    const { last, surface } = queue;
    const blob = last && (await attempt(() => readSteps(last, network, surface)));
    if (blob) setSteps(URL.createObjectURL(blob));
  }

  // Upload the drawing as a picture that the room Look can open.
  async function openInLook() {
    const { pad } = queue;
    const blob = page || !pad ? null : await drawing(pad, PAD_SIDE);
    const picture = page ?? (blob && (await attempt(() => upload(blob, "a drawing")))?.id);
    if (picture) go("look", { network, "in.picture": picture });
  }

  const digit = answer?.digits[Math.min(which, answer.digits.length - 1)];
  // The look page next to the pad shows the network's input.
  const loaded = useRef(false);
  const sendDigit = () => {
    const shown = lookInside && loaded.current && digit;
    if (shown)
      lookFrame.current?.contentWindow?.postMessage({ pixels: shown.input.map((level) => level / 255) }, "*");
    setInside(!!shown); // until then it would show a digit of its own
  };
  useEffect(() => {
    loaded.current = false;
  }, [lookInside, network]);
  useEffect(sendDigit, [lookInside, digit]);
  const source = page ? "page" : camera ? "camera" : "pad";
  return html`
    <div class="room read" data-inside=${lookInside}>
      <section
        class="pen"
        aria-label=${{ page: "The page", camera: "The camera", pad: "The pad" }[source]}
      >
        ${
          !all.length
            ? html`<${TrainFirst} words="A network that reads digits must be trained first." />`
            : page
              ? html`<${Page} picture=${file(page)} answer=${answer} which=${which} setWhich=${setWhich} />`
              : camera
                ? html`
                <${Live}
                  glance=${ask}
                  answer=${answer}
                  which=${which}
                  setWhich=${setWhich}
                  still=${async (blob) => {
                    const picture = await uploadPicture(new File([blob], "page.jpg", { type: "image/jpeg" }));
                    if (picture) setQuery({ "in.picture": picture.id, from: null });
                  }}
                />
              `
                : html`<div ref=${host} style=${{ display: "contents" }}></div>`
        }
      </section>
      <section class="reading" aria-label="Answer">
        <h1>Read</h1>
        <div class="verdict">
          <p class="answer-digit" data-testid="answer" data-long=${(answer?.text ?? "").length > 2}>
            ${
              answer
                ? answer.digits.length
                  ? answer.text || answer.digits.map((each) => each.digit).join("")
                  : "–"
                : html`
                  <span class="quiet" aria-hidden="true">
                    ${slow ? "…" : "?"}
                  </span>
                `
            }
          </p>
          <div class="because">
            <figure>
              <${InputImage} pixels=${digit?.input} />
              <figcaption>the network’s input</figcaption>
            </figure>
            <figure>
              <${Why} why=${digit?.why} input=${digit?.input} />
              <figcaption>
                ${
                  digit?.why
                    ? html`
                      ${digit.digit} and not ${digit.why.rather_than}: <b class="for">amber</b> counts for
                      it, <b class="against">blue</b> against it
                    `
                    : "evidence for the answer"
                }
              </figcaption>
            </figure>
          </div>
        </div>
        <ul class="chances" aria-label="Probability of each digit">
          ${DIGITS.map((each) => {
            const share = digit?.chances[each] ?? 0;
            return html`
              <li key=${each} data-best=${digit?.digit === each}>
                <span>${each}</span>
                <span class="bar-of" aria-hidden="true">
                  <span style=${{ transform: `scaleX(${share})` }}></span>
                </span>
                <span class="share">${digit ? `${(100 * share).toFixed(1)} %` : ""}</span>
              </li>
            `;
          })}
        </ul>
        ${
          (source !== "pad" || (answer && answer.digits.length > 1)) &&
          html`
            <div class="digits-found" aria-label="Digits found" role="group">
              ${answer?.digits.slice(0, 40).map(
                (each, place) => html`
                  <button
                    type="button"
                    key=${place}
                    aria-pressed=${place === which}
                    aria-label=${`Digit ${place + 1}: ${each.digit}`}
                    onClick=${() => setWhich(place)}
                  >
                    <${InputImage} pixels=${each.input} />
                  </button>
                `,
              )}
            </div>
          `
        }
        <p class="hint" role="status">
          ${
            problem
              ? problem
              : slow
                ? "Opening the network …"
                : answer
                  ? [
                      `${answer.elapsed.toFixed(0)} ms ` +
                        `from ${source === "pad" ? "the pen" : "the page"} to the answer`,
                      digit?.note,
                      answer.notes?.join("; "),
                    ]
                      .filter(Boolean)
                      .join(" · ")
                  : html`
                  <${Explained}
                    text=${
                      "A drawing is normalised like MNIST’s digits: " +
                      "scaled to 20 pixels, with its centre of mass in the middle of 28 × 28."
                    }
                  />
                `
          }
        </p>
        <div class="acts">
          ${
            source !== "pad" &&
            html`
              <button
                type="button"
                class="button small"
                onClick=${() => {
                  setAnswer(null);
                  setQuery({ "in.picture": null, from: null });
                }}
              >
                Back to the pad
              </button>
            `
          }
          <button
            type="button"
            class="button small"
            disabled=${!all.length}
            onClick=${() => setPicking(true)}
          >
            Read a page …
          </button>
          ${
            source !== "camera" &&
            html`
              <button
                type="button"
                class="button small"
                disabled=${!all.length}
                onClick=${() => {
                  setAnswer(null);
                  setQuery({ from: "camera", "in.picture": null });
                }}
              >
                Camera
              </button>
            `
          }
          <button type="button" class="button small" disabled=${!answer} onClick=${showSteps}>
            Show the steps
          </button>
          <button
            type="button"
            class="button small"
            aria-pressed=${lookInside}
            disabled=${!all.length}
            onClick=${() => setQuery({ inside: lookInside ? null : "1" })}
          >
            Look inside while drawing
          </button>
          <button type="button" class="button small" disabled=${!answer?.digits.length} onClick=${openInLook}>
            Open in Look
          </button>
          ${
            all.length > 1 &&
            html`
              <label class="check">
                Network${" "}
                <select
                  value=${network}
                  onChange=${(event) =>
                    setQuery({ network: event.target.value === "conv" ? null : event.target.value })}
                >
                  ${all.map((each) => html`<option key=${each.name}>${each.name}</option>`)}
                </select>
              </label>
            `
          }
        </div>
        ${
          picking &&
          html`
            <${Picker}
              words="a page to read"
              close=${() => setPicking(false)}
              chosen=${(id) => {
                setPicking(false);
                setQuery({ "in.picture": id, from: null });
              }}
            />
          `
        }
        ${
          steps &&
          html`
            <${Steps}
              address=${steps}
              close=${() => {
                URL.revokeObjectURL(steps);
                setSteps(null);
              }}
            />
          `
        }
      </section>
      ${
        lookInside &&
        html`
          ${
            !inside &&
            html`
              <p class="empty inner" role="status">
                ${digit ? "Opening the network …" : "Draw a digit to see it in the network."}
              </p>
            `
          }
          <iframe
            class="inner"
            data-shown=${inside}
            ref=${lookFrame}
            key=${network}
            src=${url(`/api/look?network=${encodeURIComponent(network)}`)}
            sandbox="allow-scripts"
            title="The drawing in the network"
            onLoad=${() => {
              loaded.current = true;
              sendDigit();
            }}
          ></iframe>
        `
      }
    </div>
  `;
}

/** @param {{ address: string, close: () => void }} props */
function Steps({ address, close }) {
  /** @type {Ref<HTMLDialogElement>} */
  const dialog = useRef();
  useEffect(() => dialog.current.showModal(), []);
  return html`
    <dialog
      ref=${dialog}
      class="picker steps"
      aria-label="From the page to the network"
      onClose=${close}
      onClick=${(event) => event.target === dialog.current && dialog.current.close()}
    >
      <header>
        <h2><${Explained} text="Preprocessing" /></h2>
        <button type="button" class="button quiet" onClick=${() => dialog.current.close()}>
          Close
        </button>
      </header>
      <img src=${address} alt="Each step from the page to the network’s input" />
    </dialog>
  `;
}

/** The pad's drawing, white on black, as a PNG of `side` pixels.
    @param {HTMLElement} pad
    @param {number} side
    @returns {Promise<Blob | null>} */
function drawing(pad, side) {
  const paper = document.createElement("canvas");
  paper.width = paper.height = side;
  const context = contextOf(paper);
  context.fillStyle = "#000";
  context.fillRect(0, 0, side, side);
  context.imageSmoothingQuality = "high";
  context.drawImage(/** @type {HTMLCanvasElement} */ (pad.querySelector("canvas")), 0, 0, side, side);
  return new Promise((done) => paper.toBlob(done, "image/png"));
}

/** @param {{ pixels: number[] }} props */
function InputImage({ pixels }) {
  /** @type {Ref<HTMLCanvasElement>} */
  const canvas = useRef();
  useEffect(() => {
    const context = contextOf(canvas.current);
    context.clearRect(0, 0, 28, 28);
    if (!pixels) return;
    const image = context.createImageData(28, 28);
    for (let place = 0; place < 784; place += 1)
      image.data.set([...Array(3).fill(pixels[place]), 255], 4 * place);
    context.putImageData(image, 0, 0);
  }, [pixels]);
  return html`<canvas ref=${canvas} width="28" height="28" data-empty=${!pixels}></canvas>`;
}

/** The contributions to the answer, amber for and blue against, over a dim copy of the digit.
    @param {{ why: import("../api.js").Why | null, input: number[] }} props */
function Why({ why, input }) {
  /** @type {Ref<HTMLCanvasElement>} */
  const canvas = useRef();
  useEffect(() => {
    const context = contextOf(canvas.current);
    context.clearRect(0, 0, 28, 28);
    if (!why) return;
    const image = context.createImageData(28, 28);
    const style = getComputedStyle(document.documentElement);
    const [amber, blue] = [colour("#f5b041"), colour(style.getPropertyValue("--against").trim())];
    for (let place = 0; place < 784; place += 1) {
      const share = Math.sign(why.terms[place]) * Math.sqrt(Math.abs(why.terms[place]) / 100);
      const ground = 0.16 * (input?.[place] ?? 0);
      const end = share > 0 ? amber : blue;
      image.data.set(
        [0, 1, 2].map((band) => ground + Math.abs(share) * (end[band] - ground)).concat(255),
        4 * place,
      );
    }
    context.putImageData(image, 0, 0);
  }, [why]);
  return html`
    <canvas
      ref=${canvas}
      width="28"
      height="28"
      data-empty=${!why}
      role="img"
      aria-label=${
        why ? "Pixels that count for the answer, in amber, and against it, in blue" : "Nothing yet"
      }
    ></canvas>
  `;
}

/** @param {string} text */
const colour = (text) => [1, 3, 5].map((place) => Number.parseInt(text.slice(place, place + 2), 16));

/** @param {{ picture: string, answer: TimedReading | null, which: number, setWhich: (place: number) => void,
        children?: Child }} props */
function Page({ picture, answer, which, setWhich, children }) {
  const [size, setSize] = useState(/** @type {{ width: number, height: number } | null} */ (null));
  const { width, height } = answer ?? size ?? { width: 4, height: 3 };
  return html`
    <div
      class="page-read"
      style=${{
        width: `min(100cqw, 100cqh * ${width} / ${height})`,
        aspectRatio: `${width} / ${height}`,
        visibility: answer || size || children ? "visible" : "hidden", // its shape is unknown
      }}
    >
      ${
        children ??
        html`
          <img
            src=${picture}
            alt="The page being read"
            onLoad=${(event) =>
              setSize({ width: event.target.naturalWidth, height: event.target.naturalHeight })}
          />
        `
      }
      ${answer?.digits.map((each, place) => {
        const [left, top, right, bottom] = each.box;
        return html`
          <button
            type="button"
            key=${place}
            aria-pressed=${place === which}
            aria-label=${`Digit ${place + 1}: ${each.digit}`}
            onClick=${() => setWhich(place)}
            style=${{
              left: `${(100 * left) / width}%`,
              top: `${(100 * top) / height}%`,
              width: `${(100 * (right - left)) / width}%`,
              height: `${(100 * (bottom - top)) / height}%`,
            }}
          >
            <span>${each.digit}</span>
          </button>
        `;
      })}
    </div>
  `;
}

/** The camera's picture, read about once a second.
    @param {{ glance: (blob: Blob) => Promise<void>, still: (blob: Blob) => void,
        answer: TimedReading | null, which: number, setWhich: (place: number) => void }} props */
function Live({ glance, still, ...page }) {
  /** @type {Ref<HTMLVideoElement>} */
  const video = useRef();
  const [problem, setProblem] = useState("");
  /** @type {Ref<() => Promise<Blob | null>>} */
  const takeFrame = useRef();
  takeFrame.current = () => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [video.current?.videoWidth ?? 0, video.current?.videoHeight ?? 0];
    if (!canvas.width) return Promise.resolve(null);
    contextOf(canvas).drawImage(video.current, 0, 0);
    return new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.9));
  };
  useEffect(() => {
    /** @type {MediaStream | null} */
    let stream = null;
    let unmounted = false;
    const stop = () => stream?.getTracks().forEach((track) => track.stop());
    const queue = navigator.mediaDevices?.getUserMedia({
      video: { width: { ideal: 1280 }, facingMode: "environment" },
    });
    if (!queue) setProblem("No camera is available in this browser.");
    queue?.then(
      (opened) => {
        stream = opened;
        if (unmounted) stop();
        else video.current.srcObject = opened;
      },
      () =>
        setProblem("The camera could not be opened: the browser blocks it, or another program is using it."),
    );
    let timer = 0;
    const look = async () => {
      const blob = await takeFrame.current();
      if (blob && !unmounted) await glance(blob);
      if (!unmounted) timer = setTimeout(look, CAMERA_INTERVAL);
    };
    timer = setTimeout(look, CAMERA_INTERVAL);
    return () => {
      unmounted = true;
      clearTimeout(timer);
      stop();
    };
  }, []);
  if (problem) return html`<p class="empty">${problem}</p>`;
  return html`
    <div class="camera-live">
      <${Page} ...${page}>
        <video ref=${video} autoplay muted playsinline aria-label="Camera picture"></video>
      <//>
      <button
        type="button"
        class="button primary"
        onClick=${async () => {
          const blob = await takeFrame.current();
          if (blob) still(blob);
        }}
      >
        Use this frame
      </button>
    </div>
  `;
}
