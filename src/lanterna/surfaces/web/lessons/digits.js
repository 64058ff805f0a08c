// A tiny network that reads digits: 14 × 14 pixels, 24 ReLU units and ten answers.
// It reads 96.6 % of MNIST's test digits. These first lines are written by scripts/train_toy.py.

const [INPUTS, UNITS, CLASSES] = [196, 24, 10];
const SCALES = [0.009396, 0.003458, 0.01717, 0.002744]; // of 8-bit numbers: weights, biases of each layer
const NUMBERS = `
AAAAAAAAAQAAAAAAAAAAAAEDAwINDAsKBgEAAAABExwSDAgC9vjv7v4AAAcSCAYJDAb//evS+AAACA0SIAT6HxAUCfPrAQALFgsG
7gs1GSMhC/IAAAkdAf7fCjcdDwIC9P4BBQH//+b8CfIVGxb1/AAHAvkE5wHv6iMVGO39AALy3Obp/PojMBT87P4A//zw8O0GHRwk
+Nn1/wACAf3n3e4PEvTa5PwAAAIRIR0WDgQM/QL6/QAAAAIGDRQVGBcOCgEAAAAAAAD/AAD/AP//AAAAAAD//vz69/z49fj+AAAA
APv3+f4C/gscCAX+AAD//AX2CBUUAAoG/vH/AP8A+O/wCREXGQL69f0A/f0J+unqxfkpHA/2/AD+EAzz4+m7tQcTIAoAAAAWEPrk
+sOv9SMWDAIA/Q8LFhQKx/s1KQ/8AQAABx8fMiD9MzIXBvoAAAUTFQYNCxkhGRQNCQAAAgAHAg8YHBQQChIEAAAA//n09fbp5voI
CwEAAAAA//z6//z6AQQBAAAAAAAAAAAA/gAAAAAAAAAAAQIBCAABCw8NBwEAAAD9//oDBPAGFw8LDAIA//72EA8cIRD/7+8GAf/6
9v0NDfXt+Pf16/3+//f5BhDrubn4BfXs+P4A/AYPHBYRGzMkEgTz/gAAAhAmPEk8TBr76+r/AAD2HCxAOho2EPnz9f4AA/8PAwr5
Fh4IB/j8/wAA/Ozp4ecTHQf/CwH/AAD06fEFBvb7AxoYBAAAAfoB+wb5AQENFgwAAAAAAwgABgYGAP0FAAAAAAAAAAAAAAIAAAAA
AAAAAAABBAD8Af4DAwEAAAD/9/D97PkEDxcYCQIAAPr/Cgjp1e3g7PkQBAEA/gwPCfDr9QD4B/8FAwD+EQYbBAn69fkB8gIBAAEL
ERz77u/f9/jnAAD//goL9br+MeDf4uf6AAD++OGuwzEt8/Dp7QUAAP3wv8scUTcYDPv+EQIA/unl8CQoMCsnFyELAAD/++vz9BEo
KjErFAMAAP/04OT2AgIHCP4BAQAAAP/8++vl5/D1+AAAAAAAAAEBAAEAAgEBAAAAAAABAwgNDQf9AwQDAAAAAAULEQMB4OXr6/EA
/wD/BQgH+AP2/QT26e38AQUSFRUH9fIFBfz39P8ABRgeEgX10u8HFwsF/wAHCfTkBdfQBR4wDgYAAAPo7ejxvSIoNhgFBQEAAPDt
zckoOTQWAPoMAwD+7fXb+0cZFPzp/g0BAAH18gT4BQ365uv4BQAA//78Afb8+P0EBAUFAAD+/gUACRAXBgII/gEAAAACBQkICwgH
CQMAAAAAAAAAAAAAAAAAAAAAAAAAAAD+9gsfFA8I/gAAAAAA9PfzDhf8BgIKBAEAAPv3ChIuHB0YGw4WAwD/8gAKEzkI0eL1+gYC
AAD3+f78+LG2qMDY7gAA/v3yAQXy+w387ujpAAD+9+cPBPIDBvUA+vwAAADtzOD43ArnBAD5BAAAA/3dwqmsHBUVGggC/wADHRQP
BBU1MywgEwMAAAEZDhQZBRQaFhH//QAAAQIKEBQJ8wEOCwT/AAAAAP8AAQEIAf8DAQAAAAAAAAAAAAAAAAAAAAAAAAD/AwEC/v0A
Af/+AAAAAPv68vD1+PD09vgAAAEEBvvj2dHW4Ojs/QEAAwsQBAcRCBEUFhkcBAAHDxAXLTQvMSwXExgFAAIFCQwH9ubl7fbz+gIA
Afz1/P/s4+PjAwj+AAAAAPL6//j38PkDBP8BAPz7BP8BAQUF+PAHAQAA/fb6Af78+P4A+wcBAAAA/vL49wUJCQcBAP8AAAAA/wAL
BAYVCwUAAQAAAP7+BAYJCgsFAwAAAAAAAAAAAAEAAAAAAAAAAAAAAgH/AwoL/v4BAAAAAPv4DAsTAfz0+AMAAAAB+xEeIv/uBQEB
/gEBAAL+EDEpxOzy+Qb3Bv8AAAkYLD6i5QwGEAb//gAFEywqILXrGAgWHwP+//8SJCsU0dAUDh0Z+wAA9goVE/Ct/hARD/b7/wD8
/fH68s4jFQX94vv/AP8N8PLs/xsK+vTxAAAA/Pzy+O/7HB3+9fb+AAD+/PD45vEIFw8E/f8AAAD//QL+AgADBQIAAAAAAAAAAAAA
AP8BAQAAAAAAAQD79ez0BBYQAwAAAAAB/e7t7fMLFg0OAwEAAAHw6dnZBRoRBAoUAgD+Aezk9PgVDAAOChoAAP/+6uTzFzQH6e70
CQAA/f/j2OUwPhr53efz/gH9COPR4Czm9AsD8vn+AAQWEdjCzeAHIf/v9v8ABBkgGgj4Gi4c3tz5/wD6ChMcIxMODeLT6v4AAP76
+f4UFgXY1/D7/gAAAgIHCu7q2e/4/f4AAAAAAP/5+/wAAwAAAAAAAAAAAAAAAAEBAAAAAAAAAAD//fn3/QH/+/3/AAAA/O/v/Qj3
AgsN+fsAAPzk1O0XFx0bHCEPBAD/+dv1Bi8ZBiEjCwgWA//3/w0D/gcWAB0GEyIDAAEKCu/RMjT4+Pf9/gIA/v/69ARBBPHi3uD8
AQD9Bf8FMRPh69/j5QcCAPnzHDIm9N/pAwMPEwAA+wQnHf3o7f8CDyMPAAD+BAkJ/xgB9e0KGAUAAP/x7fj+Eg0KEBEHAQAAAAIG
AgkNEQgEBwAAAAAAAAAA//8AAP//AAAAAAAAAAIBBv4E/vr8/wAAAAQIAfcFEQj9BgUA/wAABBgaLhf6DgkPFQMAAAENCRMYEQ8I
CQYU/gQA/u759t+2Bv7k6PAABAD7y6CXgc8l9tjy7AgFAP3Xy9wITi0IAQMBCQQAAQELKTNEEAAJAQIOBQAFFS4zHBgR/QLv/wsC
AAYQKSv/Bwz65wAFBAEAARYRAg0I/ffk//j/AAD/Bv30APwA+u3x8gAAAAAA/wH89v39AP3/AAAAAAD////+//79/wAAAAAA//nz
8Ojg3N3u9fwAAAD35+jj1+HY3uf0+v4AAfT7+esF9QH1BhECAgAF+vn+GR8SHScWFhQBAAX7CBU+MykbJRP6BQIABvwSGiMX8xEk
+/D+AgAC/BgYEeTbNzsABAcCAPsEEQjq6BtFHf8EAAIA/QT23Oj0B/Lq8uj2AAD7+M3T7u3N3dvY4v4AAP30/vv/7Nzn0+D2AgAA
/gYB/QL6AQb8/v8AAAAAAAAEAQUAAQIAAAAAAAAAAAAAAAAAAAAAAAAAAAD/Bwv67Obx+f4BAAAAAg4OE/Xa3fP3/gYBAAMPJTJB
TEQdA/n0+/8ABBIhN0RUWUQcAQP7AAAB//7hz87JBBDm9P4BAPrY2eXbzsn5CevoAQAA/eD1+fz37+bn9fUJAQAA9Ab7/PnZ5+4K
EAsBAAb55OL+7eMOEA8hCwIABALt8AENFQz7BwX/AQADDBIYHB8Y+gAGEAIAAAENHB8aKR0PBQD/AgAAAP/+BwcLCwsG/wAAAAAA
AAEBAQIAAgIBAAAAAAABAwcOCxITFQ4JAgAAAPr7DBgaIiMkHAgCAwD+/fT7CAbm2u8AEQ0BAPz37voPFtTn8/kJEQAA/Ozz+hIp
2+0D7RcO/gD75fv/GCjo6ugALCP+APz8APslC+/qAwIeG/4A/gIUJEwG7AcNDRMK/gD+EiBASQb7Bf4NAvn+AP4GJj1aSyMIBQb0
7gAA//UEFCYzLRb66fD4AAD/7uLp9wL+9vDq+gEAAAD89fLu6+nz/vsAAAAAAAD/////AP//AAAAAAAAAP717unr7fj7/wAAAAEE
BvwOBQcI9ev6AgIAAxETKRsYCRAD6gURBAAABRse/+bzLxIDJisFAP8ACRwJ8OcK8QUdHAUA/P4JGzA9+N73E/n7AQH9+QAgJzEV
EQj7+fP/AP/o6+zzJBoYAQoL9P0AAf3x5NnX5gIJCwX5/gACAgfrva7tDxMSAvcAAAEJFg4SFR0dGgn/+wAAAgANFColHRIE+gEA
AAAA/vz4+fb0+vr7AAAAAAAAAAAAAAAAAAAAAAAAAP//+fz/DA/6+P0AAAAAAQECBO7/NiEA+Pf+AAECCfoN58xDSf7u8f8BAgD1
//nBy3o73dbr/wED8+by5LrmVwrv5vb/AAL5/P772Owc9wEABQEAAwYHBQHu/RoGDf/9AQAB8/UDAPHw8gDs8QEBAAPw/xL++uwI
Avv4/wAAB/QCERP8+gUGDwoHAAADCRgTAfn16PwEAAAAAAEKAwP0Evr07vD8/wAAAP/+/fr7+Pn9+v8AAAAAAAAA//8BAP8AAAAA
AAAAAP79//Xw7fb9/wAAAAoSDRQcBNbR5O38/wAAAwoIAA0sBrvM6gH+AAIO9/PxGmAw26vZ5/4AAfz39AYUMzL9x8/i/QAB7+sQ
9wRDOwrN8QABAALv2vzwEjgc3M/3AwMA/+7f/QgaH+PL8QEGAwD/5eXu/AX35/oOAAMDAP7d4AX78AD88v3zAAEAAvX0+wILCvQD
AvQBAAABCAX47PH09PwE+f8AAAACAgQHAf0BBAAAAAAAAAAAAAAAAQIAAAAAAAAA/wD/BhQUDfPz/f8AAAD7/P8dNlY0FO7a7AAA
/vrx5+/zGWVJHPjf/gD99Pjw8N7fGk44Huf+AP/x6+zp3NriFTpBAvwA/fLq8f/09fQPHhsI/wAACAT9/xML+wL7/vwBAAMY+g0K
5fIS4d/9+QAA/wkSFPPdBxTd4PoDAAAGCysH/QEHAvbq9/4AAAT8ICAeGfnv/u3+AAAAAQQMCRgSAAYCAwAAAAAAAwgMEgoLAwQB
AAAAAAAAAAAA//4AAAAAAAAAAAACDRccC/77/Pj9AAAABRUgREIyLxj/+goCAAQOEgcD/QX7CQUNDQIAAgLr49bW7fP3+gP/AQAB
9eDi+AYEGQTu3/gCAAD05hAcEAT4D/rS7gEABPbRuef9++/5/fL+AgALFtqnjLTo/AkRCg4BAA0uIyARDhoQAwkEDAAABh8uOkIs
FhQVCQsFAAAEEv8HEAQJCRYDBgMAAAIE//jx+wEAAQUDAAAAAAAAAP8AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAv4AAAAAAAAAAP/49ffv6wAA/v8AAAAE/Orm9e/f2+MDBgAAAPz66/4E/A0XGRQP
AwD+9fr17A0NGiQcEyEDAAD63er4Aff5ABQWGwIAAe3hBS4hJ/Ha7+v1/QD+6+YVFg8oEvLw3+P6APj74e8EEiwU6tXY5/YA9Obm
2/MjIgvKwdf1AADx5PHw5QIH9L3H7/4AAPr+FxgPDQfevNLz/gAA/wgMDRIU/93X5/n/AAAAAQQFCw4MCwQAAAAAAAAAAAAAAAAB
AQAAAAAAAAECDRgeFw8KBQICAAAAAAcVC+79+u/y/wD/AP7++OXh1wL25tv9/wAB/wDf4NzG+vHc9d3q/gAA6t3OueYh8+j84ub8
AP/a6fY6XBTf8vL1CwAABw8yNUE9GRENCSclBAAKGRsQGB8VJyEqKyAHAAYV+///ECZDHhQVFAQABQTz+/Tx+wUQ+/f9AQACBfT9
9ebn2uTu8PkBAAH87vb38+Tj3O74AAAAAP338+/o5O/09/8AAAAAAP////8AAAAAAAAAAAD//vXu6PIDCwgAAAAAAAcN9fTbyuQz
NhEF/gADChUODxK+rCNAGPwAAAYH/hIiP6LQQkIX7QAAA/7yAf3zrxJEI/fo/gD8++bb6QvxGCAC8v8BAAMK8u37EwkTBvXs+wAA
CQf9BvMTEfn++PgCAAAOGwD77/MRCfn8Bv8AAAsZGwfx/gf3/RsE/gAAAhQc/vQCCg4VCvsAAAABBQL1AgABAPLq/QEAAAD/+/z2
9vH6+vv/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAMgI4ST0pSjj3S8x/LAgaKQi2xQBr
avsA6zfS4tzt8hwJA8YhKC7yDAc1vQDoCN0AC/7EM+le7P39GyTQydfcRzXc9AAGHkYAzBX1LCnuCOOxATgOM/zcFhsuJQCDSw8A
QuP3y+8HC5Ig3AnfM+UxDf0dUQD2DDcAyjMu+OLIxB7lxOgmk/gfNhuy8AAZAkoA6+X0ELRQOg89HwMJGwcpuoG/PQA28rUA9/gd
HDAD9R4h7uKv1UXC69fLrQDzMuMAI+/H5SfwJzWz0GBBLM3kJgsI8QAb/gQACqkVNSG89eMTN+/O7Swxwewf6AD3sekAEi1Bogv2
9Qz+IqYT4LXu1yUeFQAqndAAkj8J0vN/FdDRHQ==
`;

/** @typedef {Float64Array[]} Weights - hidden weights, hidden biases, output weights, output biases

    @typedef {object} Reading
    @property {Float64Array} pixels
    @property {Float64Array} hidden
    @property {Float64Array} logits
    @property {Float64Array} shares - the probability of each digit
    @property {number} digit - the most probable */

export const SIDE = 14;

/** A digit's stroke in a box of 100 × 100, as the `d` of a path. */
export const STROKES = [
  "M50 12C30 12 24 34 24 50S30 88 50 88 76 66 76 50 70 12 50 12Z",
  "M54 12 48 88",
  "M28 30C30 8 70 8 70 32 70 52 34 70 26 86L76 86",
  "M28 22C40 6 72 10 68 32 66 46 48 48 44 48 64 48 76 58 70 74 62 94 32 90 26 78",
  "M62 88 62 12 24 62 80 62",
  "M72 14L36 14 32 46C52 36 76 46 72 68 68 92 34 92 26 78",
  "M64 12C36 24 24 52 30 72 36 94 70 92 72 68 72 48 42 46 32 66",
  "M26 16L74 16C62 40 52 62 46 88",
  "M50 48C30 42 28 14 50 14S70 42 50 48C24 56 26 88 50 88S76 56 50 48Z",
  "M70 34C68 12 32 8 30 32 30 52 62 54 70 34L64 88",
];

/** A copy of the trained weights.
    @returns {Weights} */
export function trained() {
  const codes = Int8Array.from(atob(NUMBERS), (each) => each.charCodeAt(0));
  let at = 0;
  return [INPUTS * UNITS, UNITS, UNITS * CLASSES, CLASSES].map((length, place) =>
    Float64Array.from(codes.subarray(at, (at += length)), (code) => code * SCALES[place]),
  );
}

/** Read 14 × 14 pixels in [0, 1].
    @param {Weights} weights
    @param {Float64Array} pixels
    @returns {Reading} */
export function read([first, offsets, second, biases], pixels) {
  const hidden = offsets.map((offset, unit) => {
    let sum = offset;
    for (let i = 0; i < INPUTS; i += 1) sum += first[unit * INPUTS + i] * pixels[i];
    return Math.max(0, sum);
  });
  const logits = biases.map((bias, digit) =>
    hidden.reduce((sum, each, unit) => sum + second[digit * UNITS + unit] * each, bias),
  );
  const shares = softmax(logits);
  return { pixels, hidden, logits, shares, digit: shares.indexOf(Math.max(...shares)) };
}

/** @param {Float64Array} logits */
export function softmax(logits) {
  const largest = Math.max(...logits);
  const powers = logits.map((each) => Math.exp(each - largest));
  const total = powers.reduce((sum, each) => sum + each, 0);
  return powers.map((each) => each / total);
}

/** Backpropagate: the gradient of each pixel and each weight, given that of each logit or hidden unit.
    @param {Weights} weights
    @param {Reading} reading
    @param {{ logits?: Float64Array, hidden?: Float64Array }} from */
export function backward([first, , second], { pixels, hidden }, from) {
  const logits = from.logits ?? new Float64Array(CLASSES);
  const units = hidden.map((value, unit) => {
    if (!value) return 0;
    let sum = from.hidden?.[unit] ?? 0;
    for (let digit = 0; digit < CLASSES; digit += 1) sum += second[digit * UNITS + unit] * logits[digit];
    return sum;
  });
  const picture = new Float64Array(INPUTS);
  const weights = new Float64Array(INPUTS * UNITS);
  units.forEach((grad, unit) => {
    if (!grad) return;
    for (let i = 0; i < INPUTS; i += 1) {
      picture[i] += grad * first[unit * INPUTS + i];
      weights[unit * INPUTS + i] = grad * pixels[i];
    }
  });
  const outer = Float64Array.from(second, (_, at) => logits[Math.floor(at / UNITS)] * hidden[at % UNITS]);
  return { picture, weights: [weights, units, outer, logits] };
}

/** Means of 2 × 2 pixels.
    @param {ArrayLike<number>} pixels - 28 × 28 */
export const halved = (pixels) =>
  Float64Array.from({ length: INPUTS }, (_, at) => {
    const place = 56 * Math.floor(at / SIDE) + 2 * (at % SIDE);
    return (pixels[place] + pixels[place + 1] + pixels[place + 28] + pixels[place + 29]) / 4;
  });
