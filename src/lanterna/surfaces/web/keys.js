// Keyboard navigation of a flow: arrows move between units, Enter pins one, X cuts it.

/** @import { Flow, Focus, Model, Page } from "lanterna/flow.js" */
/** @import { Layout } from "lanterna/layout.js" */

/** A handler of key presses. `hovered` returns the hovered unit; `go(flow, found)` focuses another.
    @param {Page} page
    @param {() => (Focus & { flow: Flow }) | null} hovered
    @param {(flow: Flow, found: Focus) => void} go
    @returns {Page["key"]} */
export function makeKeys(page, hovered, go) {
  return (flow, event) => {
    if (event.target !== flow.board || event.ctrlKey || event.metaKey || event.altKey) return;
    const { model, layout } = flow;
    const looked = hovered();
    const now = looked?.flow === flow ? looked : (page.focus(flow) ?? { column: 0, unit: 0, position: 0 });
    const turn = layout.upright
      ? { ArrowUp: "ArrowLeft", ArrowDown: "ArrowRight", ArrowLeft: "ArrowUp", ArrowRight: "ArrowDown" }
      : {};
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[
      turn[event.key] ?? event.key
    ];
    const column = model.columns[now.column];
    if (way) {
      const next = { ...now };
      if (way[0]) next.column = Math.min(model.columns.length - 1, Math.max(0, now.column + way[0]));
      const { shown } = layout.places[next.column];
      const slot = way[0]
        ? Math.floor((shownSlot(layout, now) * shown.length) / layout.places[now.column].shown.length)
        : shownSlot(layout, now) + way[1];
      next.unit = shown[Math.min(shown.length - 1, Math.max(0, slot))];
      next.position = brightest(model, next);
      go(flow, next);
    } else if (event.key === "Enter") page.select(flow, now);
    else if (event.key === "Escape") {
      page.select(flow, null);
      page.hover(flow, null);
    } else if (event.key.toLowerCase() === "x" || event.key === "Delete") {
      if (model.computes && column.kind !== "answers") page.cut({ layer: column.name, unit: now.unit });
    } else if (event.key.toLowerCase() === "f") page.play(1);
    else if (event.key.toLowerCase() === "b") page.play(-1);
    else if (event.key.toLowerCase() === "z") page.undo();
    else return;
    event.preventDefault();
  };
}

/** @param {Layout} layout
    @param {Focus} focus */
function shownSlot(layout, { column, unit }) {
  return Math.max(0, layout.places[column].shown.indexOf(unit));
}

/** The position of a unit's strongest activation, where its arithmetic is shown first.
    @param {Model} model
    @param {Focus} focus */
export function brightest(model, { column: k, unit }) {
  const column = model.columns[k];
  const area = column.height * column.width;
  if (column.kind !== "maps") return column.kind === "picture" && column.count > 1 ? unit : 0;
  const values = model.values(k);
  let best = 0;
  for (let i = 0; i < area; i++) if (values[unit * area + i] > values[unit * area + best]) best = i;
  return best;
}
