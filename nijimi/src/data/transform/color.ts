/**
 * Random changes of colour, in the order brightness, contrast, saturation, hue. The first three blend with black, the
 * mean grey and the picture's grey as torchvision's ColorJitter does; hue turns the chroma plane of YIQ.
 */
import type { AugmentOptions } from "./options.ts";
import type { Planes } from "./planes.ts";

const [WR, WG, WB] = [0.299, 0.587, 0.114];

/** Changes the colours of RGB planes (0–255) in place; grey pictures have no saturation and hue. Alpha is kept. */
export function jitterColor(
  { planes }: Planes,
  options: NonNullable<AugmentOptions["color"]>,
  uniform: () => number,
): void {
  const { brightness = 0, contrast = 0, saturation = 0, hue = 0 } = options;
  const factor = (range: number) => Math.max(0, 1 + (uniform() * 2 - 1) * range);
  // All four are drawn whatever is used, so that switching one on leaves the others as they were.
  const [b, c, s, h] = [
    factor(brightness),
    factor(contrast),
    factor(saturation),
    (uniform() * 2 - 1) * hue,
  ];
  const color = planes.slice(0, Math.min(3, planes.length));
  if (brightness > 0) for (const plane of color) blend(plane, 0, b);
  const grey =
    color.length === 3
      ? (i: number) => WR * color[0][i] + WG * color[1][i] + WB * color[2][i]
      : (i: number) => color[0][i];
  if (contrast > 0) {
    let mean = 0;
    for (let i = 0; i < color[0].length; i++) mean += grey(i) / color[0].length;
    for (const plane of color) blend(plane, mean, c);
  }
  if (color.length < 3) return;
  if (saturation > 0) {
    const greys = new Float32Array(color[0].length);
    for (let i = 0; i < greys.length; i++) greys[i] = grey(i);
    for (const plane of color) blendWith(plane, greys, s);
  }
  if (hue > 0) turnHue(color, h * 2 * Math.PI);
}

function blend(plane: Float32Array, other: number, factor: number): void {
  for (let i = 0; i < plane.length; i++) plane[i] = clamp(other + factor * (plane[i] - other));
}

function blendWith(plane: Float32Array, other: Float32Array, factor: number): void {
  for (let i = 0; i < plane.length; i++)
    plane[i] = clamp(other[i] + factor * (plane[i] - other[i]));
}

function turnHue([red, green, blue]: readonly Float32Array[], angle: number): void {
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  for (let i = 0; i < red.length; i++) {
    const y = WR * red[i] + WG * green[i] + WB * blue[i];
    const inPhase = 0.596 * red[i] - 0.274 * green[i] - 0.322 * blue[i];
    const quadrature = 0.211 * red[i] - 0.523 * green[i] + 0.312 * blue[i];
    const u = cos * inPhase - sin * quadrature;
    const v = sin * inPhase + cos * quadrature;
    red[i] = clamp(y + 0.956 * u + 0.621 * v);
    green[i] = clamp(y - 0.272 * u - 0.647 * v);
    blue[i] = clamp(y - 1.106 * u + 1.703 * v);
  }
}

function clamp(value: number): number {
  return Math.min(255, Math.max(0, value));
}
