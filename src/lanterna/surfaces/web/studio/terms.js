// The glossary's terms within a text: each is underlined once, and explained on hover, focus or a tap.

import { html, signal, useState } from "./html.js";

/** The meaning of each form of a term, the server's.
    @type {import("preact").Signal<Record<string, string>>} */
export const glossary = signal({});

let count = 0;

/** A text with its terms explained.
    @param {{ text: string }} props */
export function Explained({ text }) {
  const forms = Object.keys(glossary.value).sort((a, b) => b.length - a.length);
  if (!forms.length) return text;
  const pattern = new RegExp(`(?<![\\w-])(${forms.join("|")})(e?s)?(?![\\w-])`, "gi");
  const meanings = new Map(
    Object.entries(glossary.value).map(([form, meaning]) => [form.toLowerCase(), meaning]),
  );
  const parts = [];
  const explained = new Set();
  let end = 0;
  for (const match of text.matchAll(pattern)) {
    const meaning = meanings.get(match[1].toLowerCase());
    if (!meaning || explained.has(meaning)) continue;
    explained.add(meaning);
    parts.push(text.slice(end, match.index), html`<${Term} words=${match[0]} meaning=${meaning} />`);
    end = match.index + match[0].length;
  }
  return [...parts, text.slice(end)];
}

/** @param {{ words: string, meaning: string }} props */
function Term({ words, meaning }) {
  const [open, setOpen] = useState(false);
  const [id] = useState(() => `term-${++count}`);
  return html`
    <span
      class="term"
      onMouseEnter=${() => setOpen(true)}
      onMouseLeave=${() => setOpen(false)}
      onKeyDown=${(/** @type {KeyboardEvent} */ event) => event.key === "Escape" && setOpen(false)}
    >
      <button
        type="button"
        aria-describedby=${id}
        onFocus=${() => setOpen(true)}
        onBlur=${() => setOpen(false)}
        onClick=${() => setOpen(true)}
      >
        ${words}
      </button>
      <span class="meaning" role="tooltip" id=${id} hidden=${!open}>${meaning}</span>
    </span>
  `;
}
