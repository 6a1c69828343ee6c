/**
 * The training loop: an async generator of events. It touches no file and knows no pipeline; whoever iterates it saves,
 * previews, prints and stops.
 */
import { NijimiError } from "../errors.ts";
import type { BrokenSample } from "../data/batches.ts";
import { addInto, scaleInto } from "./accumulate.ts";
import {
  compileSplitUpdate,
  compileUpdate,
  type ProgramOptions,
  type UpdateNumbers,
} from "./compile-program.ts";
import type { Feed, FeedBatch } from "./feed.ts";
import { nameNonFinite } from "./non-finite.ts";
import { mapRecord, type Program, type Vectors } from "./program.ts";
import type { TrainingState } from "./state.ts";
import { sum } from "./sum.ts";

/** After an update. */
export interface StepEnd extends UpdateNumbers {
  readonly type: "step-end";
  /** Updates done, this one included. */
  readonly update: number;
  readonly updates: number;
  readonly epoch: number;
  /** Samples of this update, of all processes. */
  readonly samples: number;
  /** Of the first player. */
  readonly learningRate: number;
  /** Milliseconds of the whole update, and of waiting for data in it. */
  readonly milliseconds: number;
  readonly waited: number;
  /** Where training stands now. Valid until the generator is asked for more. */
  readonly state: TrainingState;
}

/** Pictures that could not be read, and were replaced. */
export interface SamplesBroken {
  readonly type: "samples-broken";
  readonly broken: readonly BrokenSample[];
}

export type LoopEvent = StepEnd | SamplesBroken;

/** Averages flat vectors over all processes, in place. */
export type AllReduce = (vector: Float32Array) => void | Promise<void>;

/** Options of {@link train}. */
export interface TrainOptions extends ProgramOptions {
  readonly feed: Feed;
  readonly start: TrainingState;
  /** Updates in all; the loop ends there. */
  readonly updates: number;
  /** Batches whose gradients are averaged for one update. @default 1 */
  readonly accumulate?: number;
  /** Several processes that train together. @default alone */
  readonly together?: { readonly count: number; readonly average: AllReduce };
  readonly signal?: AbortSignal;
  /** Milliseconds of a monotonic clock. */
  readonly now: () => number;
}

/**
 * Trains a program from a state on.
 *
 * @throws NijimiError `numeric` when a loss or gradient is not finite: the message names the update and the tensor
 * @throws NijimiError `cancelled` after the signal
 * @example
 * for await (const event of train(program, { feed, start, updates: 1000, now: () => performance.now() }))
 *   if (event.type === "step-end") report(event.update, event.losses);
 */
export async function* train(program: Program, options: TrainOptions): AsyncGenerator<LoopEvent> {
  const { feed, start, updates, signal, now, accumulate = 1 } = options;
  const batches = feed(start.position)[Symbol.asyncIterator]();
  const stepper = await compileStepper(program, options);
  let state = start;
  try {
    while (state.update < updates) {
      signal?.throwIfAborted();
      const began = now();
      const parts: FeedBatch[] = [];
      while (parts.length < accumulate) parts.push(await nextBatch(batches));
      const waited = now() - began;
      const broken = parts.flatMap((part) => part.broken);
      if (broken.length > 0) yield { type: "samples-broken", broken };
      const { vectors, ...numbers } = await stepper.step(state, parts);
      await refuseNonFinite(program, options, state, parts, numbers);
      const samples = sum(parts.map(({ size }) => size)) * (options.together?.count ?? 1);
      const last = parts[parts.length - 1];
      state = {
        update: state.update + 1,
        samples: state.samples + samples,
        position: last.next,
        vectors,
      };
      yield {
        type: "step-end",
        update: state.update,
        updates,
        epoch: last.epoch,
        samples,
        ...numbers,
        learningRate: Object.values(program.players)[0].learningRate(state.update - 1),
        milliseconds: now() - began,
        waited,
        state,
      };
    }
  } finally {
    await batches.return?.();
    await stepper.dispose();
  }
}

async function nextBatch(batches: AsyncIterator<FeedBatch>): Promise<FeedBatch> {
  const { done, value } = await batches.next();
  if (done === true)
    throw new NijimiError("option", "The data ended before training did; give it more epochs.");
  return value;
}

interface Stepper {
  step(
    state: TrainingState,
    parts: readonly FeedBatch[],
  ): Promise<UpdateNumbers & { readonly vectors: Vectors }>;
  dispose(): Promise<void>;
}

/** One graph where nothing stands between gradients and update, else two. */
async function compileStepper(program: Program, options: TrainOptions): Promise<Stepper> {
  const { accumulate = 1, together, device, threads, config, buffers } = options;
  const settings: ProgramOptions = {
    ...(device !== undefined && { device }),
    ...(threads !== undefined && { threads }),
    ...(config !== undefined && { config }),
    ...(buffers !== undefined && { buffers }),
  };
  if (accumulate === 1 && together === undefined) {
    const update = await compileUpdate(program, settings);
    return {
      step: ({ vectors, update: n }, [{ tensors }]) => update(vectors, tensors, n),
      dispose: update.dispose,
    };
  }
  refuseIndivisible(program, accumulate, together?.count ?? 1);
  const split = await compileSplitUpdate(program, settings);
  return {
    step: (state, parts) => splitStep(split, state, parts, together?.average),
    dispose: split.dispose,
  };
}

function refuseIndivisible({ indivisible }: Program, accumulate: number, processes: number): void {
  if (indivisible === undefined) return;
  const how = processes > 1 ? `${processes} processes` : `${accumulate} accumulated batches`;
  throw new NijimiError(
    "unsupported",
    `This training cannot be split over ${how}: ${indivisible}. Use one process and accumulate 1.`,
  );
}

/** Means of gradients and numbers over batches, then over processes, then the update. */
async function splitStep(
  split: Awaited<ReturnType<typeof compileSplitUpdate>>,
  { vectors, update }: TrainingState,
  parts: readonly FeedBatch[],
  average: AllReduce | undefined,
): Promise<UpdateNumbers & { readonly vectors: Vectors }> {
  const totals: Record<string, Float32Array> = {};
  const numbers: { losses: Record<string, number>; metrics: Record<string, number> }[] = [];
  for (const { tensors } of parts) {
    const found = await split.gradients(vectors, tensors, update);
    numbers.push({ losses: { ...found.losses }, metrics: { ...found.metrics } });
    for (const [name, { data }] of Object.entries(found.gradients))
      addInto((totals[name] ??= new Float32Array(data.length)), data as Float32Array);
  }
  for (const total of Object.values(totals)) {
    if (parts.length > 1) scaleInto(total, 1 / parts.length);
    await average?.(total);
  }
  const means = await averageNumbers(numbers, average);
  const gradients = mapRecord(totals, (data) => ({
    dtype: "float32" as const,
    shape: [data.length],
    data,
  }));
  return { ...means, ...(await split.apply(vectors, gradients, update)) };
}

/** Means of the reported numbers: over the parts, and over the processes when there are several. */
async function averageNumbers(
  parts: readonly { losses: Record<string, number>; metrics: Record<string, number> }[],
  average: AllReduce | undefined,
) {
  const [{ losses, metrics }] = parts;
  const keys = [
    ...Object.keys(losses).map((name) => ["losses", name] as const),
    ...Object.keys(metrics).map((name) => ["metrics", name] as const),
  ];
  const values = Float32Array.from(
    keys,
    ([kind, name]) => sum(parts.map((part) => part[kind][name])) / parts.length,
  );
  await average?.(values);
  const result = { losses: { ...losses }, metrics: { ...metrics } };
  keys.forEach(([kind, name], i) => (result[kind][name] = values[i]));
  return result;
}

/** @throws NijimiError `numeric` */
async function refuseNonFinite(
  program: Program,
  options: TrainOptions,
  { update, vectors }: TrainingState,
  parts: readonly FeedBatch[],
  numbers: UpdateNumbers,
): Promise<void> {
  const reported = [...Object.values(numbers.losses), ...Object.values(numbers.gradientNorms)];
  if (reported.every(Number.isFinite)) return;
  const culprit = await nameNonFinite(program, options, vectors, parts, update);
  throw new NijimiError(
    "numeric",
    `Update ${update + 1}: ${culprit}. Lower the learning rate, clip gradients, or look at this batch; the last checkpoint is whole.`,
  );
}
