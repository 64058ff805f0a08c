// A lesson's piece in a cell: what is set by hand goes to Python, and what Python sets is taken over.

import { hear, tell } from "lanterna/cell/inside.js";
import { element } from "lanterna/words.js";

export async function mount({ data }) {
  const piece = await import(`lanterna/${data.piece}`);
  const place = element("main", { class: "piece" });
  document.body.append(place);
  let settings = data.settings;
  const mounted = piece.mount(place, settings, (changes) => {
    settings = { ...settings, ...changes };
    tell({ settings });
  });
  hear((shown) => {
    if (!shown.settings) return;
    settings = { ...settings, ...shown.settings };
    mounted.set(settings);
  });
}
