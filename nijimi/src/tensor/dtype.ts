/**
 * Element types and how they are stored on the host.
 *
 * `float16` and `bfloat16` are kept as their raw 16 bits in a Uint16Array, `bool` as one byte 0 or 1,
 * the fp8 types as raw bytes; arithmetic happens after conversion (see `convert.ts`).
 */

/** Accepted element types, by their torch names. */
export const DTYPES = [
  "float64",
  "float32",
  "float16",
  "bfloat16",
  "float8_e4m3fn",
  "float8_e5m2",
  "int64",
  "int32",
  "int16",
  "int8",
  "uint64",
  "uint32",
  "uint16",
  "uint8",
  "bool",
] as const;

export type DType = (typeof DTYPES)[number];

interface Storage {
  float64: Float64Array;
  float32: Float32Array;
  float16: Uint16Array;
  bfloat16: Uint16Array;
  float8_e4m3fn: Uint8Array;
  float8_e5m2: Uint8Array;
  int64: BigInt64Array;
  int32: Int32Array;
  int16: Int16Array;
  int8: Int8Array;
  uint64: BigUint64Array;
  uint32: Uint32Array;
  uint16: Uint16Array;
  uint8: Uint8Array;
  bool: Uint8Array;
}

/** The typed array that holds elements of type `D`. */
export type DataOf<D extends DType> = Storage[D];

type ArrayConstructor = {
  new (length: number): DataOf<DType>;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): DataOf<DType>;
  readonly BYTES_PER_ELEMENT: number;
};

const CONSTRUCTORS = {
  float64: Float64Array,
  float32: Float32Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  float8_e4m3fn: Uint8Array,
  float8_e5m2: Uint8Array,
  int64: BigInt64Array,
  int32: Int32Array,
  int16: Int16Array,
  int8: Int8Array,
  uint64: BigUint64Array,
  uint32: Uint32Array,
  uint16: Uint16Array,
  uint8: Uint8Array,
  bool: Uint8Array,
} as const satisfies Record<DType, unknown>;

/** Bytes of one element. */
export function bytesPerElement(dtype: DType): number {
  return CONSTRUCTORS[dtype].BYTES_PER_ELEMENT;
}

/** A zeroed typed array of `length` elements. */
export function allocate<D extends DType>(dtype: D, length: number): DataOf<D> {
  return new (CONSTRUCTORS[dtype] as unknown as ArrayConstructor)(length) as DataOf<D>;
}

/**
 * `length` elements of `buffer` from `byteOffset` on, sharing memory where the offset is aligned
 * and copying where it is not.
 */
export function viewBytes<D extends DType>(
  dtype: D,
  buffer: ArrayBufferLike,
  byteOffset: number,
  length: number,
): DataOf<D> {
  const size = bytesPerElement(dtype);
  const Type = CONSTRUCTORS[dtype] as unknown as ArrayConstructor;
  if (byteOffset % size === 0) return new Type(buffer, byteOffset, length) as DataOf<D>;
  return new Type(buffer.slice(byteOffset, byteOffset + length * size), 0, length) as DataOf<D>;
}
