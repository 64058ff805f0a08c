// What every part of the page is written with: preact, its hooks and signals, and htm in place of JSX.

import htm from "htm";
import { h } from "preact";

export { figure } from "lanterna/words.js";
export { render } from "preact";
export { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
export { batch, computed, effect, signal, useSignal, useComputed, useSignalEffect } from "@preact/signals";
export const html = htm.bind(h);

/** A setting's name as a person reads it: `step_size` is "Step size".
    @param {string} name */
export const words = (name) => {
  const plain = name.replace(/_$/, "").replace(/[_-]/g, " ");
  return plain[0].toUpperCase() + plain.slice(1);
};

/** Seconds as a person says them.
    @param {number | null | undefined} seconds */
export function time(seconds) {
  if (seconds == null) return "";
  const whole = Math.max(1, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
  return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, "0")} min`;
}
