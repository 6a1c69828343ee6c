/** Sharing inputs among targets and batches among processes, and counting what was found. */
import { runBatch, type Batch, type Found } from "./batch.ts";
import type { Finding } from "./limits.ts";
import type { Target } from "./target.ts";

export interface FuzzOptions {
  readonly targets: readonly Target[];
  readonly seed: number;
  /** Inputs of all targets together. */
  readonly inputs: number;
  /** Inputs of a child process. @default 4000 */
  readonly batchSize?: number;
  /** Processes at a time. @default 2 */
  readonly jobs?: number;
  /** Called when a batch is done. */
  readonly onBatch?: (batch: Batch, found: readonly Found[]) => void;
}

export interface FuzzReport {
  /** Inputs by target. */
  readonly inputs: Readonly<Record<string, number>>;
  readonly findings: readonly (Found & { readonly target: string })[];
}

/** Runs all inputs. */
export async function fuzz({
  targets,
  seed,
  inputs,
  batchSize = 4000,
  jobs = 2,
  onBatch,
}: FuzzOptions): Promise<FuzzReport> {
  const counts = shareInputs(targets, inputs);
  const batches = Object.entries(counts).flatMap(([target, count]) =>
    splitBatches(target, seed, count, batchSize),
  );
  const findings: (Found & { readonly target: string })[] = [];
  const queue = batches.values();
  await Promise.all(
    Array.from({ length: jobs }, async () => {
      for (const batch of queue) {
        const found = await runBatch(batch);
        findings.push(...found.map((finding) => ({ ...finding, target: batch.target })));
        onBatch?.(batch, found);
      }
    }),
  );
  return { inputs: counts, findings };
}

/** At least the wanted number of inputs, by the targets' shares. */
function shareInputs(targets: readonly Target[], inputs: number): Record<string, number> {
  const total = targets.reduce((sum, { share }) => sum + share, 0);
  return Object.fromEntries(
    targets.map(({ name, share }) => [name, Math.ceil((inputs * share) / total)]),
  );
}

function splitBatches(target: string, seed: number, count: number, size: number): Batch[] {
  return Array.from({ length: Math.ceil(count / size) }, (_, i) => ({
    target,
    seed,
    first: i * size,
    count: Math.min(size, count - i * size),
  }));
}

/** How often each kind of finding was made. */
export function countFindings(findings: readonly Finding[]): Record<Finding["kind"], number> {
  const counts = { crash: 0, error: 0, hang: 0, memory: 0 };
  for (const { kind } of findings) counts[kind]++;
  return counts;
}
