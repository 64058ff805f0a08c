// Lessons 9 and 12, hands on: draw a digit, follow the paths that made the answer, and cut units. The look
// view, a separate page, in a frame.

import { choice } from "lanterna/lessons/parts.js";
import { element } from "lanterna/words.js";

/** @import { Settings } from "lanterna/lessons/parts.js" */

const NETWORKS = ["conv", "dense"];

/** `settings.networks` lists the networks that are there, the best first; `settings.network` may name one.
    `settings.look` is the URL of a look view, `settings.api` that of a studio's API.
    @param {HTMLElement} host
    @param {Settings} settings */
export function mount(host, settings) {
  const here = settings.networks ?? [...new Set([settings.network ?? NETWORKS[0], ...NETWORKS])];
  let asked = settings.network; // by the experiment, whether it is there or not
  let network = here.includes(asked) ? asked : here[0];
  const names = choice("Network", here, network, (value) => {
    network = value;
    open();
  });
  const status = element("p", { class: "status", role: "status" });
  const frame = element("div", { class: "frame-of" });
  host.replaceChildren(
    element(
      "div",
      { class: "piece inside" },
      element(
        "div",
        { class: "dials" },
        names,
        element("p", { class: "hint" }, "Draw a digit, click a unit to see its paths, and cut it."),
      ),
      status,
      frame,
    ),
  );

  // Fetch the page before showing it, to display an error if the network does not exist.
  async function open() {
    const address = settings.look ?? `${settings.api}/look?network=${encodeURIComponent(network)}`;
    const requested = network;
    frame.replaceChildren();
    status.textContent = "Opening the network …";
    const words = await fetch(address, { credentials: "same-origin" }).then(
      async (answer) => (answer.ok ? "" : (await answer.json()).error),
      () => "The studio’s server does not answer.",
    );
    if (requested !== network || !frame.isConnected) return;
    status.replaceChildren(
      ...(words ? [`${words}. `, element("a", { href: "#/train" }, "Train one first"), "."] : []),
    );
    if (!words)
      frame.replaceChildren(
        element("iframe", { src: address, sandbox: "allow-scripts", title: "A digit in the network" }),
      );
  }

  open();
  return {
    set(next) {
      if (!next.network || next.network === asked) return;
      asked = next.network;
      if (!here.includes(asked) || asked === network) return;
      network = asked;
      names.setValue(network);
      open();
    },
    unmount() {
      host.replaceChildren();
    },
  };
}
