/**
 * GGML's "K" block formats (ggml-quants.c): 256 elements in sub-blocks of 16 or 32, whose scales are
 * quantised themselves and share a float16 `d` (and `dmin` for the minima).
 *
 * Sums and products are rounded to float32 one by one, as GGML computes them.
 */
import { halves } from "./halves.ts";

const { fround } = Math;
const ELEMENTS = 256;

/**
 * x = d·(s & 15)·q − dmin·(s >> 4), sub-blocks of 16.
 * 84 bytes: 16 scales s, 64 × four 2-bit q, d, dmin.
 */
export function dequantizeQ2K(blocks: Uint8Array, count: number): Float32Array {
  const out = new Float32Array(count * ELEMENTS);
  const d = halves(blocks, count, 84, 80);
  const dmin = halves(blocks, count, 84, 82);
  for (let block = 0; block < count; block++) {
    const scales = block * 84;
    for (let sub = 0; sub < 16; sub++) {
      const scale = fround(d[block] * (blocks[scales + sub] & 15));
      const min = fround(dmin[block] * (blocks[scales + sub] >> 4));
      const { q, shift, x } = quarter(sub);
      for (let l = 0; l < 16; l++)
        out[block * ELEMENTS + x + l] =
          fround(scale * ((blocks[scales + 16 + q + l] >> shift) & 3)) - min;
    }
  }
  return out;
}

/**
 * x = d·(s − 32)·(q − 4 + 4h), sub-blocks of 16.
 * 110 bytes: 256 high bits h, 64 × four 2-bit q, 16 6-bit scales s in 12 bytes, d.
 */
export function dequantizeQ3K(blocks: Uint8Array, count: number): Float32Array {
  const out = new Float32Array(count * ELEMENTS);
  const d = halves(blocks, count, 110, 108);
  for (let block = 0; block < count; block++) {
    const at = block * 110;
    for (let sub = 0; sub < 16; sub++) {
      const scale = fround(d[block] * (sixBitScale(blocks, at + 96, sub) - 32));
      const { q, shift, x } = quarter(sub);
      // The high bits of the 128 elements of each half: bit (element / 32) of byte (element % 32).
      const bit = x >> 5;
      for (let l = 0; l < 16; l++) {
        const low = (blocks[at + 32 + q + l] >> shift) & 3;
        const high = (blocks[at + (q & 31) + l] >> bit) & 1;
        out[block * ELEMENTS + x + l] = scale * (low - (high ? 0 : 4));
      }
    }
  }
  return out;
}

/** Where sub-block `sub` of 16 finds its 2-bit values: byte, shift, and its first element. */
function quarter(sub: number): { readonly q: number; readonly shift: number; readonly x: number } {
  const half = sub >> 3;
  return { q: half * 32 + (sub & 1) * 16, shift: ((sub & 7) >> 1) * 2, x: sub * 16 };
}

/** Scale `i` of 16: four low bits in bytes 0 to 7, two high bits in bytes 8 to 11. */
function sixBitScale(blocks: Uint8Array, at: number, i: number): number {
  const low = i < 8 ? blocks[at + i] & 15 : blocks[at + i - 8] >> 4;
  return low | (((blocks[at + 8 + (i & 3)] >> (2 * (i >> 2))) & 3) << 4);
}

/**
 * x = d·s·q − dmin·m, sub-blocks of 32.
 * 144 bytes: d, dmin, 8 scales s and minima m of 6 bits in 12 bytes, 128 × two 4-bit q.
 */
export function dequantizeQ4K(blocks: Uint8Array, count: number): Float32Array {
  return dequantizeWithMinima(blocks, count, 144, (q) => q);
}

/**
 * x = d·s·(q + 16h) − dmin·m, sub-blocks of 32.
 * 176 bytes: d, dmin, scales and minima as in Q4_K, 256 high bits h, 128 × two 4-bit q.
 */
export function dequantizeQ5K(blocks: Uint8Array, count: number): Float32Array {
  return dequantizeWithMinima(blocks, count, 176, (q, at, sub, l) =>
    (blocks[at + 16 + l] >> sub) & 1 ? q + 16 : q,
  );
}

/** What Q4_K and Q5_K have in common; `widen` adds the fifth bit of element `l` of sub-block `sub`. */
function dequantizeWithMinima(
  blocks: Uint8Array,
  count: number,
  bytes: number,
  widen: (q: number, at: number, sub: number, l: number) => number,
): Float32Array {
  const out = new Float32Array(count * ELEMENTS);
  const d = halves(blocks, count, bytes, 0);
  const dmin = halves(blocks, count, bytes, 2);
  for (let block = 0; block < count; block++) {
    const at = block * bytes;
    const quants = at + bytes - 128;
    for (let sub = 0; sub < 8; sub++) {
      const { scale, min } = scaleAndMin(blocks, at + 4, sub);
      const step = fround(d[block] * scale);
      const offset = fround(dmin[block] * min);
      const q = quants + (sub >> 1) * 32;
      for (let l = 0; l < 32; l++) {
        const value = sub & 1 ? blocks[q + l] >> 4 : blocks[q + l] & 15;
        out[block * ELEMENTS + sub * 32 + l] = fround(step * widen(value, at, sub, l)) - offset;
      }
    }
  }
  return out;
}

/** Sub-block `i` of 8. The first four have six bits of a byte each, the others the remaining bits. */
function scaleAndMin(
  blocks: Uint8Array,
  at: number,
  i: number,
): { readonly scale: number; readonly min: number } {
  if (i < 4) return { scale: blocks[at + i] & 63, min: blocks[at + i + 4] & 63 };
  const low = blocks[at + i + 4];
  return {
    scale: (low & 15) | ((blocks[at + i - 4] >> 6) << 4),
    min: (low >> 4) | ((blocks[at + i] >> 6) << 4),
  };
}

/**
 * x = d·s·(q − 32), sub-blocks of 16.
 * 210 bytes: 256 × 4 low bits, 256 × 2 high bits, 16 signed scales s, d.
 */
export function dequantizeQ6K(blocks: Uint8Array, count: number): Float32Array {
  const out = new Float32Array(count * ELEMENTS);
  const d = halves(blocks, count, 210, 208);
  for (let block = 0; block < count; block++) {
    const at = block * 210;
    for (let i = 0; i < ELEMENTS; i++) {
      // Within each half of 128: rows of 32, of which two share a byte of low bits and four one of high bits.
      const half = i >> 7;
      const row = (i >> 5) & 3;
      const column = i & 31;
      const low = blocks[at + half * 64 + (row & 1) * 32 + column] >> (row < 2 ? 0 : 4);
      const high = blocks[at + 128 + half * 32 + column] >> (row * 2);
      const scale = fround(d[block] * ((blocks[at + 192 + (i >> 4)] << 24) >> 24));
      out[block * ELEMENTS + i] = scale * (((low & 15) | ((high & 3) << 4)) - 32);
    }
  }
  return out;
}
