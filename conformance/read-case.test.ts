import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { isCaseJson, readCases } from "./read-case.ts";

const root = mkdtempSync(path.join(tmpdir(), "cases-"));

/** A safetensors file of float32 vectors. */
function safetensors(tensors: Record<string, readonly number[]>): Uint8Array {
  let offset = 0;
  const header: Record<string, unknown> = {};
  for (const [name, { length }] of Object.entries(tensors))
    header[name] = {
      dtype: "F32",
      shape: [length],
      data_offsets: [offset, (offset += 4 * length)],
    };
  const text = new TextEncoder().encode(JSON.stringify(header));
  const length = new BigUint64Array([BigInt(text.length)]);
  const data = Float32Array.from(Object.values(tensors).flat());
  return Buffer.concat([new Uint8Array(length.buffer), text, new Uint8Array(data.buffer)]);
}

function write(id: string, json: unknown, tensors?: Record<string, readonly number[]>): void {
  mkdirSync(path.dirname(path.join(root, id)), { recursive: true });
  writeFileSync(
    path.join(root, `${id}.json`),
    typeof json === "string" ? json : JSON.stringify(json),
  );
  if (tensors) writeFileSync(path.join(root, `${id}.safetensors`), safetensors(tensors));
}

beforeAll(() => {
  write("a/net", { section: "a" }, { "w.x": [1], "w.y": [2], "in.z": [3] });
  write("a/loss", { section: "a", weights_from: "a/net" }, { "in.z": [4] });
  write("a/sample", { section: "a", weights_from: { unet: "a/net", classifier: null } }, {});
  write(
    "a/other",
    { section: "a", weights_shared: { case: "a/net", keys: ["w.y"] } },
    { "w.x": [5] },
  );
  write("a/lost", { section: "a", weights_from: "a/none" });
  write("model/config", { _class_name: "UNet2DModel" });
  write("model/broken", "{ nothing");
});
afterAll(() => rmSync(root, { recursive: true }));

const find = (id: string) => readCases(root).find((c) => c.id === id)!;
const data = (id: string) =>
  Object.fromEntries(Object.entries(find(id).tensors()).map(([name, x]) => [name, [...x.data]]));

test("finds cases below a directory and leaves their companions alone", () => {
  expect(readCases(root).map((c) => c.id)).toEqual([
    "a/loss",
    "a/lost",
    "a/net",
    "a/other",
    "a/sample",
  ]);
  expect(readCases(path.join(root, "a")).map((c) => c.id)).toContain("net");
});

test("follows shared weights, single and by role; a case's own tensors win", () => {
  expect(data("a/loss")).toEqual({ "w.x": [1], "w.y": [2], "in.z": [4] });
  expect(data("a/sample")).toEqual({ "w.unet.x": [1], "w.unet.y": [2] });
  expect(data("a/other")).toEqual({ "w.x": [5], "w.y": [2] });
  const inside = readCases(path.join(root, "a")).find((c) => c.id === "loss")!;
  expect(Object.keys(inside.tensors())).toContain("w.x");
  expect(() => find("a/lost").tensors()).toThrow(/"a\/none", which is not below/);
});

test("a vocabulary is no case even when it knows the words", () => {
  expect(isCaseJson({ function: 17, items: 4, name: 2, tolerance: 3 })).toBe(false);
  expect(isCaseJson({ description: "x", items: [] })).toBe(true);
  expect(isCaseJson([])).toBe(false);
});
