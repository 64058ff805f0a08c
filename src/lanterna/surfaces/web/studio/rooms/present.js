// A lesson on a projector: one thing on the screen at a time, in large type.

import { html, useEffect, useRef, useState } from "../html.js";
import { addStyles } from "../lazy.js";
import { Chart, Exercise, Figure, FIGURES, Finding, useOutcome, useRecorded } from "../lesson.js";
import { route, setQuery } from "../store.js";

/** @import { Child, Ref } from "preact" */
/** @import { Changed, Settings } from "lanterna/lessons/parts.js" */
/** @import { Lesson, Outcome } from "../lesson.js" */

/** @typedef {{ name: string, kind: string, content: Child }} Slide */

const [WIDTH, HEIGHT] = [960, 540]; // pixels that fill the screen: their zoom is 2 at 1920 × 1080
const LONG = 300; // characters of a finding on one slide, in whole sentences
const FORWARD = ["ArrowRight", "ArrowDown", "PageDown", " "];
const BACK = ["ArrowLeft", "ArrowUp", "PageUp"];

await addStyles("/web/studio/present.css");

/** @param {{ place: number, lesson: Lesson, chosen: Settings, values: Settings, onChange: Changed }} props */
export default function Presentation({ lesson, ...props }) {
  const Outcomes = lesson.quick ? Live : Recorded;
  return html`<${Outcomes} lesson=${lesson} ...${props} />`;
}

/** @param {{ lesson: Lesson, chosen: Settings }} props */
function Live(props) {
  const { outcome, error } = useOutcome(props.lesson.name, props.chosen);
  return html`<${Deck} ...${props} outcome=${outcome} error=${error} />`;
}

/** @param {{ lesson: Lesson }} props */
function Recorded(props) {
  const { outcome, error } = useRecorded(props.lesson.name);
  return html`<${Deck} ...${props} outcome=${outcome} error=${error} />`;
}

/** @param {{ place: number, lesson: Lesson, values: Settings, onChange: Changed, outcome: Outcome | null,
        error: string }} props */
function Deck({ place, lesson, values, onChange, outcome, error }) {
  /** @type {Ref<HTMLDialogElement>} */
  const dialog = useRef();
  const [zoom, setZoom] = useState(fit);
  const slides = slidesOf(lesson, values, onChange, outcome, error);
  const within = (/** @type {number} */ number) =>
    Math.min(slides.length, Math.max(1, Math.trunc(number) || 1));
  const asked = () => within(Number(route.value.query.get("slide"))); // as it is now, also between two draws
  const number = asked();
  const { name, kind, content } = slides[number - 1];
  const leave = () => setQuery({ slide: null });
  const move = (/** @type {number} */ by) => setQuery({ slide: within(asked() + by) });
  useEffect(() => {
    dialog.current.showModal();
    document.documentElement.requestFullscreen?.().catch(() => {}); // the window will do
    const resized = () => setZoom(fit());
    // In full screen the browser takes the first Escape.
    const changed = () => document.fullscreenElement || leave();
    addEventListener("resize", resized);
    addEventListener("fullscreenchange", changed);
    return () => {
      removeEventListener("resize", resized);
      removeEventListener("fullscreenchange", changed);
      if (document.fullscreenElement) document.exitFullscreen();
    };
  }, []);
  useEffect(() => {
    const pressed = (/** @type {KeyboardEvent} */ event) => {
      const target = /** @type {Element} */ (event.target);
      const own = !event.key.startsWith("Page"); // the keys of a presenter's remote control always turn
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
      if (own && target.closest("input, select, textarea, [role=application], [role=img][tabindex]")) return;
      if (event.key === " " && target.closest("button, summary, a")) return;
      const way = Number(FORWARD.includes(event.key)) - Number(BACK.includes(event.key));
      if (!way) return;
      event.preventDefault();
      move(way);
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, [slides.length]);
  useEffect(() => {
    /** @type {HTMLElement} */ (dialog.current.querySelector(".slide")).focus();
  }, [number]);
  return html`
    <dialog ref=${dialog} class="presented" aria-label=${`${lesson.title}, presented`} onClose=${leave}>
      <div class="screen" style=${{ zoom }}>
        <div
          key=${number}
          class="slide"
          data-kind=${kind}
          role="group"
          aria-roledescription="slide"
          aria-label=${`${number} of ${slides.length}: ${name}`}
          tabindex="-1"
        >
          ${content}
        </div>
        <nav aria-label="Slides">
          <p>
            <span class="ordinal">${place + 1}</span> ${lesson.title}
          </p>
          <button type="button" class="button" disabled=${number === 1} onClick=${() => move(-1)}>
            <span aria-hidden="true">←</span><span class="unseen">Previous slide</span>
          </button>
          <span class="of-slides" aria-hidden="true">${number} / ${slides.length}</span>
          <button
            type="button"
            class="button"
            disabled=${number === slides.length}
            onClick=${() => move(1)}
          >
            <span aria-hidden="true">→</span><span class="unseen">Next slide</span>
          </button>
          <button type="button" class="button" onClick=${leave}>
            Leave
          </button>
        </nav>
      </div>
    </dialog>
  `;
}

const fit = () => Math.max(1, Math.min(innerWidth / WIDTH, innerHeight / HEIGHT));

/** The slides of a lesson: question, quote, explanation, figure, finding, charts, exercises.
    @param {Lesson} lesson
    @param {Settings} values
    @param {Changed} onChange
    @param {Outcome | null} outcome
    @param {string} error
    @returns {Slide[]} */
function slidesOf(lesson, values, onChange, outcome, error) {
  const { quote, explanation, seen, claim, exercises } = lesson;
  const toy = FIGURES[lesson.name];
  /** @type {(Slide | null | undefined | "" | false)[]} */
  const slides = [
    { name: "The question", kind: "title", content: html`<h1>${lesson.question}</h1>` },
    quote && {
      name: "The lecture",
      kind: "quote",
      content: html`
        <figure class="quote">
          <blockquote>
            “${quote.line}”
          </blockquote>
          <figcaption>${quote.author}</figcaption>
        </figure>
      `,
    },
    ...explanation.map((text) => ({ name: "The idea", kind: "text", content: html`<p>${text}</p>` })),
    toy && {
      name: "Hands on",
      kind: "toy",
      content: html`<${Figure} name=${toy} values=${values} onChange=${onChange} />`,
    },
    seen && { name: "What there is to see", kind: "text", content: html`<p>${seen}</p>` },
    {
      name: "Is it true?",
      kind: "text",
      content: html`<div><h2>Is it true?</h2><p>${claim}</p></div>`,
    },
    ...parts(outcome?.finding.words ?? "").map((part, place) => ({
      name: "The finding",
      kind: "finding",
      content: html`
        <${Finding}
          verdict=${place ? undefined : outcome?.finding.verdict}
          words=${part || undefined}
          error=${error}
          none=${error ? "" : html`<span class="late quiet">Measuring …</span>`}
          note=${!place && outcome?.took && `Measured in advance; it took ${outcome.took}.`}
        />
      `,
    })),
    ...(outcome?.charts ?? []).map((chart) => ({
      name: chart?.title ?? "",
      kind: "chart",
      content: html`<${Chart} chart=${chart} />`,
    })),
    ...(outcome || error ? exercises : []).map((each, place) => ({
      name: `Exercise ${place + 1}`,
      kind: "exercise",
      content: html`
        <section class="exercises" aria-label="Exercise">
          <h2>Exercise ${place + 1}</h2>
          <ol>
            <${Exercise} lesson=${lesson.name} number=${place + 1} ...${each} />
          </ol>
        </section>
      `,
    })),
  ];
  return slides.filter((each) => !!each);
}

/** Split a finding between sentences, so that each part fits on a slide.
    @param {string} text */
function parts(text) {
  const found = [""];
  for (const sentence of text.split(/(?<=[.:]) (?=[A-Z0-9])/)) {
    const last = `${found.at(-1)} ${sentence}`.trim();
    if (found.at(-1) && last.length > LONG) found.push(sentence);
    else found[found.length - 1] = last;
  }
  return found;
}
