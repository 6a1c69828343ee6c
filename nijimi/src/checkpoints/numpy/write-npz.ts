/** Writing NumPy's `.npz`: a zip of `.npy` files of version 1.0, stored as `numpy.savez` stores them. */
import { zipSync } from "fflate";
import { NijimiError } from "../../errors.ts";
import type { DType } from "../../tensor/dtype.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { tensorBytes } from "../safetensors.ts";

const CODES: Partial<Record<DType, string>> = {
  float64: "<f8",
  float32: "<f4",
  float16: "<f2",
  int64: "<i8",
  int32: "<i4",
  int16: "<i2",
  int8: "|i1",
  uint64: "<u8",
  uint32: "<u4",
  uint16: "<u2",
  uint8: "|u1",
  bool: "|b1",
};
/** The elements begin at a multiple of this. */
const ALIGNMENT = 64;

/**
 * Arrays by name as the bytes of an `.npz` file that `numpy.load` reads.
 *
 * @throws NijimiError `dtype` for types that NumPy does not have
 */
export function writeNpz(arrays: Readonly<Record<string, Tensor>>): Uint8Array {
  const members = Object.entries(arrays).map(([name, value]) => [
    `${name}.npy`,
    encodeNpy(value, name),
  ]);
  // A fixed date: the same arrays give the same bytes.
  return zipSync(Object.fromEntries(members), { level: 0, mtime: "1980-01-01T00:00:00" });
}

function encodeNpy(value: Tensor, name: string): Uint8Array {
  const code = CODES[value.dtype];
  if (code === undefined)
    throw new NijimiError(
      "dtype",
      `${name} is ${value.dtype}, which NumPy does not know; cast it.`,
    );
  const shape = value.shape.length === 1 ? `${value.shape[0]},` : value.shape.join(", ");
  const text = `{'descr': '${code}', 'fortran_order': False, 'shape': (${shape}), }`;
  const prefix = 10;
  const length = Math.ceil((prefix + text.length + 1) / ALIGNMENT) * ALIGNMENT - prefix;
  const elements = tensorBytes(value);
  const out = new Uint8Array(prefix + length + elements.length);
  out.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, length & 0xff, length >> 8]);
  out.set(new TextEncoder().encode(`${text.padEnd(length - 1)}\n`), prefix);
  out.set(elements, prefix + length);
  return out;
}
