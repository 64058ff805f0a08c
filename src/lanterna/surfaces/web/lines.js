// Curves between units, drawn by WebGL2: one instance per curve, all in one call.
//
// Without WebGL2 the strongest are drawn on a 2D canvas instead.

import { contextOf } from "lanterna/canvas.js";

/** @import { Colour } from "lanterna/draw.js" */

/** @typedef {{ at: number, way: number, show?: string | null }} Front - the light's position in
        columns and its direction (0: everywhere)

    @typedef {object} Look
    @property {number} width
    @property {number} height
    @property {boolean} upright
    @property {Colour} warm
    @property {Colour} cold
    @property {Front} front

    @typedef {{ gpu: boolean, draw: (curves: Float32Array, count: number, look: Look) => void }} Lines

    @typedef {ReturnType<typeof prepare>} Prepared */

/** Floats per curve: x0, y0, x1, y1, width, value in [-1, 1], strength, and the target column. */
export const FLOATS = 8;
const STEPS = 28; // segments per curve
const MAX_WITHOUT_GPU = 2000;

const VERTEX = `#version 300 es
in vec2 corner;            // how far along the curve, and which side of it
in vec4 ends;
in vec4 look;              // width, value, strength, column
uniform vec2 size;
uniform float upright;
out vec2 across;           // distance from the middle of the curve, and half its width, in pixels
out float along;
out float value;
out float strength;
void main() {
  vec2 from = ends.xy, to = ends.zw;
  vec2 reach = upright > 0.5 ? vec2(0.0, (to.y - from.y) * 0.5) : vec2((to.x - from.x) * 0.5, 0.0);
  vec2 a = from + reach, b = to - reach;
  float t = corner.x, s = 1.0 - t;
  vec2 at = s * s * s * from + 3.0 * s * s * t * a + 3.0 * s * t * t * b + t * t * t * to;
  vec2 way = 3.0 * s * s * (a - from) + 6.0 * s * t * (b - a) + 3.0 * t * t * (to - b);
  vec2 normal = normalize(vec2(-way.y, way.x) + 1e-6);
  float half_width = 0.5 * look.x + 1.0;       // a pixel more, to fade out in
  at += normal * corner.y * half_width;
  across = vec2(corner.y * half_width, 0.5 * look.x);
  along = look.w - 1.0 + t;
  value = look.y;
  strength = look.z;
  gl_Position = vec4(at / size * vec2(2.0, -2.0) + vec2(-1.0, 1.0), 0.0, 1.0);
}`;

const FRAGMENT = `#version 300 es
precision highp float;
in vec2 across;
in float along;
in float value;
in float strength;
uniform vec3 warm;
uniform vec3 cold;
uniform vec2 front;        // where the light has come to, and which way it goes (1, -1; 0: everywhere)
out vec4 colour;
void main() {
  float edge = clamp(across.y + 0.5 - abs(across.x), 0.0, 1.0);
  float lit = 1.0;
  if (front.y != 0.0) {
    float behind = (front.x - along) * front.y; // columns that the light has passed this point by
    lit = smoothstep(-0.05, 0.15, behind) * (1.0 + 0.8 * exp(-behind * behind * 12.0));
  }
  float alpha = min(1.0, edge * strength * lit);
  colour = vec4((value < 0.0 ? cold : warm) * alpha, alpha);
}`;

/** A renderer of curves on `canvas`: `draw(curves, count, options)`; `gpu` is whether it uses WebGL2.
    @param {HTMLCanvasElement} canvas
    @returns {Lines} */
export function makeLines(canvas) {
  const gl = canvas.getContext("webgl2", { antialias: false, premultipliedAlpha: true });
  if (!gl) return plainLines(canvas);
  let prepared = prepare(gl);
  canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
  canvas.addEventListener("webglcontextrestored", () => {
    prepared = prepare(gl);
  });
  return { gpu: true, draw: (curves, count, options) => drawOnCard(gl, prepared, curves, count, options) };
}

/** @param {WebGL2RenderingContext} gl */
function prepare(gl) {
  const program = gl.createProgram();
  /** @param {number} kind
      @param {string} source */
  const add = (kind, source) => {
    const shader = /** @type {WebGLShader} */ (gl.createShader(kind));
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  };
  add(gl.VERTEX_SHADER, VERTEX);
  add(gl.FRAGMENT_SHADER, FRAGMENT);
  gl.linkProgram(program);
  const array = gl.createVertexArray();
  gl.bindVertexArray(array);
  const strip = new Float32Array(4 * (STEPS + 1));
  for (let i = 0; i <= STEPS; i++) strip.set([i / STEPS, -1, i / STEPS, 1], 4 * i);
  gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
  gl.bufferData(gl.ARRAY_BUFFER, strip, gl.STATIC_DRAW);
  const corner = gl.getAttribLocation(program, "corner");
  gl.enableVertexAttribArray(corner);
  gl.vertexAttribPointer(corner, 2, gl.FLOAT, false, 0, 0);
  const instances = gl.createBuffer();
  gl.bindBuffer(gl.ARRAY_BUFFER, instances);
  for (const [name, offset] of /** @type {const} */ ([
    ["ends", 0],
    ["look", 16],
  ])) {
    const location = gl.getAttribLocation(program, name);
    gl.enableVertexAttribArray(location);
    gl.vertexAttribPointer(location, 4, gl.FLOAT, false, 4 * FLOATS, offset);
    gl.vertexAttribDivisor(location, 1);
  }
  const uniform = Object.fromEntries(
    ["size", "upright", "warm", "cold", "front"].map((name) => [name, gl.getUniformLocation(program, name)]),
  );
  return { program, array, instances, uniform };
}

/** @param {WebGL2RenderingContext} gl
    @param {Prepared} prepared
    @param {Float32Array} curves
    @param {number} count
    @param {Look} look */
function drawOnCard(
  gl,
  { program, array, instances, uniform },
  curves,
  count,
  { width, height, upright, warm, cold, front },
) {
  gl.viewport(0, 0, gl.drawingBufferWidth, gl.drawingBufferHeight);
  gl.clearColor(0, 0, 0, 0);
  gl.clear(gl.COLOR_BUFFER_BIT);
  if (!count) return;
  gl.useProgram(program);
  gl.bindVertexArray(array);
  gl.bindBuffer(gl.ARRAY_BUFFER, instances);
  gl.bufferData(gl.ARRAY_BUFFER, curves.subarray(0, count * FLOATS), gl.DYNAMIC_DRAW);
  gl.uniform2f(uniform.size, width, height);
  gl.uniform1f(uniform.upright, upright ? 1 : 0);
  gl.uniform3fv(
    uniform.warm,
    warm.map((level) => level / 255),
  );
  gl.uniform3fv(
    uniform.cold,
    cold.map((level) => level / 255),
  );
  gl.uniform2f(uniform.front, front.at, front.way);
  gl.enable(gl.BLEND);
  gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 2 * (STEPS + 1), count);
}

/** @param {HTMLCanvasElement} canvas
    @returns {Lines} */
function plainLines(canvas) {
  const context = contextOf(canvas);
  return {
    gpu: false,
    draw(curves, count, { width, height, upright, warm, cold, front }) {
      context.setTransform(canvas.width / width, 0, 0, canvas.height / height, 0, 0);
      context.clearRect(0, 0, width, height);
      for (let i = Math.max(0, count - MAX_WITHOUT_GPU); i < count; i++) {
        // the strongest are last
        const [x0, y0, x1, y1, thick, value, strength, column] = curves.subarray(
          i * FLOATS,
          (i + 1) * FLOATS,
        );
        if (front.way && (front.at - column) * front.way < 0) continue;
        const [across, down] = upright ? [0, (y1 - y0) / 2] : [(x1 - x0) / 2, 0];
        context.globalAlpha = strength;
        context.strokeStyle = `rgb(${value < 0 ? cold : warm})`;
        context.lineWidth = thick;
        context.beginPath();
        context.moveTo(x0, y0);
        context.bezierCurveTo(x0 + across, y0 + down, x1 - across, y1 - down, x1, y1);
        context.stroke();
      }
    },
  };
}
