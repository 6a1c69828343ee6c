/** One guided step or one decode of Stable Diffusion 1.5, 512 × 512, served to `interleave.ts`. */
import { readFileSync } from "node:fs";
import { loadPipeline, NO_ADAPTERS } from "nijimi/pipelines";
import { torchGenerator } from "nijimi/tensor";
import { serve } from "../lib/contender.ts";

const [folder, what, threads = "2"] = process.argv.slice(2);
const { unet, autoencoder } = await loadPipeline(folder, { threads: Number(threads) });
const random = torchGenerator(0);
const context = random.randn([2, 77, 768]);
const sample = random.randn([2, 4, 64, 64]);
const latents = random.randn([1, 4, 64, 64]);

const work = {
  unet: () => unet.run({ sample, timestep: 500, context }, NO_ADAPTERS),
  decode: () => autoencoder.decode(latents),
}[what];
if (work === undefined) throw new Error(`unknown work ${what}; accepted: unet, decode`);
await serve(work, 1);
const peak = /VmHWM:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
process.stderr.write(`peak ${(Number(peak) / 1e6).toFixed(2)} GB\n`);
