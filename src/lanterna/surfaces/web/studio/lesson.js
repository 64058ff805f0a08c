// The parts of a lesson, which its page and its presentation show: figure, finding, charts and exercises.

import { messageOf } from "lanterna/words.js";
import { makeChart } from "lanterna/chart.js";
import { get, post, url } from "./api.js";
import { figure, html, signal, useEffect, useRef, useState, words } from "./html.js";
import { same } from "./schema.js";
import { readers, TrainFirst } from "./train_first.js";

/** @import { Chart as Charted } from "lanterna/chart.js" */
/** @import { Changed, Settings } from "lanterna/lessons/parts.js" */
/** @import { Child, Ref, Signal } from "preact" */

/** @typedef {object} Task
    @property {string} try
    @property {string} predict
    @property {string} answer
    @property {string[]} choices

    @typedef {object} Lesson
    @property {string} name
    @property {string} title
    @property {string} question
    @property {string} claim
    @property {{ line: string, author: string, url: string } | null} quote - the lecture's own line
    @property {string[]} explanation - paragraphs
    @property {string} seen - what the interactive figure shows
    @property {string} program - a short program, in Python
    @property {string} where
    @property {boolean} quick - its experiment runs without a job
    @property {string[]} needs - items of the shelf
    @property {Task[]} exercises
    @property {{ make: string, look_for: string } | null} brief - a picture to make

    @typedef {{ answer?: number | string, right?: boolean, tries?: number, explanation?: string }} SavedAnswer

    @typedef {{ verdict?: string, words?: string, numbers?: [string, string][], seeds?: number[] }} Found

    @typedef {{ charts: Charted[], finding: Found, rows: string[][], took?: string }} Outcome - of an
        experiment; `took` if it was measured in advance

    @typedef {{ set: (settings: Settings) => void, unmount: () => void }} Mounted - an interactive figure */

/** @type {Signal<Record<string, Record<string, SavedAnswer>>>} */
export const savedAnswers = signal({}); // answers and explanations on this machine, by lesson and exercise
export const unreadable = signal(""); // why they could not be loaded
export const FIGURES = {
  // a lesson's interactive figure: a module of lanterna/lessons/
  gates: "gates",
  derivative: "slope",
  circuits: "circuit",
  neuron: "neuron",
  layers: "rings",
  descent: "hill",
  curve: "sketch",
  functions: "sketch",
  squash: "chain",
  normalised: "booth",
  edges: "kernel",
  quickstart: "loss",
  painting: "waves",
  parts: "loop",
  dream: "clouds",
  style: "gram",
  cells: "cells",
  digit: "inside",
  paths: "inside",
};
const VERDICTS = { holds: "True", "holds only when": "Partly true", "does not hold": "Not true" };
const DELAY = 120; // milliseconds after a control's last change

/** Load the answers, which another tab or the command line may have changed. */
export async function loadAnswers() {
  const before = savedAnswers.value;
  try {
    const found = await get("/api/answers");
    if (savedAnswers.value === before) savedAnswers.value = found; // else newer ones were saved meanwhile
    unreadable.value = "";
  } catch (error) {
    unreadable.value = messageOf(error);
  }
}

/** An exercise: try, predict, and check the answer; the feedback asks for an explanation.
    @param {Task & { lesson: string, number: number }} props */
export function Exercise({ lesson, number, predict, answer, choices, ...exercise }) {
  const saved = savedAnswers.value[lesson]?.[number] ?? {};
  const [typed, setTyped] = useState(/** @type {string | null} */ (null));
  const input = typed ?? String(saved.answer ?? "");
  const [draft, setDraft] = useState(/** @type {string | null} */ (null)); // an unsaved explanation
  const unsent = useRef(/** @type {string | null} */ (null));
  const [noted, setNoted] = useState("");
  const timer = useRef(0);
  const [reply, setReply] = useState(/** @type {{ words: string, right?: boolean } | null} */ (null));
  const id = `exercise-${number}`;
  async function submit(event) {
    event.preventDefault();
    const number_ = Number(input.trim().replace(",", "."));
    const value = choices.length > 0 || input.trim() === "" || Number.isNaN(number_) ? input : number_;
    setReply({ words: "Checking …" });
    const found = await post(`/api/lessons/${lesson}/check`, { exercise: number, answer: value }).catch(
      (error) => ({ words: error.message }),
    );
    const { right, tries = 0 } = savedAnswers.value[lesson]?.[number] ?? {};
    if (right && found.right === false)
      found.words += " Your first right answer is the one that is handed in.";
    setReply(found);
    if (!right && found.right !== undefined)
      remember({ answer: value, right: found.right, tries: tries + 1 });
  }
  /** @param {SavedAnswer} changes */
  function remember(changes) {
    const others = savedAnswers.value[lesson] ?? {};
    savedAnswers.value = {
      ...savedAnswers.value,
      [lesson]: { ...others, [number]: { ...others[number], ...changes } },
    };
  }
  /** Save what was typed; what was not edited here is never sent, as another tab may have newer words. */
  async function explain() {
    clearTimeout(timer.current);
    const text = unsent.current;
    if (text === null) return;
    unsent.current = null;
    try {
      await post(`/api/lessons/${lesson}/explain`, { exercise: number, words: text }, true);
      remember({ explanation: text });
      setDraft((now) => (now === text ? null : now));
      setNoted("Saved on this machine.");
    } catch (error) {
      unsent.current ??= text;
      setNoted(messageOf(error));
    }
  }
  /** @param {string} text */
  function edit(text) {
    setDraft(text);
    unsent.current = text;
    clearTimeout(timer.current);
    timer.current = setTimeout(explain, 5 * DELAY);
  }
  useEffect(() => {
    globalThis.addEventListener("pagehide", explain);
    document.addEventListener("visibilitychange", explain);
    return () => {
      globalThis.removeEventListener("pagehide", explain);
      document.removeEventListener("visibilitychange", explain);
      explain();
    };
  }, []);
  return html`
    <li>
      <p>${exercise.try}</p>
      <form onSubmit=${submit}>
        <label for=${id}>${predict}</label>
        <div class="answer">
          ${
            choices.length > 0
              ? html`
                <select id=${id} value=${input} onChange=${(event) => setTyped(event.target.value)}>
                  <option value="">Choose</option>
                  ${choices.map(
                    (each) => html`
                      <option key=${each} value=${each}>
                        ${each}
                      </option>
                    `,
                  )}
                </select>
              `
              : html`
                <input
                  id=${id}
                  type="text"
                  inputmode="decimal"
                  autocomplete="off"
                  value=${input}
                  placeholder=${answer}
                  onInput=${(event) => setTyped(event.target.value)}
                />
              `
          }
          <button type="submit" class="button" disabled=${!input.trim()}>
            Check
          </button>
        </div>
      </form>
      <p class="reply" role="status" data-right=${reply ? reply.right : saved.right}>
        ${reply?.words ?? (saved.right ? "Right." : "")}
      </p>
      <div class="why">
        <label for=${`${id}-why`}>Why? In your own words</label>
        <textarea
          id=${`${id}-why`}
          rows="3"
          maxlength="5000"
          value=${draft ?? saved.explanation ?? ""}
          onInput=${(event) => edit(event.target.value)}
          onChange=${explain}
        />
        <p class="hint" role="status">
          ${noted}
        </p>
      </div>
    </li>
  `;
}

/** A lesson's interactive figure; or an offer to train the network that it needs.
    @param {{ name: string, values: Settings, onChange: Changed }} props */
export function Figure({ name, values, onChange }) {
  if (name !== "inside") return html`<${Hands} ...${{ name, values, onChange }} />`;
  const here = readers().map((each) => each.name);
  return here.length
    ? html`<${Hands} ...${{ name, onChange }} values=${{ ...values, networks: here }} />`
    : html`<${TrainFirst} words="To look inside, train a network that reads digits first." />`;
}

/** The figure manages its own state, and reports the settings that it shares with the experiment.
    @param {{ name: string, values: Settings, onChange: Changed }} props */
function Hands({ name, values, onChange }) {
  /** @type {Ref<HTMLElement>} */
  const host = useRef();
  const figureHandle = useRef(/** @type {Mounted | null} */ (null));
  /** @type {Ref<{ values: Settings, pending: Settings | null, expected: Settings | null, timer: number }>} */
  const { current: state } = useRef({ values, pending: null, expected: null, timer: 0 });
  const [wrong, setWrong] = useState("");
  state.values = values;
  useEffect(() => {
    let unmounted = false;
    import(`lanterna/lessons/${name}.js`).then(
      ({ mount }) => {
        if (unmounted || !host.current) return;
        figureHandle.current = mount(host.current, { ...state.values, api: url("/api") }, (change) => {
          state.pending = { ...state.pending, ...change };
          clearTimeout(state.timer);
          state.timer = setTimeout(() => {
            const changes = state.pending ?? {};
            state.pending = null;
            state.expected = { ...state.values, ...changes };
            onChange(changes);
          }, DELAY);
        });
      },
      () => setWrong("This part of the page could not be loaded: reload the page."),
    );
    return () => {
      unmounted = true;
      clearTimeout(state.timer);
      figureHandle.current?.unmount();
    };
  }, []);
  useEffect(() => {
    if (!same(values, state.expected)) figureHandle.current?.set(values);
    state.expected = null;
  }, [JSON.stringify(values)]);
  return html`
    <section class="hands" data-piece=${name} aria-label="Hands on">
      <h2 class="unseen">Hands on</h2>
      <div ref=${host}></div>
      ${wrong && html`<p role="status">${wrong}</p>`}
    </section>
  `;
}

/** The outcome for the latest settings. One request runs at a time; the latest one made meanwhile is next.
    @param {string} name
    @param {Settings} chosen */
export function useOutcome(name, chosen) {
  const [shown, setShown] = useState({
    outcome: /** @type {Outcome | null} */ (null),
    error: "",
    busy: true,
  });
  /** @type {Ref<{ requested: string | null, busy: boolean, timer: number, unmounted: boolean }>} */
  const { current: state } = useRef({ requested: null, busy: false, timer: 0, unmounted: false });
  const key = JSON.stringify(chosen);
  async function ask() {
    if (state.busy) return;
    state.busy = true;
    while (state.requested !== null && !state.unmounted) {
      const requested = state.requested;
      state.requested = null;
      const found = await post(`/api/lessons/${name}`, JSON.parse(requested)).then(
        (outcome) => ({ outcome, error: "" }),
        (error) => ({ error: messageOf(error) }),
      );
      if (!state.unmounted)
        setShown((last) => ({ outcome: last.outcome, ...found, busy: state.requested !== null }));
    }
    state.busy = false;
  }
  useEffect(() => {
    clearTimeout(state.timer);
    setShown((last) => ({ ...last, busy: true }));
    state.timer = setTimeout(
      () => {
        state.requested = key;
        ask();
      },
      shown.outcome ? DELAY : 0,
    );
  }, [key]);
  useEffect(
    () => () => {
      state.unmounted = true;
      clearTimeout(state.timer);
    },
    [],
  );
  return shown;
}

/** What was measured in advance.
    @param {string} name */
export function useRecorded(name) {
  const [outcome, setOutcome] = useState(/** @type {Outcome | null} */ (null));
  const [error, setError] = useState("");
  useEffect(() => {
    get(`/api/lessons/${name}`).then(setOutcome, (problem) => setError(messageOf(problem)));
  }, []);
  return { outcome, error };
}

/** Split a saved finding into its verdict and its words. In 0.1.0 it began with the stored one: "Holds. …"
    @param {string} saved
    @returns {Found} */
export function parseFinding(saved = "") {
  for (const [verdict, label] of Object.entries(VERDICTS)) {
    const start = [`${label}: `, `${words(verdict)}. `].find((each) => saved.startsWith(each));
    if (start) return { verdict, words: saved.slice(start.length) };
  }
  return {};
}

/** The verdict on the claim, and the numbers behind it; `note` says how it was measured.
    @param {Found & { claim?: string, error: string | null, stale?: boolean, none?: Child, note?: Child }}
        props */
export function Finding({
  claim = "",
  verdict,
  words: description,
  numbers,
  seeds = [],
  error,
  stale = false,
  none = "",
  note = "",
}) {
  const listed = Object.entries(numbers ?? {});
  const range = seeds.length > 2 ? `${seeds[0]} to ${seeds.at(-1)}` : seeds.join(", ");
  const withSeeds = range && `, with seed${seeds.length > 1 ? "s" : ""} ${range}`;
  return html`
    <div class="finding" data-stale=${stale}>
      ${
        claim &&
        html`
          <h2>Is it true?</h2>
          <p class="claim">${claim}</p>
        `
      }
      <p class="verdict-of" role="status" aria-live="polite">
        ${verdict && html`<b data-verdict=${verdict}>${VERDICTS[verdict]}:</b>`}${" "}
        ${description ?? (verdict ? "" : none)}
      </p>
      <p class="wrong" role="alert">
        ${error}
      </p>
      ${note && html`<p class="hint">${note}</p>`}
      ${
        listed.length > 0 &&
        html`
          <details class="behind">
            <summary>
              The numbers${withSeeds}
            </summary>
            <dl>
              ${listed.map(
                ([name, value]) => html`
                  <div key=${name}>
                    <dt>${name}</dt>
                    <dd>${figure(value)}</dd>
                  </div>
                `,
              )}
            </dl>
          </details>
        `
      }
    </div>
  `;
}

/** @param {{ chart: Charted | null }} props */
export function Chart({ chart }) {
  /** @type {Ref<HTMLElement>} */
  const host = useRef();
  /** @type {Ref<ReturnType<typeof makeChart>>} */
  const created = useRef();
  useEffect(() => {
    created.current = makeChart(host.current);
    return () => created.current.remove();
  }, []);
  useEffect(() => {
    if (chart) created.current.show(chart);
  }, [chart]);
  return html`<div class="chart-of" ref=${host}></div>`;
}
