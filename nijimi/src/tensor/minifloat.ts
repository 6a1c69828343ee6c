/**
 * Floating-point formats of 8 and 16 bits, exactly: subnormals, rounding to nearest even, infinities and NaN as
 * torch's CPU conversions give them. float16 is IEEE 754 binary16; bfloat16 the upper half of a float32;
 * the fp8 formats are those of "FP8 Formats for Deep Learning" (arXiv:2209.05433).
 */

/** Formats kept as raw bits. */
export type Minifloat = "float16" | "bfloat16" | "float8_e4m3fn" | "float8_e5m2";

interface Format {
  readonly exponentBits: number;
  readonly mantissaBits: number;
  /** float32 bits from which on a magnitude is `overflow`; smaller ones may still round up to it. */
  readonly overflowFrom: number;
  /** Code of magnitudes that are too large; NaN where the format has no infinity. */
  readonly overflow: number;
  readonly nan: number;
}

const FORMATS = {
  float16: {
    exponentBits: 5,
    mantissaBits: 10,
    overflowFrom: 0x47800000,
    overflow: 0x7c00,
    nan: 0x7e00,
  },
  bfloat16: {
    exponentBits: 8,
    mantissaBits: 7,
    overflowFrom: 0x7f800000,
    overflow: 0x7f80,
    nan: 0x7fc0,
  },
  float8_e5m2: {
    exponentBits: 5,
    mantissaBits: 2,
    overflowFrom: 0x47800000,
    overflow: 0x7c,
    nan: 0x7f,
  },
  // No infinity: the code after the largest number, 448, is NaN.
  float8_e4m3fn: {
    exponentBits: 4,
    mantissaBits: 3,
    overflowFrom: 0x43f00000,
    overflow: 0x7f,
    nan: 0x7f,
  },
} as const satisfies Record<Minifloat, Format>;

/** The raw bits of each value of `source`, rounded to nearest even. */
export function encodeMinifloat(format: Minifloat, source: Float32Array): Uint16Array | Uint8Array {
  const { length } = source;
  const out = format.startsWith("float8") ? new Uint8Array(length) : new Uint16Array(length);
  const bits = new Uint32Array(source.buffer, source.byteOffset, length);
  if (format === "bfloat16") encodeBfloat16(bits, out);
  else encodeNarrow(FORMATS[format], bits, source, out);
  return out;
}

function encodeBfloat16(bits: Uint32Array, out: Uint16Array | Uint8Array): void {
  for (let i = 0; i < bits.length; i++) {
    const b = bits[i];
    out[i] =
      (b & 0x7fffffff) > 0x7f800000 ? FORMATS.bfloat16.nan : (b + 0x7fff + ((b >>> 16) & 1)) >>> 16;
  }
}

function encodeNarrow(
  format: Format,
  bits: Uint32Array,
  values: Float32Array,
  out: Uint16Array | Uint8Array,
): void {
  const { exponentBits, mantissaBits, overflowFrom, overflow, nan } = format;
  const bias = (1 << (exponentBits - 1)) - 1;
  const dropped = 23 - mantissaBits;
  const signShift = 31 - exponentBits - mantissaBits;
  const signMask = 1 << (exponentBits + mantissaBits);
  const smallestNormal = (128 - bias) << 23;
  // Adding 2^(23 + exponent of the last subnormal bit) lets the float32 adder do the rounding of subnormals.
  const magic = 2 ** (24 - bias - mantissaBits);
  const rebias = ((bias - 127) << 23) + (1 << (dropped - 1)) - 1;
  for (let i = 0; i < bits.length; i++) {
    const b = bits[i];
    const magnitude = b & 0x7fffffff;
    let code: number;
    if (magnitude >= overflowFrom) code = magnitude > 0x7f800000 ? nan : overflow;
    else if (magnitude < smallestNormal)
      code =
        (Math.fround(Math.abs(values[i]) + magic) - magic) * subnormalScale(bias, mantissaBits);
    else code = (magnitude + rebias + ((magnitude >>> dropped) & 1)) >>> dropped;
    out[i] = code | ((b >>> signShift) & signMask);
  }
}

/** Number of subnormal steps in 1. */
function subnormalScale(bias: number, mantissaBits: number): number {
  return 2 ** (bias - 1 + mantissaBits);
}

/** The numbers that the raw bits of `source` stand for. */
export function decodeMinifloat(format: Minifloat, source: Uint16Array | Uint8Array): Float32Array {
  const out = new Float32Array(source.length);
  if (format === "bfloat16") {
    const bits = new Uint32Array(out.buffer);
    for (let i = 0; i < source.length; i++) bits[i] = source[i] << 16;
    return out;
  }
  // Building the table of float16 costs as much as decoding 65,536 values one by one.
  const table = format === "float16" && source.length < 4096 ? undefined : decodingTable(format);
  for (let i = 0; i < source.length; i++)
    out[i] = table ? table[source[i]] : decodeOne(FORMATS[format], source[i]);
  return out;
}

const tables = new Map<Minifloat, Float32Array>();

/** Value of every code of a format, built when first needed. */
function decodingTable(format: Minifloat): Float32Array {
  let table = tables.get(format);
  if (!table) {
    const { exponentBits, mantissaBits } = FORMATS[format];
    table = Float32Array.from({ length: 1 << (1 + exponentBits + mantissaBits) }, (_, code) =>
      decodeOne(FORMATS[format], code),
    );
    tables.set(format, table);
  }
  return table;
}

function decodeOne({ exponentBits, mantissaBits, overflow }: Format, code: number): number {
  const signBit = 1 << (exponentBits + mantissaBits);
  const sign = code & signBit ? -1 : 1;
  const magnitude = code & (signBit - 1);
  const exponent = magnitude >> mantissaBits;
  const fraction = magnitude & ((1 << mantissaBits) - 1);
  const bias = (1 << (exponentBits - 1)) - 1;
  const hasInfinity = (overflow & ((1 << mantissaBits) - 1)) === 0;
  if (magnitude >= overflow) return hasInfinity && magnitude === overflow ? sign * Infinity : NaN;
  if (exponent === 0) return (sign * fraction) / subnormalScale(bias, mantissaBits); // subnormal
  return sign * (1 + fraction / 2 ** mantissaBits) * 2 ** (exponent - bias);
}
