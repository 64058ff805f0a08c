// Lessons 9 and 12, by hand: draw a digit, follow the paths that made the answer, and cut units. It is the
// look view itself, a page of its own, in a frame.

import { choice } from "lanterna/lessons/parts.js";
import { element } from "lanterna/words.js";

/** @import { Settings } from "lanterna/lessons/parts.js" */

const NETWORKS = ["conv", "dense"];

/** `settings.network` may name a network; `settings.look` is the address of a look view, `settings.api` that
    of a studio's API.
    @param {HTMLElement} host
    @param {Settings} settings */
export function mount(host, settings) {
  let network = settings.network ?? NETWORKS[0];
  const names = choice("Network", [...new Set([network, ...NETWORKS])], network, (value) => {
    network = value;
    open();
  });
  const said = element("p", { class: "told", role: "status" });
  const room = element("div", { class: "frame-of" });
  host.replaceChildren(
    element(
      "div",
      { class: "piece inside" },
      element(
        "div",
        { class: "dials" },
        names,
        element("p", { class: "hint" }, "Draw a digit, press a unit to see its paths, and cut it."),
      ),
      said,
      room,
    ),
  );

  // It is asked for before it is shown, so that a network that is not there is told in words.
  async function open() {
    const address = settings.look ?? `${settings.api}/look?network=${encodeURIComponent(network)}`;
    const asked = network;
    room.replaceChildren();
    said.textContent = "The network is being opened …";
    const words = await fetch(address, { credentials: "same-origin" }).then(
      async (answer) => (answer.ok ? "" : (await answer.json()).error),
      () => "The studio’s server does not answer.",
    );
    if (asked !== network || !room.isConnected) return;
    said.replaceChildren(
      ...(words ? [`Not yet: ${words}. `, element("a", { href: "#/train" }, "Train one first"), "."] : []),
    );
    if (!words)
      room.replaceChildren(
        element("iframe", { src: address, sandbox: "allow-scripts", title: "A digit in the network" }),
      );
  }

  open();
  return {
    set(next) {
      if (!next.network || next.network === network) return;
      network = next.network;
      names.put(network);
      open();
    },
    unmount() {
      host.replaceChildren();
    },
  };
}
