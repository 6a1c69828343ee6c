// That blocks are expanded as GGML does is a matter of the conformance cases.
import { describe, expect, it } from "vitest";
import { bytesSource } from "../files/byte-source.ts";
import { openCheckpoint } from "../open-checkpoint.ts";

/** Writes little-endian values one after the other. */
function writer() {
  const parts: number[] = [];
  const self = {
    u32: (value: number) => self.bytes(new Uint8Array(Uint32Array.of(value).buffer)),
    u64: (value: number) => self.bytes(new Uint8Array(BigUint64Array.of(BigInt(value)).buffer)),
    text: (value: string) => self.u64(value.length).bytes(new TextEncoder().encode(value)),
    bytes: (value: Uint8Array) => {
      parts.push(...value);
      return self;
    },
    pad: (to: number) => {
      while (parts.length % to !== 0) parts.push(0);
      return self;
    },
    done: () => Uint8Array.from(parts),
  };
  return self;
}

interface Tensor {
  readonly name?: string;
  readonly sizes?: readonly number[];
  readonly type?: number;
  readonly offset?: number;
}

/** A file with 64 bytes of data. */
function gguf(
  tensors: readonly Tensor[],
  metadata: Readonly<Record<string, readonly number[]>> = {},
  version = 3,
) {
  const out = writer().bytes(new TextEncoder().encode("GGUF")).u32(version).u64(tensors.length);
  out.u64(Object.keys(metadata).length);
  for (const [key, values] of Object.entries(metadata)) {
    out.text(key).u32(9).u32(4).u64(values.length);
    for (const value of values) out.u32(value);
  }
  for (const { name = "w", sizes = [8, 2], type = 0, offset = 0 } of tensors) {
    out.text(name).u32(sizes.length);
    for (const size of sizes) out.u64(size);
    out.u32(type).u64(offset);
  }
  return out.pad(32).bytes(new Uint8Array(64)).done();
}

function open(bytes: Uint8Array) {
  return openCheckpoint(bytesSource(bytes, "x.gguf"));
}

describe("a GGUF file", () => {
  it("has shapes with the slowest axis first", async () => {
    const { entries } = await open(gguf([{ sizes: [8, 2] }]));
    expect(entries.w).toMatchObject({ dtype: "float32", shape: [2, 8] });
    expect((await entries.w.read()).data).toHaveLength(16);
  });

  it("may say which shape a tensor had before it was reshaped", async () => {
    const original = { "comfy.gguf.orig_shape.w": [2, 2, 2, 2] };
    expect((await open(gguf([{ sizes: [16] }], original))).entries.w.shape).toEqual([2, 2, 2, 2]);
    await expect(open(gguf([{ sizes: [8] }], original))).rejects.toThrow("does not fit [8]");
  });

  it.each<[string, Uint8Array, string, string]>([
    ["a tensor beyond its end", gguf([{ sizes: [8, 3] }]), "format", "cut short"],
    [
      "a tensor of impossible size",
      gguf([{ sizes: [2 ** 52, 2 ** 52, 2 ** 52] }]),
      "format",
      "cut short",
    ],
    ["a tensor out of line", gguf([{ sizes: [8], offset: 4 }]), "format", "not aligned"],
    ["rows that do not fill blocks", gguf([{ sizes: [16], type: 2 }]), "format", "blocks of 32"],
    ["a name twice", gguf([{ sizes: [1] }, { sizes: [1] }]), "format", "twice"],
    ["five axes", gguf([{ sizes: [1, 1, 1, 1, 1] }]), "format", "5 dimensions"],
    ["a type that is not read", gguf([{ sizes: [256], type: 19 }]), "unsupported", "IQ1_S"],
    ["an unknown type", gguf([{ sizes: [256], type: 99 }]), "unsupported", "the type 99"],
    ["an old version", gguf([], {}, 1), "unsupported", "version 1"],
    ["more tensors than it has bytes", gguf([]).fill(0xff, 8, 14), "format", "cut short"],
    ["half a header", gguf([{}]).subarray(0, 40), "format", "cut short"],
  ])("with %s is refused", async (_, bytes, code, message) => {
    await expect(open(bytes)).rejects.toMatchObject({ code });
    await expect(open(bytes)).rejects.toThrow(message);
  });
});
