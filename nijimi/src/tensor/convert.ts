/**
 * Conversions between all element types, with torch's results: floats round to nearest even, float64 goes to the
 * small formats by way of float32, floats become integers by dropping the fraction, integers that do not fit wrap
 * modulo 2^bits, and anything but zero is `true`.
 */
import { NijimiError } from "../errors.ts";
import { allocate, type DataOf, type DType } from "./dtype.ts";
import { decodeMinifloat, encodeMinifloat, type Minifloat } from "./minifloat.ts";
import { tensor, type Tensor } from "./tensor.ts";

/** True for `float64`, `float32` and the types of 16 and 8 bits. */
export function isFloat(dtype: DType): boolean {
  return dtype.includes("float");
}

/**
 * The values as float32. A float32 tensor gives its own data, not a copy.
 *
 * @example
 * const weights = toFloat32(parameters["conv_in.weight"]); // whatever the file's precision
 */
export function toFloat32(t: Tensor): Float32Array {
  if (t.dtype === "float32") return t.data as Float32Array;
  if (isMinifloat(t.dtype)) return decodeMinifloat(t.dtype, t.data as Uint16Array);
  if (isWide(t.dtype)) return Float32Array.from(t.data as BigInt64Array, bigintToFloat32);
  return new Float32Array(t.data as Float64Array);
}

/** The values as float64, exactly except for integers beyond 2^53. A float64 tensor gives its own data, not a copy. */
export function toFloat64(t: Tensor): Float64Array {
  if (t.dtype === "float64") return t.data as Float64Array;
  if (isMinifloat(t.dtype))
    return new Float64Array(decodeMinifloat(t.dtype, t.data as Uint16Array));
  if (isWide(t.dtype)) return Float64Array.from(t.data as BigInt64Array, Number);
  return new Float64Array(t.data as Float32Array);
}

/**
 * The tensor in another element type; the same tensor when it has that type already.
 *
 * @throws NijimiError `numeric` for NaN and infinities on their way to an integer type
 * @example
 * const half = cast(x, "float16"); // half.data holds the raw 16 bits
 */
export function cast<D extends DType>(t: Tensor, dtype: D): Tensor<D> {
  if (t.dtype === (dtype as DType)) return t as Tensor<D>;
  return tensor(dtype, t.shape, castData(t, dtype) as DataOf<D>);
}

function castData(t: Tensor, dtype: DType): DataOf<DType> {
  if (dtype === "float32") return toFloat32(t);
  if (dtype === "float64") return toFloat64(t);
  if (isMinifloat(dtype)) return encodeMinifloat(dtype, toFloat32(t));
  const values = isMinifloat(t.dtype) ? toFloat32(t) : t.data;
  if (isFloat(t.dtype) && dtype !== "bool") refuseNonFinite(values as Float32Array, dtype);
  return toIntegers(values, dtype);
}

function toIntegers(values: DataOf<DType>, dtype: DType): DataOf<DType> {
  const out = allocate(dtype, values.length);
  if (dtype === "bool")
    for (let i = 0; i < out.length; i++) out[i] = Number(values[i]) === 0 ? 0 : 1;
  else if (out instanceof BigInt64Array || out instanceof BigUint64Array)
    for (let i = 0; i < out.length; i++) out[i] = toBigInt(values[i]);
  else if (values instanceof BigInt64Array || values instanceof BigUint64Array)
    for (let i = 0; i < out.length; i++) out[i] = Number(BigInt.asIntN(32, values[i]));
  else out.set(values as Int32Array); // typed arrays truncate and wrap
  return out;
}

function toBigInt(value: number | bigint): bigint {
  return typeof value === "bigint" ? value : BigInt(Math.trunc(value));
}

function refuseNonFinite(values: Float32Array | Float64Array, dtype: DType): void {
  const index = values.findIndex((value) => !Number.isFinite(value));
  if (index >= 0)
    throw new NijimiError(
      "numeric",
      `cast: element ${index} is ${values[index]}, which ${dtype} cannot hold.`,
    );
}

/** Rounds once: below 2^53 a double is exact; above, the lowest 15 bits only matter as "not zero". */
function bigintToFloat32(value: bigint): number {
  const asNumber = Number(value);
  if (Number.isSafeInteger(asNumber)) return asNumber;
  const sticky = (value & 0x7fffn) === 0n ? 0n : 1n;
  return Number((value >> 15n) | sticky) * 32768;
}

function isMinifloat(dtype: DType): dtype is Minifloat {
  return dtype === "float16" || dtype === "bfloat16" || dtype.startsWith("float8");
}

function isWide(dtype: DType): boolean {
  return dtype === "int64" || dtype === "uint64";
}
