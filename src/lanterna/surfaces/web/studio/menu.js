// A menu that opens above its button, within the window: nothing that contains the button clips it.

import { html, useRef } from "./html.js";

/** @import { Child, Ref } from "preact" */

const GAP = 8; // pixels from the button and from the window's edge

/** @param {{ label: string, children: (close: () => void) => Child }} props */
export function Menu({ label, children }) {
  /** @type {Ref<HTMLDetailsElement>} */
  const menu = useRef();
  const close = () => menu.current.removeAttribute("open");
  function place() {
    const list = /** @type {HTMLElement} */ (menu.current.querySelector("ul"));
    list.style.visibility = ""; // until it is in its place
    if (!menu.current.open) return;
    const [button, { width, height }] = [menu.current.getBoundingClientRect(), list.getBoundingClientRect()];
    const [right, bottom] = [innerWidth - width - GAP, innerHeight - height - GAP];
    const above = button.top - height - GAP;
    list.style.left = `${Math.max(GAP, Math.min(button.right - width, right))}px`;
    list.style.top = `${above >= GAP ? above : Math.max(GAP, Math.min(button.bottom + GAP, bottom))}px`;
    list.style.visibility = "visible";
  }
  return html`
    <details
      class="menu"
      ref=${menu}
      onToggle=${place}
      onKeyDown=${(event) => {
        if (event.key !== "Escape" || !menu.current.open) return;
        event.preventDefault(); // a dialog around it stays open
        event.stopPropagation();
        close();
        menu.current.querySelector("summary")?.focus();
      }}
      onFocusOut=${(event) => {
        if (event.relatedTarget && !menu.current.contains(event.relatedTarget)) close();
      }}
    >
      <summary class="button small">${label}</summary>
      <ul>
        ${children(close)}
      </ul>
    </details>
  `;
}
