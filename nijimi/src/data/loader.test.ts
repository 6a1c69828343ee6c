import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Batch } from "./batches.ts";
import { loadBatches, type LoaderOptions } from "./loader.ts";
import { openDataset, type DatasetSpec } from "./open-dataset.ts";

const root = mkdtempSync(path.join(tmpdir(), "pictures-"));
const set: DatasetSpec = { kind: "folder", path: root };
const options = {
  batchSize: 3,
  image: { size: 8, augment: { flip: 0.5 } },
  seed: 1,
  epochs: 2,
} as const;

/** PNG of one colour, half transparent below. */
function png(red: number): Promise<Buffer> {
  const data = Uint8Array.from(
    { length: 4 * 100 },
    (_, i) => [red, 0, 0, i < 200 ? 255 : 0][i % 4],
  );
  return sharp(data, { raw: { width: 10, height: 10, channels: 4 } })
    .png()
    .toBuffer();
}

beforeAll(async () => {
  for (const [i, folder] of ["cat", "dog"].entries()) {
    mkdirSync(path.join(root, folder));
    for (let n = 0; n < 5; n++)
      writeFileSync(path.join(root, folder, `${n}.png`), await png(100 * i + n));
  }
  writeFileSync(path.join(root, "dog", "broken.png"), (await png(3)).subarray(0, 60));
});
afterAll(() => rmSync(root, { recursive: true }));

async function load(extra: Partial<LoaderOptions>, from?: Batch["next"]): Promise<Batch[]> {
  const list: Batch[] = [];
  for await (const batch of loadBatches(set, { ...options, ...extra }, from)) list.push(batch);
  return list;
}

test("threads give the batches of the calling thread, from any place on", async () => {
  const here = await load({ workers: 0 });
  expect(here).toHaveLength(6);
  expect(await load({ workers: 1 })).toEqual(here);
  expect(await load({ workers: 2, ahead: 3 }, here[2].next)).toEqual(here.slice(3));
  expect(new Set(here.flatMap(({ broken }) => broken.map(({ key }) => key)))).toEqual(
    new Set(["dog/broken.png"]),
  );
  for (const { keys, labels } of here)
    keys.forEach((key, i) => expect(labels!.data[i]).toBe(key.startsWith("cat") ? 0n : 1n));
}, 120_000);

test("transparent parts show the background that was asked for", async () => {
  const [batch] = await load({ workers: 0, image: { size: 10, background: [0, 255, 0] } });
  const green = batch.images.data.subarray(100, 200);
  expect([green[0], green[99]]).toEqual([-1, 1]);
});

test("leaving the loop stops the threads; their errors arrive as they are", async () => {
  for await (const _ of loadBatches(set, { ...options, workers: 2 })) break;
  const missing = loadBatches({ kind: "folder", path: path.join(root, "none") }, options);
  await expect(missing.next()).rejects.toMatchObject({
    code: "file",
    message: expect.stringMatching(/no such file/),
  });
}, 120_000);

test("described sets: keys left out, mixtures, unknown kinds", async () => {
  const some = await openDataset({
    ...set,
    exclude: ["cat/0.png"],
    only: ["cat/0.png", "cat/1.png"],
  });
  expect(some).toMatchObject({ size: 1 });
  const mixed = await openDataset({
    kind: "mixture",
    parts: [
      { dataset: set, weight: 1 },
      { dataset: set, weight: 2 },
    ],
  });
  expect(mixed).toMatchObject({ size: 22 });
  await expect(openDataset({ kind: "folders" } as never)).rejects.toThrow(
    /"folders".*Did you mean "folder"/s,
  );
});
