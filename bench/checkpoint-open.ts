/**
 * Opening a safetensors file of 4 GB: milliseconds until all tensors are known (median of several fresh processes), and
 * resident memory added (the most of them). The file is sparse and holds the names and shapes of a large U-Net. Ends
 * non-zero above 50 ms or 30 MB.
 *
 *   npm run bench -- checkpoint-open
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, openSync, closeSync, ftruncateSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { layoutSafetensors, openCheckpoint, openFolder, type TensorInfo } from "nijimi/checkpoints";

const BYTES = 2 ** 32;
const PROCESSES = 5;
const MAX_MILLISECONDS = 50;
const MAX_MEGABYTES = 30;

/** 1,600 tensors with long names, together 4 GB. */
function describeTensors(): Record<string, TensorInfo> {
  const tensors: Record<string, TensorInfo> = {};
  const count = 800;
  const columns = 1024;
  const rows = Math.floor((BYTES - 2 ** 22) / count / columns / 4) - 1;
  for (let i = 0; i < count; i++) {
    const name = `model.diffusion_model.input_blocks.${i % 12}.1.transformer_blocks.${i}.attn1.to_q`;
    tensors[`${name}.weight`] = { dtype: "float32", shape: [rows, columns] };
    tensors[`${name}.bias`] = { dtype: "float32", shape: [columns] };
  }
  return tensors;
}

/** Writes the header; the rest of the file takes no space on disk. */
function writeSparse(file: string): number {
  const { header, size } = layoutSafetensors(describeTensors(), { format: "pt" });
  const descriptor = openSync(file, "w");
  writeSync(descriptor, header);
  ftruncateSync(descriptor, size);
  closeSync(descriptor);
  return size;
}

interface Measured {
  readonly milliseconds: number;
  readonly megabytes: number;
}

/** Opens the file once in this process, after what the library loads lazily has been loaded. */
async function measure(file: string): Promise<Measured> {
  await openFolder(path.dirname(file));
  const before = process.memoryUsage.rss();
  const start = performance.now();
  const checkpoint = await openCheckpoint(file);
  const milliseconds = performance.now() - start;
  const megabytes = (process.memoryUsage.rss() - before) / 2 ** 20;
  await checkpoint.close();
  return { milliseconds, megabytes };
}

/** Measures in fresh processes. */
function measureFresh(file: string): Measured[] {
  return Array.from({ length: PROCESSES }, () => {
    const args = [...process.execArgv, import.meta.filename, file];
    const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: "utf8" });
    if (status !== 0) throw new Error(stderr);
    return JSON.parse(stdout) as Measured;
  });
}

async function main(): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), "nijimi-bench-"));
  try {
    const file = path.join(folder, "large.safetensors");
    const size = writeSparse(file);
    const results = measureFresh(file);
    const times = results.map((result) => result.milliseconds).sort((a, b) => a - b);
    const milliseconds = times[times.length >> 1];
    const megabytes = Math.max(...results.map((result) => result.megabytes));
    process.stdout.write(
      `${(size / 2 ** 30).toFixed(2)} GiB: ${milliseconds.toFixed(1)} ms (${times[0].toFixed(1)} to ${times[times.length - 1].toFixed(1)}), ${megabytes.toFixed(1)} MB\n`,
    );
    process.exitCode = milliseconds > MAX_MILLISECONDS || megabytes > MAX_MEGABYTES ? 1 : 0;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const [file] = process.argv.slice(2);
if (file === undefined) await main();
else process.stdout.write(JSON.stringify(await measure(file)));
