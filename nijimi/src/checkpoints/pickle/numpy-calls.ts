/** The functions by which NumPy's arrays, scalars and dtypes are stored in pickles, as data. */
import { NijimiError } from "../../errors.ts";
import { toFloat64 } from "../../tensor/convert.ts";
import { parseArrayType } from "../numpy/dtype.ts";
import { arrayBytes, tensorOfArray } from "../numpy/layout.ts";
import { asBytes, asCounts, asItems, asText, badCall } from "./arguments.ts";
import type { Call } from "./torch-calls.ts";
import { isKind, type ArrayRef, type ArrayTypeRef, type PickleValue } from "./values.ts";

const reconstruct: Call = () => ({
  kind: "array",
  shape: [0],
  bytes: new Uint8Array(0),
  columnMajor: false,
});

/** A scalar is a number like any other. */
const scalar: Call = ([type, data]) => {
  const { code, bigEndian } = typeOf(type);
  const bytes = asBytes(data, "numpy.scalar");
  const layout = {
    ...parseArrayType(code, "A NumPy scalar"),
    bigEndian,
    shape: [],
    columnMajor: false,
  };
  if (bytes.length !== arrayBytes(layout))
    throw badCall("numpy.scalar", `${bytes.length} bytes for ${code}`);
  const value = toFloat64(tensorOfArray(layout, bytes))[0];
  return layout.dtype === "bool" ? value !== 0 : value;
};

/** Protocol 5: bytes, dtype, shape, order. */
const fromBuffer: Call = ([bytes, type, shape, order]) => ({
  kind: "array",
  type: typeOf(type),
  shape: asCounts(shape, "numpy._frombuffer"),
  bytes: asBytes(bytes, "numpy._frombuffer"),
  columnMajor: order === "F",
});

export const NUMPY_CALLS: Readonly<Record<string, Call>> = {
  "numpy.dtype": ([code]) => ({
    kind: "array-type",
    code: asText(code, "numpy.dtype"),
    bigEndian: false,
  }),
  "numpy.core.multiarray._reconstruct": reconstruct,
  "numpy._core.multiarray._reconstruct": reconstruct,
  "numpy.core.multiarray.scalar": scalar,
  "numpy._core.multiarray.scalar": scalar,
  "numpy.core.numeric._frombuffer": fromBuffer,
  "numpy._core.numeric._frombuffer": fromBuffer,
};

/** State of a dtype: (version, byte order, …). Structured types have fields in the fourth place. */
export function buildArrayType(target: ArrayTypeRef, state: PickleValue): void {
  const [, order, , fields] = asItems(state, "numpy.dtype");
  if (fields !== null && fields !== undefined)
    throw new NijimiError(
      "unsupported",
      "A structured NumPy array is in the pickle; only plain ones are read.",
    );
  target.bigEndian = order === ">";
}

/** State of an array: (version, shape, dtype, column-major, bytes). */
export function buildArray(target: ArrayRef, state: PickleValue): void {
  const [, shape, type, columnMajor, data] = asItems(state, "numpy.ndarray");
  target.type = typeOf(type);
  parseArrayType(target.type.code, "A NumPy array");
  target.shape = asCounts(shape, "numpy.ndarray");
  target.columnMajor = columnMajor === true;
  target.bytes = asBytes(data, "numpy.ndarray");
}

/** @throws NijimiError `format` unless the value is an array */
export function arrayOf(value: PickleValue | undefined, what: string): ArrayRef {
  if (isKind(value, "array")) return value;
  throw badCall(what, "what is not an array");
}

function typeOf(value: PickleValue | undefined): ArrayTypeRef {
  if (isKind(value, "array-type")) return value;
  throw badCall("numpy", "what is not a dtype");
}
