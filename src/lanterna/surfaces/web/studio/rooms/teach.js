// Teach: classes of your own pictures, from files or the camera, and a network that distinguishes them.

import { contextOf } from "lanterna/canvas.js";
import { classify, file, post, thumbnail } from "../api.js";
import { classes, setClasses as set } from "../classes.js";
import { uploadAll, useRoomDrop, useZone } from "../drop.js";
import { TextInput } from "../form.js";
import { html, time, useEffect, useRef, useState } from "../html.js";
import { FirstTime } from "../shelf.js";
import { attempt, setQuery, networks, notify, updateJob, techniqueOf, route, waitsFor } from "../store.js";
import { Go, useJob } from "./make.js";
/** @import { Ref, State } from "preact" */
/** @import { Answer, Job } from "../api.js" */
/** @import { PictureClass } from "../classes.js" */

/** @typedef {ReturnType<typeof useCamera>} Camera */

const MIN_PICTURES = 4;
const RECOMMENDED = 20;
const SHOT_INTERVAL = 250; // milliseconds between two pictures while the button is held
const MAX_ANSWERS = 20;
const MAX_IN_ORDER = 8; // bars that are in view together
const CLASSIFY_INTERVAL = 400; // milliseconds between two answers

/** @param {number} place
    @param {Partial<PictureClass>} fields */
const change = (place, fields) =>
  set(classes.value.map((each, number) => (number === place ? { ...each, ...fields } : each)));
/** @param {number} place
    @param {string[]} ids */
const add = (place, ids) => change(place, { ids: [...classes.value[place].ids, ...ids] });

/** Put a few answers in the order of their classes, so that no bar moves; many stay the most probable first.
    @param {Answer[]} answers */
const inOrder = (answers) =>
  answers.length > MAX_IN_ORDER ? answers : answers.toSorted((one, other) => one.class - other.class);

/** @param {number} place */
const labelOf = (place) => classes.value[place].name.trim() || `class ${place + 1}`;

/** Remove a class, which can be undone.
    @param {number} place */
function removeClass(place) {
  const [removed, label] = [classes.value[place], labelOf(place)];
  set(classes.value.toSpliced(place, 1));
  notify(`${label} was removed.`, "Undo", () => set(classes.value.toSpliced(place, 0, removed)));
}

/** Remove a picture of a class, which can be undone.
    @param {number} place
    @param {number} number */
function removePicture(place, number) {
  const { name, ids } = classes.value[place];
  change(place, { ids: ids.toSpliced(number, 1) });
  notify(`A picture of ${labelOf(place)} was removed.`, "Undo", () => {
    const at =
      classes.value[place]?.name === name ? place : classes.value.findIndex((each) => each.name === name);
    if (at >= 0) change(at, { ids: classes.value[at].ids.toSpliced(number, 0, ids[number]) });
  });
}

/** Add pictures that were dropped beside the classes: to the first empty one, or to a new one.
    @param {string[]} ids */
function addBeside(ids) {
  const empty = classes.value.findIndex((each) => !each.ids.length);
  if (empty < 0) set([...classes.value, { name: "", ids }]);
  else add(empty, ids);
  const place = empty < 0 ? classes.value.length - 1 : empty;
  notify(
    `${ids.length} ${ids.length === 1 ? "picture" : "pictures"} added to ${labelOf(place)}.`,
    "Undo",
    () => change(place, { ids: classes.value[place].ids.filter((each) => !ids.includes(each)) }),
  );
}

const isEmpty = () => classes.value.every(({ name, ids }) => !name && !ids.length);

/** Collect the classes that a network was taught, with their names and pictures.
    @param {Job} job */
function restore({ settings, inputs }) {
  /** @type {Map<string, string[]>} */
  const found = new Map();
  settings.labels.forEach((/** @type {string} */ name, /** @type {number} */ place) =>
    found.set(name, [...(found.get(name) ?? []), inputs[place].picture]),
  );
  set([...found].map(([name, ids]) => ({ name, ids })));
}

export default function Teach() {
  const technique = techniqueOf("teach");
  const { query } = route.value;
  const job = useJob(query.get("job"), "teach");
  useRoomDrop(addBeside, { many: true });
  const running = job && ["running", "paused", "queued"].includes(job.state);
  const camera = useCamera();
  const named = classes.value.map(({ name }) => name.trim());
  const duplicate = named.find((name, place) => name && named.indexOf(name) !== place);
  const filled = classes.value.filter(({ ids }) => ids.length > 0);
  const missing =
    filled.length < 2
      ? `Add two classes of ${MIN_PICTURES} pictures`
      : filled.some(({ name }) => !name.trim())
        ? "Name every class"
        : duplicate
          ? `Two classes are named ${duplicate}`
          : filled.some(({ ids }) => ids.length < MIN_PICTURES)
            ? `Add at least ${MIN_PICTURES} pictures to each class`
            : null;
  if (!technique)
    return html`
      <div class="room">
        <p class="empty">This room is not available.</p>
      </div>
    `;

  async function start() {
    const inputs = filled.flatMap(({ ids }) => ids.map((picture) => ({ role: "picture", picture })));
    const settings = {
      labels: filled.flatMap(({ name, ids }) => ids.map(() => name.trim())),
      ...(query.get("fine_tune") && { fine_tune: true }),
    };
    const created = await attempt(() =>
      post("/api/jobs", { kind: "teach", settings, inputs, title: query.get("name") ?? "" }),
    );
    if (!created) return;
    updateJob(created);
    setQuery({ job: created.id });
  }
  return html`
    <div class="room make teach">
      <section class="workspace" aria-label="Collect">
        <h2>Collect</h2>
        <ul class="classes-taught" aria-label="Classes">
          ${classes.value.map(
            (each, place) => html`
              <${Class} key=${place} place=${place} ...${each} camera=${camera} />
            `,
          )}
          <li>
            <button
              type="button"
              class="add-class"
              onClick=${() => set([...classes.value, { name: "", ids: [] }])}
            >
              + class
            </button>
          </li>
        </ul>
      </section>
      <aside class="panel" aria-label="Settings">
        <div class="scroll">
          <h1>Teach</h1>
          <p class="lead">
            Show a network pictures of two or more things, from files or the camera. ${RECOMMENDED} of each
            work well; varied backgrounds make it more reliable.
          </p>
          <div class="field named">
            <div class="head">
              <label for="set-name">Name</label>
            </div>
            <${TextInput}
              type="text"
              id="set-name"
              value=${query.get("name") ?? ""}
              placeholder="automatic"
              maxlength="40"
              autocomplete="off"
              spellcheck=${false}
              aria-describedby="set-name-words"
              commit=${(event) => setQuery({ name: event.target.value.trim().toLowerCase() })}
            />
            <p class="hint" id="set-name-words">
              The network’s name: lowercase letters, digits and hyphens.
            </p>
          </div>
          <label class="check">
            <input
              type="checkbox"
              checked=${!!query.get("fine_tune")}
              onChange=${(event) => setQuery({ fine_tune: event.target.checked ? "1" : null })}
            />${" "}
            Fine-tune (takes minutes)
          </label>
          <${FirstTime} names=${["efficientnet-lite0"]} />
          <p class="facts" role="status">
            ${facts(job).map((each) => html`<span key=${each}>${each}</span>`)}
          </p>
          ${
            job &&
            isEmpty() &&
            html`
              <button type="button" class="button small" onClick=${() => restore(job)}>
                Collect its pictures again
              </button>
            `
          }
        </div>
        <${Go} job=${running ? job : null}>
          <button type="button" class="button primary" disabled=${!!missing} onClick=${start}>
            ${missing ?? (running ? "Teach another" : "Teach")}
          </button>
        <//>
      </aside>
      <${Try} key=${job?.id} job=${job?.state === "done" ? job : null} camera=${camera} />
    </div>
  `;
}

/** @param {Job | null} job */
function facts(job) {
  if (!job) return ["Nothing has been taught yet."];
  const first =
    {
      queued: waitsFor(job),
      failed: `failed: ${job.error}`,
      done: `the network ${job.title} is ready: try it`,
      stopped: "stopped",
    }[job.state] ?? `${job.step} of ${job.steps || "…"} pictures`;
  const right = job.numbers?.accuracy;
  return [
    first,
    ...(job.state === "running" && job.seconds_left != null ? [`${time(job.seconds_left)} left`] : []),
    ...(right != null ? [`${(100 * right).toFixed(0)} % right on pictures that it was not taught with`] : []),
  ];
}

// One class: its name, its pictures, and the ways to add more.
/** @param {{ place: number, name: string, ids: string[], camera: Camera }} props */
function Class({ place, name, ids, camera }) {
  /** @type {Ref<HTMLInputElement>} */
  const input = useRef();
  const addFiles = async (/** @type {File[]} */ files) => add(place, await uploadAll(files));
  const zone = useZone((ids) => add(place, ids), true);
  const label = name.trim() || `class ${place + 1}`;
  return html`
    <li class="taught-class" ref=${zone}>
      <header>
        <input
          type="text"
          value=${name}
          maxlength="60"
          placeholder="Class name"
          aria-label=${`Name of class ${place + 1}`}
          onInput=${(event) => change(place, { name: event.target.value })}
        />
        <output aria-label=${`Pictures of ${label}`} data-few=${ids.length < MIN_PICTURES}>
          ${ids.length}
          ${ids.length < RECOMMENDED ? html`<span class="quiet"> of ${RECOMMENDED}</span>` : ""}
        </output>
        <button type="button" class="button small" onClick=${() => input.current.click()}>
          Add …
        </button>
        ${
          camera.on &&
          html`
            <${HoldButton}
              label=${`Take pictures of ${label}`}
              takePicture=${async () => {
                const blob = await camera.capture();
                if (blob) await addFiles([blob]);
              }}
            />
          `
        }
        <button
          type="button"
          class="away"
          aria-label=${`Remove ${label}`}
          onClick=${() => removeClass(place)}
        >
          ×
        </button>
        <input
          ref=${input}
          type="file"
          accept="image/*"
          multiple
          class="unseen"
          tabindex="-1"
          aria-label=${`Pictures of ${label} from this computer`}
          onChange=${(event) => {
            addFiles([...event.target.files]);
            event.target.value = "";
          }}
        />
      </header>
      <div class="pictures-of">
        ${ids.map(
          (id, number) => html`
            <button
              type="button"
              key=${id + number}
              class="one-of"
              aria-label=${`Remove picture ${number + 1} of ${label}`}
              onClick=${() => removePicture(place, number)}
            >
              <img loading="lazy" src=${thumbnail(id)} alt="" />
            </button>
          `,
        )}
        ${ids.length === 0 && html`<p class="hint">Drop pictures here.</p>`}
      </div>
    </li>
  `;
}

// A button that takes one picture when pressed, and continues while it is held.
/** @param {{ label: string, takePicture: () => void }} props */
function HoldButton({ label, takePicture }) {
  const timer = useRef(0);
  const stop = () => {
    clearInterval(timer.current);
    timer.current = 0;
  };
  useEffect(() => stop, []);
  return html`
    <button
      type="button"
      class="button small"
      aria-label=${label}
      onClick=${(event) => {
        if (event.detail === 0) takePicture();
      }}
      onPointerDown=${() => {
        takePicture();
        stop();
        timer.current = setInterval(takePicture, SHOT_INTERVAL);
      }}
      onPointerUp=${stop}
      onPointerLeave=${stop}
      onPointerCancel=${stop}
    >
      Hold to take pictures
    </button>
  `;
}

// The camera: off until it is switched on, and off again when the room is left.
function useCamera() {
  const video = useRef(/** @type {HTMLVideoElement | null} */ (null));
  const stream = useRef(/** @type {MediaStream | null} */ (null));
  const [on, setOn] = useState(false);
  const [problem, setProblem] = useState("");
  const stop = () => {
    stream.current?.getTracks().forEach((track) => track.stop());
    stream.current = null;
    setOn(false);
  };
  useEffect(() => stop, []);
  /** @param {HTMLVideoElement | null} element */
  function show(element) {
    video.current = element;
    if (element && element.srcObject !== stream.current) element.srcObject = stream.current;
  }
  async function start() {
    try {
      stream.current = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 640 } } });
      setProblem("");
      setOn(true);
    } catch {
      setProblem("The camera could not be opened: the browser blocks it, or another program is using it.");
    }
  }
  function capture() {
    const { current } = video;
    if (!current?.videoWidth) return Promise.resolve(null);
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [current.videoWidth, current.videoHeight];
    contextOf(canvas).drawImage(current, 0, 0);
    return new Promise((resolve) =>
      canvas.toBlob(
        (blob) => resolve(blob && new File([blob], "camera.jpg", { type: "image/jpeg" })),
        "image/jpeg",
        0.9,
      ),
    );
  }
  return { show, on, problem, start, stop, capture };
}

// The taught network: its mistakes, and its answers for another picture or the camera.
/** @param {{ job: Job | null, camera: Camera }} props */
function Try({ job, camera }) {
  const name = job?.title ?? "";
  const network = networks.value.find((each) => each.name === name && each.here);
  const [answers, setAnswers] = useState(/** @type {Answer[] | null} */ (null));
  const [tried, setTried] = useState(/** @type {string | null} */ (null));
  /** @type {Ref<HTMLInputElement>} */
  const input = useRef();
  const ask = async (/** @type {string[]} */ [id]) => {
    if (!id || !job) return;
    setTried(id);
    camera.stop();
    zone.current.scrollIntoView({ block: "nearest" });
    const blob = await (await fetch(file(id))).blob();
    const found = await attempt(() => classify(blob, name, MAX_ANSWERS));
    if (found) setAnswers(inOrder(found.answers));
  };
  const zone = useZone(ask, false, !!network);
  useEffect(() => {
    // classify continuously while the camera is open
    if (!camera.on || !network) return undefined;
    let unmounted = false;
    (async () => {
      while (!unmounted) {
        const blob = await camera.capture();
        if (blob && !unmounted)
          await classify(blob, name, MAX_ANSWERS).then(
            (found) => unmounted || setAnswers(inOrder(found.answers)),
            () => {},
          );
        await new Promise((resolve) => setTimeout(resolve, CLASSIFY_INTERVAL));
      }
    })();
    return () => {
      unmounted = true;
    };
  }, [camera.on, network?.name]);
  const labels = [...new Set(/** @type {string[]} */ (job?.settings.labels ?? []))];
  const shown = answers ?? labels.map((label, number) => ({ class: number, name: label, chance: 0 }));
  const best = answers?.reduce((one, other) => (one.chance >= other.chance ? one : other));
  return html`
    <section
      class="taught"
      ref=${zone}
      aria-label=${job ? `Answers of ${name}` : "Answers"}
      data-live=${camera.on}
    >
      <h2>Try</h2>
      <div class="tried">
        ${
          camera.on
            ? html`
              <video ref=${camera.show} autoplay muted playsinline aria-label="Camera picture"></video>
            `
            : tried
              ? html`<img src=${file(tried)} alt="The picture that was tried" />`
              : html`
                <p class="hint">
                  ${job ? "Drop, paste or choose a picture." : "Teach it first: its answers appear here."}
                </p>
              `
        }
      </div>
      <div class="tools">
        <button
          type="button"
          class="button small"
          disabled=${!network}
          onClick=${() => input.current.click()}
        >
          Try a picture …
        </button>
        <button type="button" class="button small" onClick=${camera.on ? camera.stop : camera.start}>
          ${camera.on ? "Close the camera" : "Open the camera"}
        </button>
      </div>
      ${
        camera.problem &&
        html`
          <p class="hint" role="status">
            ${camera.problem}
          </p>
        `
      }
      <input
        ref=${input}
        type="file"
        accept="image/*"
        class="unseen"
        tabindex="-1"
        aria-label="A picture to classify"
        onChange=${async (event) => {
          const files = [...event.target.files];
          event.target.value = ""; // so that the same file can be tried again
          ask(await uploadAll(files));
        }}
      />
      <div role="status" aria-label="Predicted classes">
        <ol class="answers">
          ${shown.map(
            (each) => html`
              <li key=${each.class} data-best=${each === best}>
                <span>${each.name}</span>
                <output>${answers ? `${(100 * each.chance).toFixed(0)} %` : ""}</output>
                <meter
                  min="0"
                  max="1"
                  value=${each.chance}
                  aria-label=${`Probability of ${each.name}`}
                ></meter>
              </li>
            `,
          )}
        </ol>
        ${
          answers &&
          html`
            <p class="hint">
              It knows only these ${labels.length} classes, and always chooses one of them, whatever the
              picture shows.
            </p>
          `
        }
      </div>
      <div class="tools">
        ${
          job &&
          html`
            <a class="button small" href=${`#/look?network=${name}`}>
              Look inside
            </a>
            <a class="button small" href=${`#/dream?network=${name}`}>
              Dream with it
            </a>
          `
        }
        ${
          job?.picture &&
          html`
            <a class="button small" href=${file(job.picture)} target="_blank" rel="noopener">
              Its mistakes
            </a>
          `
        }
      </div>
    </section>
  `;
}
