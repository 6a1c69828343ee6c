/** One update from several parts of a batch: of this process, and of others that train along. */
import { addInto, scaleInto } from "./accumulate.ts";
import type { BatchNumbers, HostTensors, SplitUpdate, UpdateNumbers } from "./compile-program.ts";
import { mapRecord, type Vectors } from "./program.ts";
import { float32, type Tensor } from "../tensor/tensor.ts";

/** How several processes train one model. */
export interface Together {
  readonly index: number;
  readonly count: number;
  /** Averages a vector over all processes, in place. */
  average(vector: Float32Array): void | Promise<void>;
  /** The vectors of all processes, which have one length, one after the other in order. */
  gather(vector: Float32Array): Float32Array | Promise<Float32Array>;
  /** Overwrites a vector with the first process's, bit for bit. */
  broadcast(vector: Float32Array): void | Promise<void>;
}

/** Gradients averaged over the parts and the processes, then the update. */
export async function splitStep(
  split: SplitUpdate,
  vectors: Vectors,
  update: number,
  parts: readonly HostTensors[],
  together: Together | undefined,
): Promise<UpdateNumbers & { readonly vectors: Vectors }> {
  const { index = 0, count = 1 } = together ?? {};
  const all = await gatherEmbeds(split, vectors, update, parts, together);
  const totals: Record<string, Float32Array> = {};
  const numbers: BatchNumbers[] = [];
  for (const [i, batch] of parts.entries()) {
    // The whole batch is made of first parts of all processes, then second ones: see `order.ts` of the data.
    const part = i * count + index;
    const { gradients, ...found } = await split.gradients(vectors, batch, update, part, all);
    numbers.push(found);
    for (const [name, { data }] of Object.entries(gradients))
      addInto((totals[name] ??= new Float32Array(data.length)), data as Float32Array);
  }
  for (const total of Object.values(totals)) {
    if (parts.length > 1) scaleInto(total, 1 / parts.length);
    await together?.average(total);
  }
  const means = await averageNumbers(numbers, together);
  const gradients = mapRecord(totals, (data) => float32([data.length], data));
  return { ...means, ...(await split.apply(vectors, gradients, update)) };
}

/** What all parts of all processes embed, in the order of the whole batch. */
async function gatherEmbeds(
  split: SplitUpdate,
  vectors: Vectors,
  update: number,
  parts: readonly HostTensors[],
  together: Together | undefined,
): Promise<HostTensors> {
  const rounds: Record<string, Tensor[]> = {};
  for (const batch of parts)
    for (const [name, { shape, data }] of Object.entries(
      await split.embed(vectors, batch, update),
    )) {
      const gathered = (await together?.gather(data as Float32Array)) ?? (data as Float32Array);
      const rows = shape[0] * (together?.count ?? 1);
      (rounds[name] ??= []).push(float32([rows, ...shape.slice(1)], gathered));
    }
  return mapRecord(rounds, joinRows);
}

function joinRows(parts: readonly Tensor[]): Tensor {
  const [{ shape, data }] = parts;
  const out = new Float32Array(data.length * parts.length);
  parts.forEach((part, i) => out.set(part.data as Float32Array, i * data.length));
  return float32([shape[0] * parts.length, ...shape.slice(1)], out);
}

/** Means of the reported numbers over parts and processes. */
async function averageNumbers(
  parts: readonly BatchNumbers[],
  together: Together | undefined,
): Promise<BatchNumbers> {
  const [{ losses, metrics }] = parts;
  const values = Float32Array.from(
    [...Object.keys(losses), ...Object.keys(metrics)],
    (_, i) => parts.reduce((total, part) => total + numberAt(part, i), 0) / parts.length,
  );
  await together?.average(values);
  const count = Object.keys(losses).length;
  return {
    losses: mapIndexed(losses, (i) => values[i]),
    metrics: mapIndexed(metrics, (i) => values[count + i]),
  };
}

function numberAt({ losses, metrics }: BatchNumbers, index: number): number {
  return [...Object.values(losses), ...Object.values(metrics)][index];
}

function mapIndexed(
  record: Readonly<Record<string, number>>,
  fn: (index: number) => number,
): Record<string, number> {
  return Object.fromEntries(Object.keys(record).map((key, i) => [key, fn(i)]));
}
