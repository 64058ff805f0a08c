// A lesson's interactive figure: in a cell its settings are synchronised with Python, in a page it is alone.

import { receive, send } from "lanterna/cell/inside.js";
import { element } from "lanterna/words.js";

export async function mount({ data }) {
  const piece = await import(`lanterna/${data.piece}`);
  const place = document.getElementById("piece") ?? element("main", { class: "piece" });
  if (!place.isConnected) document.body.append(place);
  let settings = data.settings;
  const mounted = piece.mount(place, settings, (changes) => {
    settings = { ...settings, ...changes };
    send({ settings });
  });
  place.removeAttribute("data-waiting"); // what is below may be shown: its place is known
  receive((shown) => {
    if (!shown.settings) return;
    settings = { ...settings, ...shown.settings };
    mounted.set(settings);
  });
}
