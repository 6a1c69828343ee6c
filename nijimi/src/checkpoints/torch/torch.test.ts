import { readFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { readAll } from "../checkpoint.ts";
import { bytesSource, type ByteSource } from "../files/byte-source.ts";
import { openCheckpoint } from "../open-checkpoint.ts";
import { tensorBytes } from "../safetensors.ts";

const CASES = path.resolve(import.meta.dirname, "../../../../conformance/cases");
const ZIP = path.join(CASES, "pipelines/sd1/odd_tensors_zip.pt");
const LEGACY = path.join(CASES, "pipelines/sd1/odd_tensors_legacy.pt");

/** A source that notes which bytes are read. */
async function watched(
  file: string,
): Promise<ByteSource & { readonly reads: (readonly [number, number])[] }> {
  const source = bytesSource(new Uint8Array(await readFile(file)), file);
  const reads: (readonly [number, number])[] = [];
  return {
    ...source,
    reads,
    read: (offset, length) => {
      reads.push([offset, length]);
      return source.read(offset, length);
    },
  };
}

describe.each([
  ["zip", ZIP],
  ["legacy", LEGACY],
])("a torch file in %s form", (_, file) => {
  it("says where the bytes of its dense tensors lie", async () => {
    const checkpoint = await openCheckpoint(file);
    const bytes = await readFile(file);
    const located = Object.entries(checkpoint.entries).filter(([, { location }]) => location);
    expect(located.map(([name]) => name)).toEqual(
      expect.arrayContaining(["base", "row3", "half", "param"]),
    );
    for (const [, entry] of located) {
      const { file: where, offset, length } = entry.location!;
      expect(where).toBe(file);
      expect(new Uint8Array(bytes.subarray(offset, offset + length))).toEqual(
        tensorBytes(await entry.read()).slice(),
      );
    }
    await checkpoint.close();
  });

  it("has no place on disk for strided tensors, which become dense", async () => {
    const { entries, close } = await openCheckpoint(file);
    const { base, transposed } = await readAll({
      base: entries.base,
      transposed: entries.transposed,
    });
    expect(entries.transposed.location).toBeUndefined();
    expect(transposed.shape).toEqual([8, 6]);
    for (let i = 0; i < 8; i++)
      for (let j = 0; j < 6; j++) expect(transposed.data[i * 6 + j]).toBe(base.data[j * 8 + i]);
    await close();
  });

  it("holds plain values as metadata", async () => {
    const { metadata, close } = await openCheckpoint(file);
    expect(metadata).toEqual({
      "nested.list": [1, 2.5, null, "x", [true, new TextEncoder().encode("yz")]],
    });
    await close();
  });
});

describe("reading a tensor", () => {
  it("takes the bytes of that tensor, not of the whole storage", async () => {
    const source = await watched(ZIP);
    const { entries } = await openCheckpoint(source);
    source.reads.length = 0;
    await entries.row3.read();
    const lengths = source.reads.map(([, length]) => length);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(64);
    expect(lengths).toContain(8 * 4);
  });
});

describe("a TorchScript archive", () => {
  const file = path.join(CASES, "checkpoints/torchscript.pt");

  it("is read for its weights; its code is not looked at", async () => {
    const source = await watched(file);
    const { format, entries } = await openCheckpoint(source);
    expect(format).toBe("torchscript");
    expect(Object.keys(entries)).toContain("blocks.1.attn.weight");
    expect(entries["blocks.1.attn.weight"].dtype).toBe("float16");
    // The directory lies behind the code, the pickle and the storages before it.
    const text = new TextDecoder("latin1").decode(new Uint8Array(await readFile(file)));
    const [first, last] = [
      text.indexOf("code/__torch__.py"),
      text.lastIndexOf("code/", text.indexOf("PK\x01\x02")),
    ];
    const touched = source.reads.filter(([offset]) => offset > first && offset < last);
    expect(touched).toEqual([]);
  });
});

describe("a pickled ParameterDict", () => {
  it("is its parameters", async () => {
    const file = path.join(CASES, "pipelines/sd1/embeddings/fx-style_ldm_parameterdict.pt");
    const { entries, close } = await openCheckpoint(file);
    expect(Object.keys(entries)).toContain("string_to_param.*");
    expect(entries["string_to_param.*"].shape).toHaveLength(2);
    await close();
  });
});
