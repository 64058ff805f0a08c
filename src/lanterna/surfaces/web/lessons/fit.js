// Neurons that are bent lines, fitted to points by least squares.
//
// A line and n relu units with corners set evenly make any curve of straight pieces with these corners. So do
// n + 2 tents, one over each corner and each end; and as a point lies under two neighbouring tents only, the
// equations have three diagonals and are solved in one sweep there and one back (Thomas's algorithm).

// A penalty on neighbours that differ, so that where there are no points the curve goes straight.
const FLAT = 1e-9;

/** Heights of the best such curve at its `neurons + 2` corners, evenly between 0 and 1.
    @param {number[]} xs
    @param {number[]} ys
    @param {number} neurons */
export function fitted(xs, ys, neurons) {
  const count = neurons + 2;
  const [under, middle, right] = [new Float64Array(count), new Float64Array(count), new Float64Array(count)];
  xs.forEach((x, n) => {
    const at = Math.min(count - 2, Math.floor(x * (count - 1)));
    const share = x * (count - 1) - at;
    middle[at] += (1 - share) ** 2;
    middle[at + 1] += share ** 2;
    under[at] += share * (1 - share);
    right[at] += (1 - share) * ys[n];
    right[at + 1] += share * ys[n];
  });
  for (let at = 0; at < count - 1; at += 1) {
    middle[at] += FLAT;
    middle[at + 1] += FLAT;
    under[at] -= FLAT;
  }
  for (let at = 1; at < count; at += 1) {
    const by = under[at - 1] / middle[at - 1];
    middle[at] -= by * under[at - 1];
    right[at] -= by * right[at - 1];
  }
  const heights = new Float64Array(count);
  for (let at = count - 1; at >= 0; at -= 1)
    heights[at] = (right[at] - (at < count - 1 ? under[at] * heights[at + 1] : 0)) / middle[at];
  return Array.from(heights);
}

/** The height of a curve of straight pieces with evenly set corners, at `x` between 0 and 1.
    @param {number[]} corners
    @param {number} x */
export function height(corners, x) {
  const at = Math.min(corners.length - 2, Math.max(0, Math.floor(x * (corners.length - 1))));
  const share = x * (corners.length - 1) - at;
  return corners[at] * (1 - share) + corners[at + 1] * share;
}

/** Root mean square distance between a curve of straight pieces and points.
    @param {number[]} corners
    @param {number[]} xs
    @param {number[]} ys */
export const apart = (corners, xs, ys) =>
  Math.sqrt(xs.reduce((sum, x, n) => sum + (height(corners, x) - ys[n]) ** 2, 0) / xs.length);
