/** NumPy's names of element types, as in `.npy` headers (`"<f4"`) and pickles (`"f4"`). */
import { NijimiError } from "../../errors.ts";
import type { DType } from "../../tensor/dtype.ts";

const DTYPES_BY_CODE: Readonly<Record<string, DType>> = {
  f8: "float64",
  f4: "float32",
  f2: "float16",
  i8: "int64",
  i4: "int32",
  i2: "int16",
  i1: "int8",
  u8: "uint64",
  u4: "uint32",
  u2: "uint16",
  u1: "uint8",
  b1: "bool",
};

/** An element type with its byte order. */
export interface ArrayType {
  readonly dtype: DType;
  readonly bigEndian: boolean;
}

/**
 * The type that a code such as `"<f4"`, `">i8"`, `"|b1"` or `"f4"` stands for.
 *
 * @param name what has that type, for messages
 * @throws NijimiError `unsafe` for Python objects, `unsupported` for other types without a place here
 */
export function parseArrayType(code: string, name: string): ArrayType {
  const [, order, kind] = /^([<>|=]?)(.*)$/s.exec(code)!;
  if (kind.startsWith("O"))
    throw new NijimiError(
      "unsafe",
      `${name} holds Python objects, which are pickles inside the array; only arrays of numbers are read.`,
    );
  if (Object.hasOwn(DTYPES_BY_CODE, kind))
    return { dtype: DTYPES_BY_CODE[kind], bigEndian: order === ">" };
  throw new NijimiError(
    "unsupported",
    `${name} has the NumPy type ${JSON.stringify(code.slice(0, 40))}; accepted: ${Object.keys(DTYPES_BY_CODE).join(", ")}.`,
  );
}
