import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { float32, tensor } from "../tensor/tensor.ts";
import { readAll } from "./checkpoint.ts";
import { bytesSource, type ByteSource } from "./files/byte-source.ts";
import { filesFolder } from "./files/folder.ts";
import { openCheckpoint } from "./open-checkpoint.ts";
import { layoutSafetensors, tensorBytes, writeSafetensors } from "./safetensors.ts";
import { openSharded } from "./sharded.ts";

const TENSORS = {
  weight: float32([2, 3], [1, 2, 3, 4, 5, 6]),
  step: tensor("int64", [], BigInt64Array.of(7n)),
};
const FILE = writeSafetensors(TENSORS, { format: "pt", note: "滲み" });

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "nijimi-open-"));
});
afterEach(() => rm(folder, { recursive: true }));

describe("openCheckpoint", () => {
  it("opens paths, URLs of files, blobs, bytes and sources alike", async () => {
    const file = path.join(folder, "a b.safetensors");
    await writeFile(file, FILE);
    for (const input of [
      file,
      pathToFileURL(file),
      new Blob([FILE]),
      FILE,
      FILE.buffer,
      bytesSource(FILE),
    ]) {
      const checkpoint = await openCheckpoint(input);
      expect(checkpoint).toMatchObject({
        format: "safetensors",
        metadata: { format: "pt", note: "滲み" },
      });
      expect({ ...(await readAll(checkpoint.entries)) }).toEqual(TENSORS);
      await checkpoint.close();
    }
  });

  it("says where tensors lie on disk, and only there", async () => {
    const file = path.join(folder, "x.safetensors");
    await writeFile(file, FILE);
    const { entries, close } = await openCheckpoint(file);
    const { offset, length, file: where } = entries.weight.location!;
    expect(where).toBe(file);
    expect(FILE.slice(offset, offset + length)).toEqual(tensorBytes(TENSORS.weight));
    await close();
    expect((await openCheckpoint(FILE)).entries.weight.location).toBeUndefined();
  });

  it("reads the header of a file of 64 GB and nothing more", async () => {
    const { header, size } = layoutSafetensors({ w: { dtype: "float32", shape: [2 ** 34] } });
    let end = 0;
    const source: ByteSource = {
      ...bytesSource(header),
      size,
      read: async (offset, length) => {
        end = Math.max(end, offset + length);
        return header.slice(offset, offset + length) as Uint8Array<ArrayBuffer>;
      },
    };
    expect((await openCheckpoint(source)).entries.w.shape).toEqual([2 ** 34]);
    expect(end).toBeLessThanOrEqual(512);
  });

  it("does not take a header of 640 bytes for a pickle, which begins alike", async () => {
    const bytes = writeSafetensors(TENSORS, { pad: "x".repeat(640 - 192) });
    const length = new DataView(bytes.buffer).getUint32(0, true);
    const padded = writeSafetensors(TENSORS, { pad: "x".repeat(640 - 192 + 640 - length) });
    expect([...padded.subarray(0, 2)]).toEqual([0x80, 0x02]);
    expect((await openCheckpoint(padded)).format).toBe("safetensors");
  });

  it.each<[string, string, string, string]>([
    ["x.ckpt", "version https://git-lfs.github.com/spec/v1", "unsupported", "git lfs pull"],
    ["x.safetensors", "<!DOCTYPE html>", "unsupported", "a web page"],
    ["x.h5", "\x89HDF\r\n", "unsupported", "HDF5"],
    ["x.bin", "\x1f\x8b\x08", "unsupported", "gzip"],
    ["x.ckpt", "", "format", "is empty"],
    ["x.onnx", "\x08\x07\x12", "format", "begins with 08 07 12"],
    ["x.pt", "cposix\nsystem\n.", "unsafe", "posix.system"],
  ])("says what %s is instead", async (name, text, code, message) => {
    const source = bytesSource(
      Uint8Array.from(text, (c) => c.charCodeAt(0)),
      name,
    );
    await expect(openCheckpoint(source)).rejects.toMatchObject({ code });
    await expect(openCheckpoint(source)).rejects.toThrow(message);
  });

  it("closes what it could not open", async () => {
    let closed = 0;
    const source = { ...bytesSource(new Uint8Array(9)), close: async () => void closed++ };
    await expect(openCheckpoint(source)).rejects.toThrow("no known format");
    expect(closed).toBe(1);
  });
});

describe("a checkpoint in several files", () => {
  const first = writeSafetensors({ weight: TENSORS.weight });
  const second = writeSafetensors({ step: TENSORS.step });
  const names = { weight: "a-1.safetensors", step: "a-2.safetensors" };

  function index(map: Record<string, unknown>): Map<string, Uint8Array> {
    return new Map([
      ["sub/a.index.json", new TextEncoder().encode(JSON.stringify({ weight_map: map }))],
      ["sub/a-1.safetensors", first],
      ["sub/a-2.safetensors", second],
    ]);
  }

  it("is opened by its index", async () => {
    const { entries } = await openSharded(filesFolder(index(names)), "sub/a.index.json");
    expect({ ...(await readAll(entries)) }).toEqual(TENSORS);
  });

  it("is opened by the path of its index", async () => {
    for (const [name, bytes] of index(names))
      await writeFile(path.join(folder, path.basename(name)), bytes);
    const checkpoint = await openCheckpoint(path.join(folder, "a.index.json"));
    expect(Object.keys(checkpoint.entries)).toEqual(["weight", "step"]);
    await checkpoint.close();
  });

  it.each<[Record<string, unknown>, string, string]>([
    [{ weight: "a-1.safetensors", step: "a-3.safetensors" }, "file", "a-3.safetensors is missing"],
    [{ weight: "../a-1.safetensors", step: "a-2.safetensors" }, "unsafe", "../a-1.safetensors"],
    [{ weight: "a-2.safetensors", step: "a-2.safetensors" }, "format", "where it is not"],
    [{ weight: "a-1.safetensors", step: 2 }, "format", "where a file name belongs"],
  ])("is refused when the index says %j", async (map, code, message) => {
    const opened = openSharded(filesFolder(index(map)), "sub/a.index.json");
    await expect(opened).rejects.toMatchObject({ code });
    await expect(opened).rejects.toThrow(message);
  });

  it("is refused when a shard holds more than the index says", async () => {
    const files = index({ weight: "a-1.safetensors" });
    files.set("sub/a-1.safetensors", FILE);
    await expect(openSharded(filesFolder(files), "sub/a.index.json")).rejects.toThrow(
      "does not say so",
    );
  });
});
