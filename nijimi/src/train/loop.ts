/**
 * The training loop: an async generator of events. It touches no file and knows no pipeline; whoever iterates it saves,
 * previews, prints and stops.
 */
import { NijimiError } from "../errors.ts";
import type { BrokenSample } from "../data/batches.ts";
import {
  compileSplitUpdate,
  compileUpdate,
  type ProgramOptions,
  type UpdateNumbers,
} from "./compile-program.ts";
import type { Feed, FeedBatch } from "./feed.ts";
import { nameNonFinite } from "./non-finite.ts";
import type { Program, Vectors } from "./program.ts";
import { splitStep, type Together } from "./split-step.ts";
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

/** Options of {@link train}. */
export interface TrainOptions extends ProgramOptions {
  readonly feed: Feed;
  readonly start: TrainingState;
  /** Updates in all; the loop ends there. */
  readonly updates: number;
  /** Batches whose gradients are averaged for one update. @default 1 */
  readonly accumulate?: number;
  /** Several processes that train together. @default alone */
  readonly together?: Together;
  /** Asked after every update: true ends the loop there. Of several processes, one is enough to end all. */
  readonly stop?: () => boolean;
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
  const { feed, start, updates, signal, now, together, accumulate = 1 } = options;
  const batches = feed(start.position)[Symbol.asyncIterator]();
  const stepper = await compileStepper(program, options);
  let state = start;
  let stopped = false;
  try {
    while (state.update < updates && !stopped) {
      // Several processes stop together, after an update.
      if (together === undefined) signal?.throwIfAborted();
      const began = now();
      const parts: FeedBatch[] = [];
      while (parts.length < accumulate) parts.push(await nextBatch(batches));
      const waited = now() - began;
      const broken = parts.flatMap((part) => part.broken);
      if (broken.length > 0) yield { type: "samples-broken", broken };
      const { vectors, ...numbers } = await stepper.step(state, parts);
      await refuseNonFinite(program, options, state, parts, numbers);
      const samples = sum(parts.map(({ size }) => size)) * (together?.count ?? 1);
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
      stopped = await agree(together, options.stop?.() === true || signal?.aborted === true);
    }
    signal?.throwIfAborted();
  } finally {
    await batches.return?.();
    await stepper.dispose();
  }
}

/** True when one process wants it. */
async function agree(together: Together | undefined, wanted: boolean): Promise<boolean> {
  if (together === undefined) return wanted;
  const votes = Float32Array.of(wanted ? 1 : 0);
  await together.average(votes);
  return votes[0] > 0;
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
  const { accumulate = 1, together } = options;
  const settings = programOptions(options);
  if (accumulate === 1 && together === undefined) {
    const update = await compileUpdate(program, settings);
    return {
      step: ({ vectors, update: n }, [{ tensors }]) => update(vectors, tensors, n),
      dispose: update.dispose,
    };
  }
  refuseIndivisible(program, accumulate, together?.count ?? 1);
  const split = await compileSplitUpdate(program, settings, accumulate * (together?.count ?? 1));
  return {
    step: ({ vectors, update }, parts) => {
      const batches = parts.map(({ tensors }) => tensors);
      return splitStep(split, vectors, update, batches, together);
    },
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

/** The part of the options that compiling wants. */
function programOptions({ device, threads, config }: ProgramOptions): ProgramOptions {
  return {
    ...(device !== undefined && { device }),
    ...(threads !== undefined && { threads }),
    ...(config !== undefined && { config }),
  };
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
  const culprit = await nameNonFinite(program, programOptions(options), vectors, parts, update);
  throw new NijimiError(
    "numeric",
    `Update ${update + 1}: ${culprit}. Lower the learning rate, clip gradients, or look at this batch; the last checkpoint is whole.`,
  );
}
