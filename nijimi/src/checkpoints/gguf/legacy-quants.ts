/**
 * GGML's first block formats (ggml-quants.c): 32 elements with one scale `d` and, in the `_1` formats,
 * a minimum `m`. Element j is in the low half of byte j, element j + 16 in the high half.
 *
 * Sums and products are rounded to float32 one by one, as GGML computes them.
 */
import { halves } from "./halves.ts";

const { fround } = Math;
const ELEMENTS = 32;

/** x = d·(q − 8); 18 bytes: d, 16 × (4 + 4 bits). */
export function dequantizeQ40(blocks: Uint8Array, count: number): Float32Array {
  const out = new Float32Array(count * ELEMENTS);
  const d = halves(blocks, count, 18, 0);
  for (let block = 0; block < count; block++) {
    const q = block * 18 + 2;
    const x = block * ELEMENTS;
    for (let j = 0; j < 16; j++) {
      out[x + j] = d[block] * ((blocks[q + j] & 15) - 8);
      out[x + j + 16] = d[block] * ((blocks[q + j] >> 4) - 8);
    }
  }
  return out;
}

/** x = d·q + m; 20 bytes: d, m, 16 × (4 + 4 bits). */
export function dequantizeQ41(blocks: Uint8Array, count: number): Float32Array {
  const out = new Float32Array(count * ELEMENTS);
  const d = halves(blocks, count, 20, 0);
  const m = halves(blocks, count, 20, 2);
  for (let block = 0; block < count; block++) {
    const q = block * 20 + 4;
    const x = block * ELEMENTS;
    for (let j = 0; j < 16; j++) {
      out[x + j] = fround(d[block] * (blocks[q + j] & 15)) + m[block];
      out[x + j + 16] = fround(d[block] * (blocks[q + j] >> 4)) + m[block];
    }
  }
  return out;
}

/** x = d·(q − 16); 22 bytes: d, 32 fifth bits, 16 × (4 + 4 bits). */
export function dequantizeQ50(blocks: Uint8Array, count: number): Float32Array {
  const out = new Float32Array(count * ELEMENTS);
  const d = halves(blocks, count, 22, 0);
  for (let block = 0; block < count; block++) {
    const high = fifthBits(blocks, block * 22 + 2);
    const q = block * 22 + 6;
    const x = block * ELEMENTS;
    for (let j = 0; j < 16; j++) {
      out[x + j] = d[block] * (((blocks[q + j] & 15) | (((high >>> j) & 1) << 4)) - 16);
      out[x + j + 16] = d[block] * (((blocks[q + j] >> 4) | (((high >>> (j + 16)) & 1) << 4)) - 16);
    }
  }
  return out;
}

/** x = d·q + m; 24 bytes: d, m, 32 fifth bits, 16 × (4 + 4 bits). */
export function dequantizeQ51(blocks: Uint8Array, count: number): Float32Array {
  const out = new Float32Array(count * ELEMENTS);
  const d = halves(blocks, count, 24, 0);
  const m = halves(blocks, count, 24, 2);
  for (let block = 0; block < count; block++) {
    const high = fifthBits(blocks, block * 24 + 4);
    const q = block * 24 + 8;
    const x = block * ELEMENTS;
    for (let j = 0; j < 16; j++) {
      const low = (blocks[q + j] & 15) | (((high >>> j) & 1) << 4);
      const upper = (blocks[q + j] >> 4) | (((high >>> (j + 16)) & 1) << 4);
      out[x + j] = fround(d[block] * low) + m[block];
      out[x + j + 16] = fround(d[block] * upper) + m[block];
    }
  }
  return out;
}

/** x = d·q; 34 bytes: d, 32 signed bytes. */
export function dequantizeQ80(blocks: Uint8Array, count: number): Float32Array {
  const out = new Float32Array(count * ELEMENTS);
  const d = halves(blocks, count, 34, 0);
  for (let block = 0; block < count; block++)
    for (let j = 0; j < ELEMENTS; j++)
      out[block * ELEMENTS + j] = d[block] * signed(blocks[block * 34 + 2 + j]);
  return out;
}

function fifthBits(blocks: Uint8Array, at: number): number {
  return blocks[at] | (blocks[at + 1] << 8) | (blocks[at + 2] << 16) | (blocks[at + 3] << 24);
}

function signed(byte: number): number {
  return (byte << 24) >> 24;
}
