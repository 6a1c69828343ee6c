import { describe, expect, it } from "vitest";
import { allocate, bytesPerElement, DTYPES } from "../tensor/dtype.ts";
import { float32, tensor, type Tensor } from "../tensor/tensor.ts";
import { parseSafetensors, tensorBytes, writeSafetensors } from "./safetensors.ts";

/** One tensor of every type, with all its bits in use. */
function everyType(): Record<string, Tensor> {
  return Object.fromEntries(
    DTYPES.map((dtype, i) => {
      const data = allocate(dtype, 6);
      new Uint8Array(data.buffer).forEach((_, at, bytes) => (bytes[at] = (at * 37 + i * 11) % 251));
      return [`layer.${dtype}`, tensor(dtype, [2, 3], data)];
    }),
  );
}

/** A file with this header and data. */
function file(header: string, dataBytes: number): Uint8Array {
  const json = new TextEncoder().encode(header);
  const bytes = new Uint8Array(8 + json.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}

describe("safetensors", () => {
  it("gives back what was written, in every element type", () => {
    const tensors = everyType();
    const read = parseSafetensors(writeSafetensors(tensors));
    expect(Object.keys(read).sort()).toEqual(Object.keys(tensors).sort());
    for (const [name, { dtype, shape, data }] of Object.entries(tensors)) {
      expect(read[name]).toMatchObject({ dtype, shape });
      expect(tensorBytes(read[name])).toEqual(new Uint8Array(data.buffer));
    }
  });

  it("writes the same bytes whatever the order of the tensors", () => {
    const tensors = everyType();
    const reversed = Object.fromEntries(Object.entries(tensors).reverse());
    expect(writeSafetensors(reversed, { format: "pt" })).toEqual(
      writeSafetensors(tensors, { format: "pt" }),
    );
  });

  it("aligns every tensor, so that reading copies nothing", () => {
    const bytes = writeSafetensors(everyType());
    for (const { dtype, data } of Object.values(parseSafetensors(bytes))) {
      expect(data.buffer).toBe(bytes.buffer);
      expect(data.byteOffset % bytesPerElement(dtype)).toBe(0);
    }
  });

  it("reads tensors that are not aligned", () => {
    const bytes = file('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', 4);
    new DataView(bytes.buffer).setFloat32(bytes.length - 4, 2.5, true);
    expect(parseSafetensors(bytes).a).toEqual(float32([1], [2.5]));
  });

  it("keeps scalars, empty tensors and odd names", () => {
    const tensors = Object.fromEntries([
      ["__proto__", float32([], [1])],
      ["", float32([0, 3], [])],
      ['"\n滲', float32([1], [2])],
    ]);
    expect(Object.entries(parseSafetensors(writeSafetensors(tensors))).sort()).toEqual(
      Object.entries(tensors).sort(),
    );
  });

  it("cannot call a tensor __metadata__", () => {
    expect(() => writeSafetensors({ __metadata__: float32([], [1]) })).toThrow("__metadata__");
  });

  it.each([
    ['{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}', 4, "need 8"],
    ['{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}', 5, "after the last tensor"],
    ['{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}', 3, "cut short"],
    ['{"a":{"dtype":"F9","shape":[2],"data_offsets":[0,4]}}', 4, "accepted: F64, F32"],
    ['{"a":[]}', 0, "must be described by an object"],
    ['["a"]', 0, 'must begin with "{"'],
  ])("refuses %s", (header, dataBytes, message) => {
    expect(() => parseSafetensors(file(header, dataBytes), "x.safetensors")).toThrow(message);
  });
});
