/**
 * One training step of the embedded model's U-Net (forward, backward, AdamW) against PyTorch eager on diffusers'
 * network of the same config, interleaved.
 *
 *   npm run bench -- latent-step [--one-thread] [--batch 32]
 *
 * with NIJIMI_PYTHON pointing at a Python that has torch and diffusers. How much of a real training's time is spent
 * on waiting for data is in its log, and in the model card that `npm run emoji:figures` writes.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { interleave, showTimings } from "./lib/interleave.ts";
import { LATENT_STEP, latentUnet } from "./lib/latent-unet.ts";

const { values: options } = parseArgs({
  options: {
    "one-thread": { type: "boolean", default: false },
    batch: { type: "string", default: String(LATENT_STEP.batch) },
  },
});
if (options["one-thread"]) process.env["NIJIMI_BENCH_CLOCK"] = "processor";
const threads = options["one-thread"] ? "1" : "2";
const here = import.meta.dirname;
const folder = await mkdtemp(join(tmpdir(), "nijimi-latent-step-"));
try {
  const config = join(folder, "config.json");
  const { config: unet } = latentUnet().component(LATENT_STEP.side);
  await writeFile(config, JSON.stringify(unet));
  const own = {
    name: "nijimi latent step",
    command: process.execPath,
    args: [
      "--conditions=@nijimi/source",
      "--import",
      "tsx",
      `${here}/workers/latent-step.ts`,
      options.batch,
      threads,
    ],
  };
  const python = process.env["NIJIMI_PYTHON"];
  const { side, channels, tokens, width } = LATENT_STEP;
  const shape = [options.batch, channels, side, tokens, width].join(",");
  const torch = {
    name: "torch latent step",
    command: python ?? "",
    args: [`${here}/python/latent_step.py`, config, shape, threads],
  };
  const contenders = python === undefined ? [own] : [own, torch];
  process.stdout.write(`${showTimings(await interleave(contenders))}\n`);
} finally {
  await rm(folder, { recursive: true, force: true });
}
