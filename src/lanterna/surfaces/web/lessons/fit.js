// ReLU neurons fitted to points by least squares.
//
// A straight line and n ReLU units with evenly spaced corners make every piecewise linear curve with these
// corners. So do n + 2 hat functions, one at each corner and end. As only two hats overlap at any point, the
// equations are tridiagonal and solved in one sweep forward and one back (Thomas's algorithm).

// A penalty on differences of neighbours, so that the curve is straight where there are no points.
const SMOOTHNESS = 1e-9;

/** Return the heights of the best curve at its `neurons + 2` evenly spaced corners in [0, 1].
    @param {number[]} xs
    @param {number[]} ys
    @param {number} neurons */
export function fitHeights(xs, ys, neurons) {
  const count = neurons + 2;
  const [lower, diagonal, right] = [
    new Float64Array(count),
    new Float64Array(count),
    new Float64Array(count),
  ];
  xs.forEach((x, n) => {
    const at = Math.min(count - 2, Math.floor(x * (count - 1)));
    const share = x * (count - 1) - at;
    diagonal[at] += (1 - share) ** 2;
    diagonal[at + 1] += share ** 2;
    lower[at] += share * (1 - share);
    right[at] += (1 - share) * ys[n];
    right[at + 1] += share * ys[n];
  });
  for (let at = 0; at < count - 1; at += 1) {
    diagonal[at] += SMOOTHNESS;
    diagonal[at + 1] += SMOOTHNESS;
    lower[at] -= SMOOTHNESS;
  }
  for (let at = 1; at < count; at += 1) {
    const factor = lower[at - 1] / diagonal[at - 1];
    diagonal[at] -= factor * lower[at - 1];
    right[at] -= factor * right[at - 1];
  }
  const heights = new Float64Array(count);
  for (let at = count - 1; at >= 0; at -= 1)
    heights[at] = (right[at] - (at < count - 1 ? lower[at] * heights[at + 1] : 0)) / diagonal[at];
  return Array.from(heights);
}

/** Return the height of a piecewise linear curve with evenly spaced corners, at `x` in [0, 1].
    @param {number[]} corners
    @param {number} x */
export function height(corners, x) {
  const at = Math.min(corners.length - 2, Math.max(0, Math.floor(x * (corners.length - 1))));
  const share = x * (corners.length - 1) - at;
  return corners[at] * (1 - share) + corners[at + 1] * share;
}

/** Return the root mean squared error of a piecewise linear curve on points.
    @param {number[]} corners
    @param {number[]} xs
    @param {number[]} ys */
export const rmse = (corners, xs, ys) =>
  Math.sqrt(xs.reduce((sum, x, n) => sum + (height(corners, x) - ys[n]) ** 2, 0) / xs.length);
