// The studio's page: its rooms, the queue below them, and what is said.

import { messageOf } from "lanterna/words.js";
import { listen } from "./events.js";
import { html, render, signal, useEffect } from "./html.js";
import { Strip } from "./queue.js";
import { Gallery } from "./rooms/gallery.js";
import { Make } from "./rooms/make.js";
import { back, connected, dismiss, home, load, notices, refused, rooms, route, said } from "./store.js";

/** @import { Signal } from "preact" */

const ready = signal("loading");
/** @type {Signal<Record<string, unknown>>} */
const opened = signal({}); // rooms whose module has come

/** @param {{ room: string }} props */
function Room({ room }) {
  const own = rooms.value.some(({ name, own }) => name === room && own) && room !== "gallery";
  useEffect(() => {
    if (own && !opened.value[room]) {
      import(`./rooms/${room}.js`).then(
        (module) => {
          opened.value = { ...opened.value, [room]: module.default };
        },
        () => {
          opened.value = { ...opened.value, [room]: Closed };
        },
      );
    }
  }, [room]);
  if (room === "gallery") return html`<${Gallery} />`;
  if (!own) return html`<${Make} room=${room} />`;
  const Opened = opened.value[room];
  return Opened ? html`<${Opened} />` : null;
}

const Closed = () => html`
  <div class="room">
    <p class="empty">
      This room did not open.${" "}
      <button type="button" class="button small" onClick=${() => location.reload()}>
        Try again
      </button>
    </p>
  </div>
`;

function App() {
  const { room } = route.value;
  const label = rooms.value.find(({ name }) => name === room)?.title ?? "Lanterna";
  useEffect(() => {
    document.title = `${label} – Lanterna`;
  }, [label]);
  useEffect(() => {
    document.querySelector(".rooms [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [room]);
  return html`
    <a
      class="skip"
      href="#main"
      onClick=${(event) => {
        event.preventDefault();
        document.getElementById("main")?.focus();
      }}
    >
      To the room
    </a>
    <header class="bar">
      <a class="mark" href=${back(home())}>
        Lanterna
      </a>
      <nav class="rooms" aria-label="Rooms">
        ${rooms.value.map(
          ({ name, title }) => html`
            <a key=${name} href=${back(name)} aria-current=${name === room ? "page" : undefined}>
              ${title}
            </a>
          `,
        )}
      </nav>
    </header>
    <main id="main" tabindex="-1">
      ${
        ready.value === "here"
          ? html`<${Room} key=${room} room=${room} />`
          : ready.value === "loading"
            ? html`
              <p class="empty late" role="status">
                The studio is opening …
              </p>
            `
            : html`
              <p class="empty">
                ${ready.value}${" "}
                <button type="button" class="button small" onClick=${begin}>
                  Try again
                </button>
              </p>
            `
      }
    </main>
    <${Strip} />
    <div class="notices">
      ${
        !connected.value &&
        html`
          <p class="notice">
            ${
              refused.value ||
              "Connection lost. Reconnecting … " +
                "If the studio was restarted, open the new address from its terminal."
            }
          </p>
        `
      }
      ${notices.value.map(
        (each) => html`
          <p class="notice" key=${each.id} role="status">
            ${each.text}
            ${
              each.action &&
              html`
                <button
                  type="button"
                  class="button small"
                  onClick=${() => {
                    dismiss(each.id);
                    each.does?.();
                  }}
                >
                  ${each.action}
                </button>
              `
            }
            <button
              type="button"
              class="away"
              aria-label="Put this away"
              onClick=${() => dismiss(each.id)}
            >
              ×
            </button>
          </p>
        `,
      )}
    </div>
    <p class="unseen" aria-live="polite">
      ${said.value}
    </p>
  `;
}

async function begin() {
  try {
    await load.all();
    ready.value = "here";
    listen();
  } catch (error) {
    ready.value = messageOf(error);
  }
}

const host = /** @type {HTMLElement} */ (document.getElementById("app"));
host.replaceChildren();
render(html`<${App} />`, host);
begin();
