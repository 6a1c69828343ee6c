/**
 * FID of 10,000 × 2,048 features beyond the feature pass, against torch-fidelity on the same features, interleaved:
 * both take mean and covariance of two sets and the distance between them. The features come from files, as they
 * come from a network in an evaluation: in batches for nijimi, as arrays for torch-fidelity. Prints times, both
 * distances and nijimi's peak memory; ends non-zero above torch-fidelity's time, 400 MB, or 1e-3 of difference.
 *
 *   npm run bench -- fid     with NIJIMI_PYTHON pointing at a Python that has torch-fidelity
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { engineProduct } from "nijimi/metrics";
import { torchGenerator } from "nijimi/tensor";
import { interleave, showTimings } from "./lib/interleave.ts";

const ROWS = 10_000;
const DIMENSIONS = 2048;
const ROUNDS = 5;
const MAX_MEGABYTES = 400;
const MAX_DIFFERENCE = 1e-3;

/** What a worker writes about itself. */
interface Outcome {
  readonly fid: number;
  readonly megabytes?: number;
}

/**
 * Features like a network's after its last pooling: not negative, correlated, of a falling spectrum.
 *
 * @param seed of the samples; the mixing is the same for both sets
 */
async function writeFeatures(file: string, seed: number, shift: number): Promise<void> {
  const { product, dispose } = engineProduct();
  const mixing = torchGenerator(1).randn([DIMENSIONS, DIMENSIONS]).data;
  for (let i = 0; i < mixing.length; i++) {
    const factor = i % DIMENSIONS;
    mixing[i] *= Math.exp((-3 * factor) / DIMENSIONS) / Math.sqrt(DIMENSIONS);
  }
  const hidden = torchGenerator(seed).randn([ROWS, DIMENSIONS]).data;
  const features = await product(hidden, mixing, ROWS, DIMENSIONS, DIMENSIONS);
  for (let i = 0; i < features.length; i++) features[i] = Math.max(0, features[i] + shift);
  await dispose();
  writeFileSync(file, new Uint8Array(features.buffer, features.byteOffset, features.byteLength));
}

async function main(): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), "nijimi-bench-"));
  try {
    const files = ["first.f32", "second.f32"].map((name) => path.join(folder, name));
    await writeFeatures(files[0], 2, 0.3);
    await writeFeatures(files[1], 3, 0.35);
    const outcome = (name: string): string => path.join(folder, `${name}.json`);
    const here = import.meta.dirname;
    const source = ["--conditions=@nijimi/source", "--import", "tsx"];
    const own = {
      name: "nijimi",
      command: process.execPath,
      args: [...source, `${here}/workers/fid.ts`, ...files, String(DIMENSIONS), outcome("nijimi")],
    };
    const python = process.env["NIJIMI_PYTHON"];
    const theirs = {
      name: "torch-fidelity",
      command: python ?? "",
      args: [`${here}/python/fid.py`, ...files, String(DIMENSIONS), outcome("torch-fidelity")],
    };
    const timings = await interleave(python === undefined ? [own] : [own, theirs], ROUNDS);
    const read = (name: string): Outcome =>
      JSON.parse(readFileSync(outcome(name), "utf8")) as Outcome;
    const { fid, megabytes = Infinity } = read("nijimi");
    const reference = python === undefined ? fid : read("torch-fidelity").fid;
    const difference = Math.abs(fid / reference - 1);
    process.stdout.write(
      `${showTimings(timings)}\nFID ${fid} and ${reference}: ${difference.toExponential(1)} apart; nijimi's peak ${megabytes.toFixed(0)} MB\n`,
    );
    const isFine =
      timings[0].ratio <= 1 && megabytes <= MAX_MEGABYTES && difference <= MAX_DIFFERENCE;
    process.exitCode = isFine ? 0 : 1;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

await main();
