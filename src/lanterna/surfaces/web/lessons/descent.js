// Gradient descent: plain, with momentum (Polyak 1964), and Adam (Kingma and Ba 2014, algorithm 1). The same
// as lanterna/lessons/descent.py.

export const OPTIMISERS = ["plain", "momentum", "adam"];
const WAVE = 2.2;
const FAR = 1e3; // a run this far out has diverged

/** The cost of one parameter, a bowl with waves in it, and its derivative.
    @param {number} x */
export const cost = (x) => (x * x) / 10 + Math.sin(WAVE * x);
/** @param {number} x */
export const derivative = (x) => [x / 5 + WAVE * Math.cos(WAVE * x)];

/** The cost of two parameters, a valley with hollows in it, and its gradient.
    @param {number} x
    @param {number} y */
export const cost2 = (x, y) => (x * x) / 20 + (y * y) / 4 + 0.6 * Math.sin(1.5 * x) * Math.cos(1.5 * y);
/** @param {number} x
    @param {number} y */
export const gradient2 = (x, y) => [
  x / 10 + 0.9 * Math.cos(1.5 * x) * Math.cos(1.5 * y),
  y / 2 - 0.9 * Math.sin(1.5 * x) * Math.sin(1.5 * y),
];

/** Return the parameters after each step, `[x]` or `[x, y]`, until they diverge.
    @param {number[]} start
    @param {number} rate
    @param {number} steps
    @param {string} optimiser
    @param {(...at: any[]) => number[]} gradient */
export function descend(start, rate, steps, optimiser, gradient) {
  let at = [...start];
  let mean = at.map(() => 0);
  let square = at.map(() => 0);
  const path = [at];
  for (let step = 1; step <= steps; step += 1) {
    const grad = gradient(...at);
    if (optimiser === "momentum") {
      mean = mean.map((each, i) => 0.9 * each + grad[i]);
      at = at.map((each, i) => each - rate * mean[i]);
    } else if (optimiser === "adam") {
      mean = mean.map((each, i) => 0.9 * each + 0.1 * grad[i]);
      square = square.map((each, i) => 0.999 * each + 0.001 * grad[i] * grad[i]);
      at = at.map(
        (each, i) =>
          each - (rate * (mean[i] / (1 - 0.9 ** step))) / (Math.sqrt(square[i] / (1 - 0.999 ** step)) + 1e-8),
      );
    } else at = at.map((each, i) => each - rate * grad[i]);
    path.push(at);
    if (at.some((each) => Math.abs(each) > FAR)) break;
  }
  return path;
}

/** Describe where a run has ended.
    @param {number[][]} path
    @param {(...at: any[]) => number[]} gradient
    @param {(...at: any[]) => number} height */
export function describe(path, gradient, height) {
  const end = path[path.length - 1];
  if (end.some((each) => Math.abs(each) > 50)) return "diverged";
  const steep = Math.hypot(...gradient(...end));
  const low = height(...end)
    .toFixed(2)
    .replace("-", "−");
  return steep < 0.02 ? `at rest, cost ${low}` : `still moving, cost ${low}`;
}
