import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { prune } from "./node-cache.ts";

const folders: string[] = [];

afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true });
});

it("makes room by removing what was not used for longest, and what was left unfinished", async () => {
  const cache = await mkdtemp(join(tmpdir(), "nijimi-cache-"));
  folders.push(cache);
  const names = ["oldest", "old", "new", ".abandoned", ".being-made"];
  const minutesAgo = [400, 300, 0, 90, 1];
  for (const [i, name] of names.entries()) {
    await mkdir(join(cache, name));
    await writeFile(join(cache, name, "graph.onnx"), new Uint8Array(1000));
    const time = new Date(Date.now() - minutesAgo[i] * 60_000);
    await utimes(join(cache, name), time, time);
  }
  await prune(cache, join(cache, "new"), 2500);
  expect((await readdir(cache)).sort()).toEqual([".being-made", "new", "old"]);
  await prune(cache, join(cache, "new"), 500);
  expect((await readdir(cache)).sort()).toEqual([".being-made", "new"]);
});
