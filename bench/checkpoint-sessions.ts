/**
 * Memory from a single half-precision file to sessions: Stable Diffusion 1.5 at full size (2.1 GB, random weights), its
 * networks one after the other, each run once on a small picture and released. Ends non-zero when the peak of the
 * process is above the float32 size of the largest network and 0.6 GB.
 *
 *   npm run bench -- checkpoint-sessions
 *
 * NIJIMI_BENCH_MODELS: where the weights are made, once.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { convertCheckpoint } from "nijimi/checkpoints";
import { loadPipeline, NO_ADAPTERS } from "nijimi/pipelines";
import { torchGenerator } from "nijimi/tensor";
import { randomStableDiffusion } from "./lib/random-sd15.ts";

/** Gigabytes of the U-Net's 859,520,964 parameters in float32. */
const LARGEST = 3.438;
const ALLOWANCE = 0.6;
const IN_CHILD = "NIJIMI_BENCH_FILE";

/** Each network becomes a session, runs once and is released, the smallest first. */
async function runNetworks(file: string): Promise<void> {
  const { promptEncoders, autoencoder, unet, release, close } = await loadPipeline(file, {
    threads: 2,
  });
  const random = torchGenerator(0);
  const [{ encoder }] = promptEncoders;
  const ids = [Array.from({ length: encoder.maxLength }, () => 7)];
  await encoder.encode({ ids, replacements: [] }, 0, []);
  report("text encoder");
  await release("text-encoders");
  await autoencoder.decode(random.randn([1, 4, 8, 8]));
  report("decoder");
  await release("autoencoder");
  const context = random.randn([1, encoder.maxLength, 768]);
  await unet.run({ sample: random.randn([1, 4, 8, 8]), timestep: 500, context }, NO_ADAPTERS);
  report("U-Net");
  await close();
}

function report(name: string): void {
  process.stdout.write(`${name.padEnd(14)} peak ${peak().toFixed(2)} GB\n`);
}

/** Gigabytes of the process's highest resident size. */
function peak(): number {
  const [, kilobytes] = /VmHWM:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
  return (Number(kilobytes) * 1024) / 1e9;
}

const given = process.env[IN_CHILD];
if (given === undefined) {
  const models = process.env["NIJIMI_BENCH_MODELS"] ?? join(tmpdir(), "nijimi-bench");
  const file = join(models, "sd15-random-fp16.safetensors");
  if (!existsSync(file)) {
    const folder = await randomStableDiffusion(join(models, "sd15-random"));
    await convertCheckpoint(folder, file, { to: "single", dtype: "float16" });
  }
  // Another process, so that making the file does not count.
  const args = [...process.execArgv, ...process.argv.slice(1, 2), "checkpoint-sessions"];
  const { status } = spawnSync(process.execPath, args, {
    stdio: "inherit",
    env: { ...process.env, [IN_CHILD]: file },
  });
  process.exitCode = status ?? 1;
} else {
  await runNetworks(given);
  process.exitCode = peak() <= LARGEST + ALLOWANCE ? 0 : 1;
}
