/**
 * Stable Diffusion 1.5 at full size with random weights: one guided U-Net step and one VAE decode at 512 × 512,
 * against PyTorch and OpenVINO, interleaved.
 *
 *   npm run bench -- sd-step [unet|decode] [THREADS]
 *
 * NIJIMI_PYTHON: a Python with torch and diffusers, and openvino for its line. NIJIMI_BENCH_MODELS: where the 4.3 GB
 * of weights are made, once. Without a Python only our own time is shown.
 */
import { tmpdir } from "node:os";
import { join } from "node:path";
import { interleave, showTimings } from "./lib/interleave.ts";
import { randomStableDiffusion } from "./lib/random-sd15.ts";

const [asked, threads = "2"] = process.argv.slice(2);
const python = process.env["NIJIMI_PYTHON"];
const here = import.meta.dirname;
const models = process.env["NIJIMI_BENCH_MODELS"] ?? join(tmpdir(), "nijimi-bench");
const folder = await randomStableDiffusion(join(models, "sd15-random"));

for (const what of asked === undefined ? ["unet", "decode"] : [asked]) {
  const own = {
    name: `nijimi ${what}`,
    command: process.execPath,
    args: [
      "--conditions=@nijimi/source",
      "--import",
      "tsx",
      `${here}/workers/sd-step.ts`,
      folder,
      what,
      threads,
    ],
  };
  const peer = (name: string) => ({
    name: `${name} ${what}`,
    command: python ?? "",
    args: [`${here}/python/sd_step.py`, folder, what, threads, name],
  });
  const contenders = python === undefined ? [own] : [own, peer("torch"), peer("openvino")];
  process.stdout.write(`${showTimings(await interleave(contenders, 3))}\n`);
}
