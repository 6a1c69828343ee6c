/**
 * Memory of large pictures: Stable Diffusion's autoencoder at full size (random weights) decodes and encodes 2048²,
 * in tiles as it does by itself. Ends non-zero when the process's peak is above 2 GB.
 *
 *   npm run bench -- vae-memory [-- --side 1536 --whole]
 *
 * `--whole` does not cut the picture, for comparison.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { tmpdir } from "node:os";
import { parseArgs } from "node:util";
import { loadPipeline } from "nijimi/pipelines";
import { torchGenerator } from "nijimi/tensor";
import { randomAutoencoder } from "./lib/random-sd15.ts";

const LIMIT = 2;
const SCALE = 8;

const { values } = parseArgs({
  options: { side: { type: "string", default: "2048" }, whole: { type: "boolean" } },
});
const side = Number(values.side) / SCALE;
const tiles = values.whole ? false : undefined;

/** Gigabytes of the process's highest resident size. */
function peak(): number {
  const [, kilobytes] = /VmHWM:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
  return (Number(kilobytes) * 1024) / 1e9;
}

async function timed(name: string, run: () => Promise<unknown>): Promise<void> {
  const began = performance.now();
  await run();
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  process.stdout.write(`${name.padEnd(8)} ${seconds} s, peak ${peak().toFixed(2)} GB\n`);
}

const models = process.env["NIJIMI_BENCH_MODELS"] ?? join(tmpdir(), "nijimi-bench");
// The other networks are a tiny case's, which nothing here runs.
const others = join(import.meta.dirname, "../conformance/cases/pipelines/sd2/diffusers");
const vae = await randomAutoencoder(join(models, "sd15-random-vae"));
const pipeline = await loadPipeline(others, { vae, threads: 2 });
const random = torchGenerator(0);
const { autoencoder } = pipeline;
await timed("decode", () => autoencoder.decode(random.randn([1, 4, side, side]), tiles));
await pipeline.release("autoencoder");
const picture = random.randn([1, 3, side * SCALE, side * SCALE]);
await timed("encode", () => autoencoder.encode(picture, tiles));
await pipeline.close();
if (!values.whole && peak() > LIMIT) {
  process.stderr.write(`above ${LIMIT} GB\n`);
  process.exitCode = 1;
}
