// Train: a network built layer by layer, and its curves as it learns.

import { makePlot } from "lanterna/chart.js";
import { roomAddress } from "../again.js";
import { get, patch, post, remove } from "../api.js";
import { useLiveSettings } from "../live.js";
import { Form, TextInput } from "../form.js";
import { figure, html, time, useEffect, useMemo, useRef, useState, words } from "../html.js";
import { settings, parseValue, formatValue } from "../schema.js";
import { useLive } from "../frame.js";
import { Explained } from "../terms.js";
import { Facts, Go, Presets, useCheck, useJob } from "./make.js";
import {
  attempt,
  jobOf,
  jobs,
  load,
  setQuery,
  networks,
  notify,
  updateJob,
  techniqueOf,
  route,
  waitsFor,
} from "../store.js";

/** @import { Plot } from "lanterna/chart.js" */
/** @import { Ref, State } from "preact" */
/** @import { Job, Technique } from "../api.js" */

/** @typedef {{ step: number, numbers: Record<string, number> }[]} Points - the numbers of a run by step

    @typedef {(name: string, next: any) => void} Change */

const SERIES = [0, 1, 3, 4, 5, 2]; // the colours of compared runs, as numbered in chart.css
const MAX_RUNS = SERIES.length;

export default function TrainRoom() {
  const technique = techniqueOf("train");
  return technique
    ? html`<${Training} technique=${technique} />`
    : html`
      <div class="room">
        <p class="empty">This room is not available.</p>
      </div>
    `;
}

/** @param {{ technique: Technique }} props */
function Training({ technique }) {
  const { query } = route.value;
  const all = useMemo(() => settings(technique), [technique]);
  const requested = query.get("preset") ?? "";
  const preset = technique.presets[requested] ? requested : null;
  const base = preset ? technique.presets[preset] : {};
  const chosen = Object.fromEntries(
    all
      .map((each) => [each.name, parseValue(query.get(each.name), each)])
      .filter(([, value]) => value !== undefined),
  );
  const value = (/** @type {string} */ name) =>
    chosen[name] ?? base[name] ?? all.find((each) => each.name === name)?.defaultValue;
  const job = useJob(query.get("job"), "train");
  const running = job && ["running", "paused"].includes(job.state);
  const runs = jobs.value.filter((each) => each.kind === "train" && each.step > 0).slice(0, 12);
  const otherRuns = (query.get("runs") ?? "")
    .split(",")
    .filter((each) => runs.some((run) => run.id === each && run.id !== job?.id));
  const compared = [...new Set([job?.id ?? runs[0]?.id, ...otherRuns].filter(Boolean))].slice(0, MAX_RUNS);
  const sendLive = useLiveSettings(job);
  const order = { kind: "train", preset, settings: chosen, inputs: [], title: query.get("name") ?? "" };
  const { problem, seconds } = useCheck(order);
  const times = useTimes(technique);
  const ended = job && ["done", "stopped"].includes(job.state);

  /** @param {string} name
      @param {any} next */
  function change(name, next) {
    setQuery({ [name]: next === undefined ? null : formatValue(next) });
    const setting = all.find((each) => each.name === name);
    if (running && technique.live.includes(name))
      sendLive(name, next === undefined ? (base[name] ?? setting?.defaultValue) : next);
  }
  async function start() {
    const created = await attempt(() => post("/api/jobs", order));
    if (!created) return;
    updateJob(created);
    setQuery({ job: created.id });
  }
  /** Continue a training that was stopped.
      @param {Job} stopped */
  async function resume({ id, history }) {
    const created = await attempt(() =>
      post("/api/jobs", { kind: "train", parent: id, at: history.at(-1)?.step, settings: {} }),
    );
    if (!created) return;
    updateJob(created);
    setQuery({ job: created.id });
  }
  return html`
    <div class="room make train">
      <section class="workspace" aria-label="The network and its curves">
        <${Layers} value=${value} change=${change} />
        <${Curves} job=${job} compared=${compared} />
        <${Runs} runs=${runs} job=${job} compared=${compared} technique=${technique} />
        <div class="caption">
          <${Facts} facts=${facts(job, runs[0])} />
          ${
            ended &&
            networks.value.some((each) => each.name === job.title && each.here) &&
            html`
              <div class="tools">
                ${
                  job.state === "stopped" &&
                  job.history.length > 0 &&
                  html`
                    <button type="button" class="button small" onClick=${() => resume(job)}>
                      Resume
                    </button>
                  `
                }
                <a
                  class="button small"
                  href=${`#/read${job.title !== "conv" ? `?network=${job.title}` : ""}`}
                >
                  Draw a digit
                </a>
                <a class="button small" href=${`#/look?network=${job.title}`}>
                  Look inside
                </a>
                <a class="button small" href=${`#/dream?network=${job.title}`}>
                  Dream with it
                </a>
              </div>
            `
          }
        </div>
      </section>
      <aside class="panel" aria-label="Settings">
        <div class="scroll">
          <h1>Train</h1>
          <p class="lead">${technique.words}</p>
          <${Presets} technique=${technique} preset=${preset} times=${times} />
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
          <${Form}
            technique=${technique}
            base=${base}
            chosen=${chosen}
            change=${change}
            live=${running ? technique.live : []}
            without=${["hidden", "channels"]}
          />
          <${TrainedNetworks} />
        </div>
        <${Go} job=${running ? job : null} problem=${problem}>
          <button type="button" class="button primary" disabled=${!!problem} onClick=${start}>
            ${running ? "Start another" : "Start"}
            ${seconds && html`<small>about ${time(seconds)}</small>`}
          </button>
        <//>
      </aside>
    </div>
  `;
}

/** @param {string} name */
const plain = (name) => name.replace(/_/g, " ");

/** The seconds that each preset takes here, as far as the server knows.
    @param {Technique} technique
    @returns {Record<string, number | null>} */
function useTimes(technique) {
  const [times, setTimes] = useState(/** @type {Record<string, number | null>} */ ({}));
  useEffect(() => {
    let left = false;
    (async () => {
      for (const preset of Object.keys(technique.presets)) {
        const found = await post("/api/jobs/check", { kind: technique.kind, preset }).catch(() => null);
        if (left) return;
        setTimes((before) => ({ ...before, [preset]: found?.seconds ?? null }));
      }
    })();
    return () => {
      left = true;
    };
  }, []);
  return times;
}

/** @param {Job | null} job
    @param {Job | undefined} shown - the run whose curves are shown if there is no job */
function facts(job, shown) {
  if (!job) return [shown ? `${shown.title}, the last run` : "Nothing has been trained yet."];
  const first =
    {
      queued: waitsFor(job),
      failed: `failed: ${job.error}`,
      done: `done in ${job.steps} steps`,
      stopped: `stopped at step ${job.step} of ${job.steps}: it can be used as it is, or resumed`,
    }[job.state] ?? `step ${job.step} of ${job.steps || "…"}`;
  return [
    first,
    ...(job.state === "paused" ? [job.state] : []),
    ...(job.state === "running" && job.seconds_left != null ? [`${time(job.seconds_left)} left`] : []),
    ...Object.entries(job.numbers ?? {})
      .filter(([name]) => name !== "seconds_left")
      .slice(0, 5)
      .map(([name, value]) => `${plain(name)} ${figure(value)}`),
  ];
}

/** The network as a row of layers, each with its size; layers can be added and removed.
    @param {{ value: (name: string) => any, change: Change }} props */
function Layers({ value, change }) {
  const [kind, channels, hidden] = [value("network"), value("channels"), value("hidden")];
  const row = (name, list, maxLayers, words, addLabel) => html`
    ${list.map(
      (units, place) => html`
        <div class="layer" key=${name + place}>
          <span>${words}</span>
          <span class="steps">
            <${TextInput}
              type="number"
              class="number"
              min="1"
              max="4096"
              value=${units}
              aria-label=${`${words}, layer ${place + 1}`}
              commit=${(event) =>
                change(
                  name,
                  Object.assign([...list], {
                    [place]: Math.min(4096, Math.max(1, Math.round(Number(event.target.value) || 1))),
                  }),
                )}
            />
            <button
              type="button"
              aria-label=${`Remove ${words}, layer ${place + 1}`}
              disabled=${name === "channels" && list.length === 1}
              onClick=${() =>
                change(
                  name,
                  list.filter((_, each) => each !== place),
                )}
            >
              ×
            </button>
          </span>
        </div>
      `,
    )}
    ${
      list.length < maxLayers &&
      html`
        <button
          type="button"
          class="add-layer"
          onClick=${() =>
            change(name, [
              ...list,
              list.at(-1) ? (name === "channels" ? 2 * list.at(-1) : list.at(-1)) : 128,
            ])}
        >
          + ${addLabel}
        </button>
      `
    }
  `;
  return html`
    <div class="layers" role="group" aria-label="The network">
      <div class="layer">
        <span>input</span>
        <b>28 × 28</b>
      </div>
      ${kind === "conv" && row("channels", channels, 3, "maps", "convolution")}
      ${row("hidden", hidden, 12, "units", "layer")}
      <div class="layer">
        <span>output</span>
        <b>10</b>
      </div>
    </div>
  `;
}

/** The runs so far: select some to compare their curves and the settings that differ.
    @param {{ runs: Job[], job: Job | null, compared: string[], technique: Technique }} props */
function Runs({ runs, job, compared, technique }) {
  if (runs.length < 2 && (job || !runs.length)) return html`<div class="runs"></div>`;
  const flip = (id) =>
    setQuery({
      runs: (compared.includes(id) ? compared.filter((each) => each !== id) : [...compared, id])
        .filter((each) => each !== job?.id)
        .join(","),
    });
  const names = Object.keys(technique.schema.properties);
  const differs = names
    .filter(
      (name) =>
        name !== "verb" &&
        new Set(
          runs.filter((run) => compared.includes(run.id)).map((run) => JSON.stringify(run.settings[name])),
        ).size > 1,
    )
    .slice(0, 4);
  return html`
    <ul class="runs" aria-label="Runs">
      ${runs.map((run) => {
        const at = compared.indexOf(run.id);
        const accuracy = run.numbers?.validation_accuracy ?? run.numbers?.training_accuracy;
        const differences =
          at < 0
            ? ""
            : differs
                .map((name) => `${words(name).toLowerCase()} ${formatValue(run.settings[name]) || "none"}`)
                .join(", ");
        return html`
          <li key=${run.id}>
            <button
              type="button"
              aria-pressed=${at >= 0}
              disabled=${run.id === compared[0]}
              onClick=${() => flip(run.id)}
              class=${at < 0 ? "" : `series-${SERIES[at]}`}
            >
              <span class="ink" aria-hidden="true"></span>
              ${run.title}
              <span class="quiet">
                ${accuracy == null ? "" : ` ${(100 * accuracy).toFixed(1)} %`}
                ${differences && ` · ${differences}`}
              </span>
            </button>
            ${
              run.id !== job?.id &&
              html`
                <a
                  class="quiet"
                  href=${roomAddress("train", run.settings, [], { job: run.id })}
                  aria-label=${`Open ${run.title}, with its settings`}
                >
                  open
                </a>
              `
            }
          </li>
        `;
      })}
    </ul>
  `;
}

// The trained networks: rename, delete (with undo), or use them in other rooms.
function TrainedNetworks() {
  const mine = networks.value.filter((each) => each.here && each.input?.[0] === 1);
  if (!mine.length) return null;
  const rename = (name, requested) =>
    requested &&
    requested !== name &&
    attempt(async () => {
      await patch(`/api/networks/${name}`, { name: requested });
      await load.networks();
    });
  const deleteNetwork = (name) =>
    attempt(async () => {
      await remove(`/api/networks/${name}`);
      await load.networks();
      notify(`${name} was deleted.`, "Undo", () =>
        attempt(async () => {
          await post(`/api/networks/${name}/restore`);
          await load.networks();
        }),
      );
    });
  return html`
    <details class="more trained">
      <summary>
        Your networks <span class="quiet">${mine.length}</span>
      </summary>
      <ul>
        ${mine.map(
          ({ name }) => html`
            <li key=${name}>
              <${TextInput}
                type="text"
                value=${name}
                maxlength="40"
                spellcheck=${false}
                autocomplete="off"
                aria-label=${`Name of ${name}`}
                commit=${(event) => rename(name, event.target.value.trim().toLowerCase())}
              />
              <a href=${`#/read?network=${name}`} aria-label=${`Draw a digit for ${name}`}>
                draw
              </a>
              <a href=${`#/look?network=${name}`} aria-label=${`Look inside ${name}`}>
                look
              </a>
              <button
                type="button"
                class="button small quiet"
                aria-label=${`Delete ${name}`}
                onClick=${() => deleteNetwork(name)}
              >
                Delete
              </button>
            </li>
          `,
        )}
      </ul>
    </details>
  `;
}

/** @type {[string, RegExp][]} */
const GROUPS = [
  ["Loss", /loss/i],
  ["Accuracy", /acc/i],
];

/** @param {{ job: Job | null, compared: string[] }} props */
function Curves({ job, compared }) {
  // The numbers of each run, by job id.
  const [points, setPoints] = useState(/** @type {Record<string, Points>} */ ({}));
  const live = useLive(job);
  useEffect(() => {
    for (const id of compared)
      if (!points[id])
        get(`/api/jobs/${id}/numbers`).then(
          (found) => setPoints((previous) => ({ ...previous, [id]: found })),
          () => {},
        );
  }, [compared.join()]);
  useEffect(() => {
    if (!job?.step) return;
    setPoints((previous) => {
      const mine = previous[job.id] ?? [];
      if (mine.at(-1)?.step === job.step) return previous;
      const earlier = mine.filter(({ step }) => step < job.step); // later ones were before it went back
      return { ...previous, [job.id]: [...earlier, { step: job.step, numbers: job.numbers }] };
    });
  }, [job?.id, job?.step]);
  return html`
    <div class="curves">
      ${GROUPS.map(
        ([title, which]) => html`
          <${Curve} key=${title} title=${title} which=${which} job=${job} runs=${compared} points=${points} />
        `,
      )}
      <figure class="kernels">
        <h2>First layer and current mistakes</h2>
        ${
          live
            ? html`
              <img
                src=${live.address}
                alt=${
                  "The kernels of the first layer, amber positive and blue negative; below them " +
                  "the test digits that are currently misread, with their label and the answer"
                }
              />
            `
            : html`
              <p class="hint">
                <${Explained}
                  text=${
                    "The kernels appear here as they are learned, " +
                    "with the digits that are still misread."
                  }
                />
              </p>
            `
        }
      </figure>
    </div>
  `;
}

/** @param {{ title: string, which: RegExp, job: Job | null, runs: string[], points: Record<string, Points> }}
        props */
function Curve({ title, which, job, runs, points }) {
  /** @type {Ref<HTMLElement>} */
  const plane = useRef();
  /** @type {Ref<HTMLElement>} */
  const readout = useRef();
  /** @type {Ref<ReturnType<typeof makePlot>>} */
  const plot = useRef();
  const lines = runs.flatMap((id, run) => {
    const found = points[id] ?? [];
    const names = new Set(
      found.flatMap(({ numbers }) => Object.keys(numbers)).filter((name) => which.test(name)),
    );
    return [...names].map((name, nth) => {
      const measured = found.filter(({ numbers }) => numbers[name] != null);
      return {
        name: runs.length > 1 ? `${jobOf(id)?.title} ${plain(name)}` : plain(name),
        xs: measured.map(({ step }) => step),
        ys: measured.map(({ numbers }) => numbers[name]),
        style: nth ? "dashed" : "line",
        series: SERIES[run],
      };
    });
  });
  const last = Object.entries(job?.numbers ?? {}).findLast(([name]) => which.test(name));
  const words = job && last ? `${title} is ${figure(last[1])} at step ${job.step}` : `${title}: nothing yet`;
  useEffect(() => {
    plot.current = makePlot(plane.current, readout.current);
    return () => plot.current.remove();
  }, []);
  useEffect(() => {
    const up = title.toLowerCase();
    plot.current.show({ title: words, across: "step", up, whole_across: true, bare: true, lines });
  }, [words, runs.join(), lines.map(({ xs }) => xs.length).join()]);
  return html`
    <figure class="curve">
      <h2>
        <span><${Explained} text=${title} /></span>
        <output>
          ${last ? (title === "Accuracy" ? `${(100 * last[1]).toFixed(2)} %` : figure(last[1])) : ""}
        </output>
      </h2>
      <div class="plot" ref=${plane}></div>
      <output class="readout" ref=${readout}></output>
    </figure>
  `;
}
