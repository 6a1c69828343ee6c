/**
 * Stable Diffusion 1.5's U-Net with random weights, batch 2, 64×64 latents: our trace against PyTorch's ONNX export
 * of the same network, both run by onnxruntime-node, interleaved; and the peak memory of each.
 *
 *   npm run bench -- unet-inference [THREADS]
 *
 * NIJIMI_PYTHON: a Python with torch and diffusers, which makes the export once (8 GB of memory). Without it only our
 * own time is shown. NIJIMI_BENCH_MODELS: where the weights are made, once.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { interleave, showTimings } from "./lib/interleave.ts";
import { randomStableDiffusion } from "./lib/random-sd15.ts";

const [threads = "2"] = process.argv.slice(2);
const python = process.env["NIJIMI_PYTHON"];
const here = import.meta.dirname;
const models = process.env["NIJIMI_BENCH_MODELS"] ?? join(tmpdir(), "nijimi-bench");
const folder = join(await randomStableDiffusion(join(models, "sd15-random")), "unet");

const contender = (what: string, path: string) => ({
  name: what,
  command: process.execPath,
  args: [
    "--conditions=@nijimi/source",
    "--import",
    "tsx",
    `${here}/workers/unet-inference.ts`,
    what,
    path,
    threads,
  ],
});
const contenders = [contender("traced", folder)];
if (python !== undefined) {
  const target = join(models, "sd15-unet-export", "unet.onnx");
  if (!existsSync(target)) {
    mkdirSync(join(target, ".."), { recursive: true });
    execFileSync(python, [`${here}/python/export_unet.py`, folder, target], { stdio: "inherit" });
  }
  contenders.push(contender("exported", target));
}
process.stdout.write(`${showTimings(await interleave(contenders))}\n`);
