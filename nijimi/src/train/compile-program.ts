/**
 * A program compiled: updates as one graph, or gradients and update as two, between which the host may add up several
 * batches or several machines. Both give the same numbers up to rounding.
 */
import { gradients } from "../graph/gradient.ts";
import { concat, constant, reshape } from "../graph/ops.ts";
import type { Sym } from "../graph/primitives.ts";
import { type InputSpec, spec } from "../graph/trace.ts";
import type { Scope } from "../nn/layer.ts";
import { recordScope, unflatten } from "../nn/scopes.ts";
import { type Compiled, compile, type CompileOptions } from "../runtime/compile.ts";
import { float32, type Tensor } from "../tensor/tensor.ts";
import { emaDecay } from "./ema.ts";
import { applyGraph, CONTROL } from "./step.ts";
import { layoutOf, mapRecord, type Program, vectorNames, type Vectors } from "./program.ts";

/** Numbers of one update. */
export interface UpdateNumbers {
  /** By player. */
  readonly losses: Readonly<Record<string, number>>;
  readonly metrics: Readonly<Record<string, number>>;
  /** By player that clips. */
  readonly gradientNorms: Readonly<Record<string, number>>;
}

/** Flat gradients by player, with the numbers of their batch. */
export interface BatchGradients {
  readonly gradients: Readonly<Record<string, Tensor>>;
  readonly losses: Readonly<Record<string, number>>;
  readonly metrics: Readonly<Record<string, number>>;
}

/** A batch as host tensors. */
export type HostBatch = Readonly<Record<string, Tensor>>;

/** Options of {@link compileUpdate}. */
export interface ProgramOptions extends Pick<CompileOptions, "device" | "threads" | "config"> {
  /** Values that are never trained, by player. @default none */
  readonly buffers?: Readonly<Record<string, Readonly<Record<string, Tensor>>>>;
}

/** An update as one graph. */
export interface FusedUpdate {
  (
    vectors: Vectors,
    batch: HostBatch,
    update: number,
  ): Promise<UpdateNumbers & { readonly vectors: Vectors }>;
  dispose(): Promise<void>;
}

/** An update as two graphs. */
export interface SplitUpdate {
  gradients(vectors: Vectors, batch: HostBatch, update: number): Promise<BatchGradients>;
  apply(
    vectors: Vectors,
    gradients: Readonly<Record<string, Tensor>>,
    update: number,
  ): Promise<Pick<UpdateNumbers, "gradientNorms"> & { readonly vectors: Vectors }>;
  dispose(): Promise<void>;
}

/** Compiles an update as one graph. */
export async function compileUpdate(
  program: Program,
  { buffers = {}, ...options }: ProgramOptions = {},
): Promise<FusedUpdate> {
  const run = await compile(
    ({ vectors, batch, controls, control }) => {
      const found = lossGraph(
        program,
        mapRecord(vectors, ({ parameters }) => parameters),
        batch,
        controls,
        buffers,
      );
      return {
        losses: found.losses,
        metrics: found.metrics,
        ...updateGraph(program, vectors, found.gradients, control),
      };
    },
    {
      vectors: vectorSpecsOf(program),
      batch: program.batch,
      controls: controlSpecs(program),
      control: updateSpecs(program),
    },
    options,
  );
  return withDispose([run], async (vectors: Vectors, batch: HostBatch, update: number) => {
    const result = (await run({
      vectors,
      batch,
      controls: controlValues(program, update),
      control: updateValues(program, update),
    } as never)) as unknown as RawResult & RawUpdate;
    return { ...readNumbers(result), ...readUpdate(result) };
  });
}

/** Compiles gradients and update apart. */
export async function compileSplitUpdate(
  program: Program,
  { buffers = {}, ...options }: ProgramOptions = {},
): Promise<SplitUpdate> {
  const flat = mapRecord(program.players, (player) => spec("float32", [layoutOf(player).size]));
  const first = await compile(
    ({ parameters, batch, controls }) => lossGraph(program, parameters, batch, controls, buffers),
    { parameters: flat, batch: program.batch, controls: controlSpecs(program) },
    options,
  );
  const second = await compile(
    ({ vectors, gradients: given, control }) => updateGraph(program, vectors, given, control),
    { vectors: vectorSpecsOf(program), gradients: flat, control: updateSpecs(program) },
    options,
  );
  const gradientsOf: SplitUpdate["gradients"] = async (vectors, batch, update) => {
    const result = (await first({
      parameters: mapRecord(vectors, ({ parameters }) => parameters),
      batch,
      controls: controlValues(program, update),
    } as never)) as unknown as RawResult & { readonly gradients: Record<string, Tensor> };
    return { ...readNumbers(result), gradients: result.gradients };
  };
  const apply: SplitUpdate["apply"] = async (vectors, given, update) =>
    readUpdate(
      (await second({
        vectors,
        gradients: given,
        control: updateValues(program, update),
      } as never)) as unknown as RawUpdate,
    );
  return withDispose([first, second], { gradients: gradientsOf, apply });
}

interface RawResult {
  readonly losses: Readonly<Record<string, Tensor>>;
  readonly metrics: Readonly<Record<string, Tensor>>;
}
interface RawUpdate {
  readonly vectors: Vectors;
  readonly gradientNorms: Readonly<Record<string, Tensor>>;
}

const toNumber = ({ data }: Tensor): number => Number(data[0]);

function readNumbers({ losses, metrics }: RawResult) {
  return { losses: mapRecord(losses, toNumber), metrics: mapRecord(metrics ?? {}, toNumber) };
}

function readUpdate({ vectors, gradientNorms }: RawUpdate) {
  return { vectors, gradientNorms: mapRecord(gradientNorms ?? {}, toNumber) };
}

function withDispose<T extends object>(
  compiled: readonly Compiled<never, never>[] | readonly { dispose(): Promise<void> }[],
  target: T,
): T & { dispose(): Promise<void> } {
  return Object.assign(target, {
    dispose: async () => void (await Promise.all(compiled.map((each) => each.dispose()))),
  });
}

/** Losses, metrics and each player's flat gradient. */
function lossGraph(
  program: Program,
  parameters: Readonly<Record<string, Sym>>,
  batch: Readonly<Record<string, Sym>>,
  controls: Readonly<Record<string, Sym>>,
  buffers: NonNullable<ProgramOptions["buffers"]>,
) {
  const tensors = mapRecord(program.players, (player, name) =>
    unflatten(parameters[name], layoutOf(player)),
  );
  const scopes: Record<string, Scope> = mapRecord(tensors, (own, name) =>
    recordScope({ ...own, ...mapRecord(buffers[name] ?? {}, constant) }),
  );
  const { losses, metrics = {} } = program.losses({ scopes, batch, controls });
  return {
    losses,
    metrics,
    gradients: mapRecord(tensors, (own, name) => {
      const parts = gradients(losses[name], Object.values(own));
      return concat(
        parts.map((part) => reshape(part, [-1])),
        0,
      );
    }),
  };
}

/** Vectors after an update. */
function updateGraph(
  program: Program,
  vectors: Readonly<Record<string, Readonly<Record<string, Sym>>>>,
  given: Readonly<Record<string, Sym>>,
  control: Readonly<Record<string, { readonly [K in keyof typeof CONTROL]: Sym }>>,
) {
  const updated = mapRecord(program.players, ({ optimiser, clipNorm, ema }, name) =>
    applyGraph(
      { optimiser, ema: ema !== undefined, ...(clipNorm !== undefined && { clipNorm }) },
      vectors[name],
      given[name],
      control[name],
    ),
  );
  const norms = Object.entries(updated).flatMap(([name, { gradientNorm }]) =>
    gradientNorm === undefined ? [] : [[name, gradientNorm] as const],
  );
  return {
    vectors: mapRecord(updated, ({ vectors: own }) => own),
    gradientNorms: Object.fromEntries(norms),
  };
}

function vectorSpecsOf(program: Program): Record<string, Record<string, InputSpec>> {
  return mapRecord(program.players, (player) => {
    const { size } = layoutOf(player);
    return Object.fromEntries(
      vectorNames(player).map((name) => [name, spec("float32", [size])] as const),
    );
  });
}

const scalar = (value: number): Tensor => float32([], [value]);

function controlSpecs({ controls }: Program): Record<string, InputSpec> {
  return mapRecord(controls?.(0) ?? {}, () => spec("float32", []));
}

function controlValues({ controls }: Program, update: number): Record<string, Tensor> {
  return mapRecord(controls?.(update) ?? {}, scalar);
}

function updateSpecs({ players }: Program): Record<string, typeof CONTROL> {
  return mapRecord(players, () => CONTROL);
}

/** Learning rate and the rest of update n, from 0. */
function updateValues({ players }: Program, update: number) {
  return mapRecord(players, ({ learningRate, ema }) => ({
    learningRate: scalar(learningRate(update)),
    step: scalar(update + 1),
    emaDecay: scalar(ema === undefined ? 0 : emaDecay(update + 1, ema)),
  }));
}
