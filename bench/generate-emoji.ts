/**
 * The embedded model at its job: `nijimi generate "…"` from process start to file (cold), and a picture of a loaded
 * pipeline, encoded (warm). Medians of five, after one that fills the caches. Goals: 2.5 s and 0.6 s on two cores.
 *
 *   npm run bench -- generate-emoji [--model DIR] [--steps 20] [--threads 2]
 *
 * The command is the built one: `npm run build` first.
 */
import { spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { encodeImage } from "nijimi/images";
import { allImages, embeddedModelUrl, loadPipeline, textToImage } from "nijimi/pipelines";
import { median } from "./lib/interleave.ts";

const ROUNDS = 5;
const PROMPT = "red apple";

const { values } = parseArgs({
  options: {
    model: { type: "string", default: fileURLToPath(embeddedModelUrl()) },
    steps: { type: "string", default: "20" },
    threads: { type: "string" },
  },
});
const folder = await mkdtemp(join(tmpdir(), "nijimi-generate-"));
try {
  show("cold", await timesOf(cold));
  const pipeline = await loadPipeline(values.model, {
    cacheFolder: join(folder, "graphs"),
    ...(values.threads !== undefined && { threads: Number(values.threads) }),
  });
  show(
    "warm",
    await timesOf(async (seed) => {
      const request = { prompt: PROMPT, seed, steps: Number(values.steps) };
      const [{ image }] = await allImages(textToImage(pipeline, request));
      await encodeImage(image);
    }),
  );
  await pipeline.close();
} finally {
  await rm(folder, { recursive: true, force: true });
}

/** The command in a process of its own, with a home of its own. */
async function cold(seed: number): Promise<void> {
  const bin = fileURLToPath(new URL("../nijimi/bin/nijimi.js", import.meta.url));
  const own = ["generate", PROMPT, "--model", values.model, "--steps", values.steps];
  const output = ["--seed", String(seed), "--output", join(folder, `${seed}.png`)];
  const threads = values.threads === undefined ? [] : ["--threads", values.threads];
  const { status, stderr } = spawnSync(process.execPath, [bin, ...own, ...output, ...threads], {
    env: { ...process.env, NIJIMI_HOME: join(folder, "home") },
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`nijimi generate ended with ${status}: ${stderr}`);
}

/** Seconds of each round, the first left out. */
async function timesOf(work: (seed: number) => Promise<void>): Promise<number[]> {
  const times: number[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const start = performance.now();
    await work(round);
    times.push((performance.now() - start) / 1000);
  }
  return times.slice(1);
}

function show(name: string, times: readonly number[]): void {
  const list = times.map((time) => time.toFixed(2)).join(" ");
  process.stdout.write(`${name}  median ${median(times).toFixed(2)} s  (${list})\n`);
}
