/**
 * Box–Muller (1958) over blocks of 16 as torch's CPU kernels do it: uniforms x[0…15] give, for j < 8,
 * r·cos θ at j and r·sin θ at j + 8 with r = √(−2 ln(1 − x[j])), θ = 2π·x[j+8].
 *
 * In float32 torch evaluates ln, sin and cos by the single-precision polynomials of the Cephes library (Moshier)
 * with fused multiply-add. The same is done here, so that float32 draws equal torch's bit for bit: a product of two
 * float32 is exact in a double, so `fround(a * b + c)` is the fused operation.
 */
import { decodeMinifloat, encodeMinifloat, type Minifloat } from "../minifloat.ts";

/** Elements that are drawn together. */
export const BLOCK = 16;

const { fround } = Math;
const TWO_PI = fround(2 * Math.PI);
const HALF_SQRT2 = fround(Math.SQRT1_2);

/** Cephes' coefficients of (ln(1+x) − x + x²/2) / x³, highest power first; ln 2 in two parts. */
const [L0, L1, L2, L3, L4, L5, L6, L7, L8] = [
  7.0376836292e-2, -1.151461031e-1, 1.167699874e-1, -1.2420140846e-1, 1.4249322787e-1,
  -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
].map(fround);
const LN2_HIGH = fround(0.693359375);
const LN2_LOW = fround(-2.1219444e-4);
/** Cephes' polynomials of sine and cosine on ±π/4; π/4 in three parts. */
const [S0, S1, S2] = [-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1].map(fround);
const [C0, C1, C2] = [2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2].map(
  fround,
);
const FOUR_OVER_PI = fround(1.27323954473516);
const [P1, P2, P3] = [-0.78515625, -2.4187564849853516e-4, -3.774894977445941e-8].map(fround);
/** 2^(clz − 32), which scales an integer with that many leading zeros into [0.5, 1). */
const SCALE = Float64Array.from({ length: 33 }, (_, clz) => 2 ** (clz - 32));

/** 16 float32 normals into `out[offset…]` from 16 words, of which the low 24 bits count. */
export function boxMullerFloat32(
  words: Uint32Array,
  out: Float32Array,
  offset: number,
  mean: number,
  std: number,
): void {
  for (let j = 0; j < 8; j++) {
    const radius = fround(Math.sqrt(fround(-2 * logFraction(0x1000000 - (words[j] & 0xffffff)))));
    const theta = fround(TWO_PI * ((words[j + 8] & 0xffffff) / 0x1000000));
    const octant = (Math.trunc(fround(theta * FOUR_OVER_PI)) + 1) & ~1;
    let x = fround(octant * P1 + theta);
    x = fround(octant * P2 + x);
    x = fround(octant * P3 + x); // θ − octant·π/4
    const z = fround(x * x);
    const c0 = fround(fround(fround(C0 * z + C1) * z + C2) * z);
    const cosine = fround(fround(c0 * z - fround(z * 0.5)) + 1);
    const s0 = fround(fround(fround(S0 * z + S1) * z + S2) * z);
    const sine = fround(s0 * x + x);
    const swapped = (octant & 2) !== 0;
    const sinTheta = ((octant & 4) === 0 ? 1 : -1) * (swapped ? cosine : sine);
    const cosTheta = (((octant - 2) & 4) === 0 ? -1 : 1) * (swapped ? sine : cosine);
    out[offset + j] = fround(radius * cosTheta) * std + mean;
    out[offset + j + 8] = fround(radius * sinTheta) * std + mean;
  }
}

/** ln(k / 2^24) in float32. */
function logFraction(k: number): number {
  const zeros = Math.clz32(k);
  const m = k * SCALE[zeros]; // k / 2^24 = m · 2^e, 0.5 ≤ m < 1
  const below = m < HALF_SQRT2;
  const e = below ? 7 - zeros : 8 - zeros;
  const x = below ? m + m - 1 : m - 1;
  const z = fround(x * x);
  let y = fround(fround(fround(fround(L0 * x + L1) * x + L2) * x + L3) * x + L4);
  y = fround(fround(fround(fround(y * x + L5) * x + L6) * x + L7) * x + L8);
  y = fround(fround(y * x) * z + fround(e * LN2_LOW));
  y = fround(y - 0.5 * z);
  return fround(e * LN2_HIGH + fround(x + y));
}

/** 16 float64 normals into `out[offset…]`, which holds 16 uniforms. */
export function boxMullerFloat64(
  out: Float64Array,
  offset: number,
  mean: number,
  std: number,
): void {
  for (let j = offset; j < offset + 8; j++) {
    const radius = Math.sqrt(-2 * Math.log(1 - out[j]));
    const theta = 2 * Math.PI * out[j + 8];
    out[j] = radius * Math.cos(theta) * std + mean;
    out[j + 8] = radius * Math.sin(theta) * std + mean;
  }
}

/** 16 normals of a half type into `out[offset…]`, which holds 16 uniforms. Torch rounds after every operation. */
export function boxMullerHalf(
  format: Minifloat,
  out: Float32Array,
  offset: number,
  mean: number,
  std: number,
): void {
  const round = (value: number): number =>
    decodeMinifloat(format, encodeMinifloat(format, Float32Array.of(value)))[0];
  for (let j = offset; j < offset + 8; j++) {
    const radius = round(Math.sqrt(round(-2 * round(Math.log(round(1 - out[j]))))));
    const theta = round(2 * Math.PI * out[j + 8]);
    out[j] = round(round(round(radius * round(Math.cos(theta))) * round(std)) + round(mean));
    out[j + 8] = round(round(round(radius * round(Math.sin(theta))) * round(std)) + round(mean));
  }
}
