// Walks down a cost: plain gradient descent, with momentum (Polyak 1964), and Adam (Kingma and Ba 2014,
// algorithm 1). In one dimension they are those of lanterna/lessons/descent.py.

export const WAYS = ["plain", "momentum", "adam"];
const WAVE = 2.2;
const FAR = 1e3; // where a walk has flown away

/** A bowl with waves in it, and its slope.
    @param {number} x */
export const cost = (x) => (x * x) / 10 + Math.sin(WAVE * x);
/** @param {number} x */
export const slope = (x) => [x / 5 + WAVE * Math.cos(WAVE * x)];

/** A valley of two parameters with hollows in it, and its gradient.
    @param {number} x
    @param {number} y */
export const cost2 = (x, y) => (x * x) / 20 + (y * y) / 4 + 0.6 * Math.sin(1.5 * x) * Math.cos(1.5 * y);
/** @param {number} x
    @param {number} y */
export const slope2 = (x, y) => [
  x / 10 + 0.9 * Math.cos(1.5 * x) * Math.cos(1.5 * y),
  y / 2 - 0.9 * Math.sin(1.5 * x) * Math.sin(1.5 * y),
];

/** Where a walk is after each step, until it has flown away: `[x]`, or `[x, y]`, for each.
    @param {number[]} start
    @param {number} rate
    @param {number} steps
    @param {string} way
    @param {(...at: any[]) => number[]} gradient */
export function walk(start, rate, steps, way, gradient) {
  let at = [...start];
  let speed = at.map(() => 0);
  let square = at.map(() => 0);
  const places = [at];
  for (let step = 1; step <= steps; step += 1) {
    const down = gradient(...at);
    if (way === "momentum") {
      speed = speed.map((each, i) => 0.9 * each + down[i]);
      at = at.map((each, i) => each - rate * speed[i]);
    } else if (way === "adam") {
      speed = speed.map((each, i) => 0.9 * each + 0.1 * down[i]);
      square = square.map((each, i) => 0.999 * each + 0.001 * down[i] * down[i]);
      at = at.map(
        (each, i) =>
          each -
          (rate * (speed[i] / (1 - 0.9 ** step))) / (Math.sqrt(square[i] / (1 - 0.999 ** step)) + 1e-8),
      );
    } else at = at.map((each, i) => each - rate * down[i]);
    places.push(at);
    if (at.some((each) => Math.abs(each) > FAR)) break;
  }
  return places;
}

/** What has become of a walk, in words.
    @param {number[][]} places
    @param {(...at: any[]) => number[]} gradient
    @param {(...at: any[]) => number} height */
export function fate(places, gradient, height) {
  const end = places[places.length - 1];
  if (end.some((each) => Math.abs(each) > 50)) return "flown away";
  const steep = Math.hypot(...gradient(...end));
  const low = height(...end)
    .toFixed(2)
    .replace("-", "−");
  return steep < 0.02 ? `at rest, cost ${low}` : `still moving, cost ${low}`;
}
