/** Runs a batch of inputs in a child process and collects what it found, also when the child does not survive. */
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import path from "node:path";
import type { Readable } from "node:stream";
import type { Finding } from "./limits.ts";

export interface Batch {
  readonly target: string;
  readonly seed: number;
  readonly first: number;
  readonly count: number;
}

/** A finding with the number of its input. */
export type Found = Finding & { readonly index: number };

/** Without a new input for so long, the child is ended: wall time, on a machine that may be busy. */
const STALLED_SECONDS = 20;

const WORKER = path.join(import.meta.dirname, "worker.ts");
const TSX = createRequire(import.meta.url).resolve("tsx");

/** Runs a batch. After a crash or hang the rest of the batch goes on in another child. */
export async function runBatch(batch: Batch): Promise<Found[]> {
  const found: Found[] = [];
  const end = batch.first + batch.count;
  for (let first = batch.first; first < end;) {
    const { findings, died } = await runChild({ ...batch, first, count: end - first });
    found.push(...findings);
    if (!died) break;
    found.push(died);
    first = died.index + 1;
  }
  return found;
}

interface ChildResult {
  readonly findings: readonly Found[];
  /** Set when the child did not end by itself. */
  readonly died?: Found;
}

function runChild({ target, seed, first, count }: Batch): Promise<ChildResult> {
  const args = [
    "--import",
    TSX,
    "--conditions=@nijimi/source",
    WORKER,
    target,
    seed,
    first,
    count,
  ].map(String);
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe", "pipe"] });
  let index: number | undefined;
  let stalled = false;
  let errors = "";
  let output = "";
  let timer = setTimeout(stop, 3 * STALLED_SECONDS * 1000); // loading takes its time as well
  function stop(): void {
    stalled = true;
    child.kill("SIGKILL");
  }
  (child.stdio[3] as Readable).on("data", (chunk: Buffer) => {
    if (chunk.length % 4 === 0) index = chunk.readUInt32LE(chunk.length - 4);
    clearTimeout(timer);
    timer = setTimeout(stop, STALLED_SECONDS * 1000);
  });
  child.stdout!.on("data", (chunk: Buffer) => (output += chunk));
  child.stderr!.on("data", (chunk: Buffer) => (errors = (errors + chunk).slice(-4000)));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      const findings = output
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Found);
      if (code === 0) return resolve({ findings });
      if (index === undefined)
        return reject(new Error(`${target} could not be started: ${errors.trim()}`));
      const message = stalled
        ? `no answer for ${STALLED_SECONDS} s`
        : `ended with ${code ?? signal}: ${errors.trim()}`;
      return resolve({ findings, died: { index, kind: stalled ? "hang" : "crash", message } });
    });
  });
}
