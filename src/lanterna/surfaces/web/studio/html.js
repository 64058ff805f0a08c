// The page's framework: preact, its hooks and signals, and htm instead of JSX.

import htm from "htm";
import { h } from "preact";

export { figure } from "lanterna/words.js";
export { render } from "preact";
export { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
export { batch, computed, effect, signal, useSignal, useComputed, useSignalEffect } from "@preact/signals";
export const html = htm.bind(h);

/** A setting's name as a label: `step_size` is "Step size".
    @param {string} name */
export const words = (name) => {
  const plain = name.replace(/_$/, "").replace(/[_-]/g, " ");
  return plain[0].toUpperCase() + plain.slice(1);
};

/** Seconds as hours, minutes and seconds.
    @param {number | null | undefined} seconds */
export function time(seconds) {
  if (seconds == null) return "";
  const rounded = Math.max(1, Math.round(seconds));
  if (rounded < 60) return `${rounded} s`;
  const [minutes, rest] = [Math.floor(rounded / 60), rounded % 60];
  if (rounded < 3600) return `${minutes} min${rest ? ` ${String(rest).padStart(2, "0")} s` : ""}`;
  return `${Math.floor(rounded / 3600)} h ${String(Math.floor((rounded % 3600) / 60)).padStart(2, "0")} min`;
}
