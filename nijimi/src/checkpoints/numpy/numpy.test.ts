import { zipSync } from "fflate";
import { describe, expect, it } from "vitest";
import { cast } from "../../tensor/convert.ts";
import { bytesSource } from "../files/byte-source.ts";
import { openCheckpoint } from "../open-checkpoint.ts";
import { parseNpy } from "./npy.ts";

/** An `.npy` file with this description and data. */
function npy(description: string, data: ArrayBufferView<ArrayBuffer>, version = 1): Uint8Array {
  const prefix = version === 1 ? 10 : 12;
  const padded = Math.ceil((prefix + description.length + 1) / 64) * 64 - prefix - 1;
  const text = `${description.padEnd(padded)}\n`;
  const bytes = new Uint8Array(prefix + text.length + data.byteLength);
  bytes.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, version, 0]);
  new DataView(bytes.buffer).setUint16(8, text.length, true);
  bytes.set(new TextEncoder().encode(text), prefix);
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), prefix + text.length);
  return bytes;
}

function description(descr: string, shape: string, order = "False"): string {
  return `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': ${shape}, }`;
}

const SIX = Float32Array.of(0, 1, 2, 3, 4, 5);

describe("an .npy file", () => {
  it.each([1, 2, 3])("of version %i holds an array", (version) => {
    const { dtype, shape, data } = parseNpy(npy(description("<f4", "(2, 3)"), SIX, version));
    expect({ dtype, shape, data }).toEqual({ dtype: "float32", shape: [2, 3], data: SIX });
  });

  it("may have a scalar, one axis, or an empty array", () => {
    expect(parseNpy(npy(description("<f4", "()"), SIX.subarray(0, 1))).shape).toEqual([]);
    expect(parseNpy(npy(description("<f4", "(6,)"), SIX)).shape).toEqual([6]);
    expect(parseNpy(npy(description("<f4", "(0, 3)"), SIX.subarray(0, 0))).shape).toEqual([0, 3]);
  });

  it("in Fortran's order becomes row-major", () => {
    const { data } = parseNpy(npy(description("<f4", "(2, 3)", "True"), SIX));
    expect(data).toEqual(Float32Array.of(0, 2, 4, 1, 3, 5));
  });

  it("with the high byte first is swapped", () => {
    const big = new DataView(new ArrayBuffer(4));
    big.setInt16(0, -2);
    big.setInt16(2, 300);
    expect(parseNpy(npy(description(">i2", "(2,)"), big)).data).toEqual(Int16Array.of(-2, 300));
  });

  it.each([
    ["<f2", "float16", 2],
    ["<f8", "float64", 8],
    ["<i8", "int64", 8],
    ["|u1", "uint8", 1],
    ["|b1", "bool", 1],
    ["=u4", "uint32", 4],
  ])("has the type %s as %s", (code, dtype, bytes) => {
    expect(parseNpy(npy(description(code, "(1,)"), new Uint8Array(bytes))).dtype).toBe(dtype);
  });

  it.each<[string, Uint8Array, string, string]>([
    [
      "Python objects",
      npy(description("|O", "(1,)"), new Uint8Array(8)),
      "unsafe",
      "Python objects",
    ],
    ["text", npy(description("<U4", "(1,)"), new Uint8Array(16)), "unsupported", '"<U4"'],
    [
      "complex numbers",
      npy(description("<c8", "(1,)"), new Uint8Array(8)),
      "unsupported",
      "accepted: f8",
    ],
    [
      "records",
      npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", SIX),
      "unsupported",
      "records",
    ],
    ["too little data", npy(description("<f4", "(7,)"), SIX), "format", "need 28"],
    ["too much data", npy(description("<f4", "(5,)"), SIX), "format", "need 20"],
    [
      "a shape that overflows",
      npy(description("<f4", `(${"9007199254740991, ".repeat(40)})`), SIX),
      "format",
      "need",
    ],
    ["code in its header", npy("__import__('os').system('x')", SIX), "format", "not a dict"],
    [
      "a call in its header",
      npy("{'descr': f(), 'shape': (1,)}", SIX),
      "format",
      "not what NumPy writes",
    ],
    [
      "a key twice",
      npy("{'shape': (6,), 'shape': (6,), }", SIX),
      "format",
      "not what NumPy writes",
    ],
    ["a missing key", npy("{'descr': '<f4', 'shape': (6,), }", SIX), "format", "lacks"],
    [
      "half a header",
      npy(description("<f4", "(6,)"), SIX).subarray(0, 40),
      "format",
      "inside its header",
    ],
    ["a future version", npy(description("<f4", "(6,)"), SIX, 4), "format", "version is 4"],
  ])("with %s is refused", (_, bytes, code, message) => {
    expect(() => parseNpy(bytes)).toThrow(expect.objectContaining({ code }));
    expect(() => parseNpy(bytes)).toThrow(message);
  });
});

describe("an .npz file", () => {
  const members = {
    "layer/kernel.npy": npy(description("<f4", "(2, 3)"), SIX),
    "layer/bias.npy": npy(description("<f2", "(3,)"), new Uint16Array([0x3c00, 0x4000, 0x4200])),
  };

  it.each([0, 9] as const)("compressed at level %i holds arrays by name", async (level) => {
    const checkpoint = await openCheckpoint(bytesSource(zipSync(members, { level })));
    expect(checkpoint.format).toBe("npz");
    expect(Object.keys(checkpoint.entries)).toEqual(["layer/kernel", "layer/bias"]);
    const kernel = await checkpoint.entries["layer/kernel"].read();
    expect(kernel).toEqual({ dtype: "float32", shape: [2, 3], data: SIX });
    const bias = await checkpoint.entries["layer/bias"].read();
    expect(cast(bias, "float32").data).toEqual(Float32Array.of(1, 2, 3));
  });
});
