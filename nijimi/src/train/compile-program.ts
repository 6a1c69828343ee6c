/**
 * A program compiled: updates as one graph, or gradients and update as two, between which the host may average several
 * parts of a batch or several machines. Both give the same numbers up to rounding.
 */
import { spec } from "../graph/trace.ts";
import { type Compiled, compile, type CompileOptions } from "../runtime/compile.ts";
import { float32, type Tensor } from "../tensor/tensor.ts";
import { emaDecay } from "./ema.ts";
import { mapRecord, type Program, type Vectors } from "./program.ts";
import {
  controlSpecs,
  embedGraph,
  flatSpecs,
  type Gathered,
  lossGraph,
  updateGraph,
  updateSpecs,
  vectorSpecsOf,
} from "./program-graphs.ts";

/** Losses and metrics of a batch, or of a part of it. */
export interface BatchNumbers {
  /** By player. */
  readonly losses: Readonly<Record<string, number>>;
  readonly metrics: Readonly<Record<string, number>>;
}

/** Numbers of one update. */
export interface UpdateNumbers extends BatchNumbers {
  /** By player that clips. */
  readonly gradientNorms: Readonly<Record<string, number>>;
}

/** Flat gradients by player, with the numbers of their batch. */
export interface BatchGradients extends BatchNumbers {
  readonly gradients: Readonly<Record<string, Tensor>>;
}

/** Tensors by name: a batch, or what it embeds. */
export type HostTensors = Readonly<Record<string, Tensor>>;

/** How a program runs. */
export type ProgramOptions = Pick<CompileOptions, "device" | "threads" | "config">;

/** An update as one graph. */
export interface FusedUpdate {
  (
    vectors: Vectors,
    batch: HostTensors,
    update: number,
  ): Promise<UpdateNumbers & { readonly vectors: Vectors }>;
  dispose(): Promise<void>;
}

/** An update as two graphs. */
export interface SplitUpdate {
  /** What a part of a batch embeds; nothing for programs without `embed`. */
  embed(vectors: Vectors, batch: HostTensors, update: number): Promise<HostTensors>;
  /**
   * @param part which of the parts of the batch this is, from 0
   * @param all what all parts embed, in order
   */
  gradients(
    vectors: Vectors,
    batch: HostTensors,
    update: number,
    part?: number,
    all?: HostTensors,
  ): Promise<BatchGradients>;
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
  options: ProgramOptions = {},
): Promise<FusedUpdate> {
  const run = await compile(
    ({ vectors, batch, controls, control }) => {
      const parameters = mapRecord(vectors, ({ parameters: flat }) => flat);
      const found = lossGraph(program, { parameters, batch, controls });
      const updated = updateGraph(program, vectors, found.gradients, control);
      return { losses: found.losses, metrics: found.metrics, ...updated };
    },
    {
      vectors: vectorSpecsOf(program),
      batch: program.batch,
      controls: controlSpecs(program),
      control: updateSpecs(program),
    },
    options,
  );
  return withDispose([run], async (vectors: Vectors, batch: HostTensors, update: number) => {
    const result = (await run({
      vectors,
      batch,
      controls: controlValues(program, update),
      control: updateValues(program, update),
    } as never)) as unknown as RawNumbers & RawUpdate;
    return { ...readNumbers(result), ...readUpdate(result) };
  });
}

/**
 * Compiles gradients and update apart.
 *
 * @param parts into how many parts a batch is cut, over batches and processes. @default 1
 */
export async function compileSplitUpdate(
  program: Program,
  options: ProgramOptions = {},
  parts = 1,
): Promise<SplitUpdate> {
  const inputs = {
    parameters: flatSpecs(program),
    batch: program.batch,
    controls: controlSpecs(program),
  };
  const gathers = program.embed !== undefined && parts > 1;
  const embed = gathers
    ? await compile((given) => embedGraph(program, given), inputs, options)
    : undefined;
  const first = await compile(
    ({ gathered, ...given }) =>
      lossGraph(
        program,
        given,
        gathers ? { ...(gathered as unknown as Omit<Gathered, "parts">), parts } : undefined,
      ),
    { ...inputs, gathered: embed === undefined ? {} : gatheredSpecs(embed.graph.outputs, parts) },
    options,
  );
  const second = await compile(
    ({ vectors, gradients: given, control }) => updateGraph(program, vectors, given, control),
    {
      vectors: vectorSpecsOf(program),
      gradients: flatSpecs(program),
      control: updateSpecs(program),
    },
    options,
  );
  const given = (vectors: Vectors, batch: HostTensors, update: number) => ({
    parameters: mapRecord(vectors, ({ parameters }) => parameters),
    batch,
    controls: controlValues(program, update),
  });
  const split: Omit<SplitUpdate, "dispose"> = {
    embed: async (vectors, batch, update) =>
      ((await embed?.(given(vectors, batch, update) as never)) ?? {}) as HostTensors,
    gradients: async (vectors, batch, update, part = 0, all = {}) => {
      const gathered = gathers ? { all, placement: placementOf(all, parts, part) } : {};
      const result = (await first({
        ...given(vectors, batch, update),
        gathered,
      } as never)) as unknown as RawNumbers & { readonly gradients: Record<string, Tensor> };
      return { ...readNumbers(result), gradients: result.gradients };
    },
    apply: async (vectors, gradients, update) => {
      const control = updateValues(program, update);
      const result = await second({ vectors, gradients, control } as never);
      return readUpdate(result as unknown as RawUpdate);
    },
  };
  return withDispose([first, second, ...(embed ? [embed] : [])], split);
}

/** Specs of what all parts embed together, from what one part gives. */
function gatheredSpecs(outputs: Compiled<never, never>["graph"]["outputs"], parts: number) {
  const all = outputs.map(({ name, value: { dtype, shape } }) => {
    const [rows, ...rest] = shape as readonly number[];
    return [name.replace(/^output\./, ""), spec(dtype, [rows * parts, ...rest])] as const;
  });
  const [rows] = all[0][1].shape as readonly number[];
  return {
    all: Object.fromEntries(all),
    placement: spec("float32", [rows, rows / parts]),
  };
}

/** Rows of the whole batch × rows of a part: where the part lies. */
function placementOf(all: HostTensors, parts: number, part: number): Tensor {
  const [rows] = Object.values(all)[0].shape;
  const own = rows / parts;
  const data = new Float32Array(rows * own);
  for (let i = 0; i < own; i++) data[(part * own + i) * own + i] = 1;
  return float32([rows, own], data);
}

interface RawNumbers {
  readonly losses: HostTensors;
  readonly metrics: HostTensors;
}
interface RawUpdate {
  readonly vectors: Vectors;
  readonly gradientNorms: HostTensors;
}

const toNumber = ({ data }: Tensor): number => Number(data[0]);

function readNumbers({ losses, metrics }: RawNumbers): BatchNumbers {
  return { losses: mapRecord(losses, toNumber), metrics: mapRecord(metrics ?? {}, toNumber) };
}

function readUpdate({ vectors, gradientNorms }: RawUpdate) {
  return { vectors, gradientNorms: mapRecord(gradientNorms ?? {}, toNumber) };
}

function withDispose<T extends object>(
  compiled: readonly { dispose(): Promise<void> }[],
  target: T,
): T & { dispose(): Promise<void> } {
  return Object.assign(target, {
    dispose: async () => void (await Promise.all(compiled.map((each) => each.dispose()))),
  });
}

const scalar = (value: number): Tensor => float32([], [value]);

function controlValues({ controls }: Program, update: number): Record<string, Tensor> {
  return mapRecord(controls?.(update) ?? {}, scalar);
}

/** Learning rate and the rest of update n, from 0. */
function updateValues({ players }: Program, update: number) {
  return mapRecord(players, ({ learningRate, ema }) => ({
    learningRate: scalar(learningRate(update)),
    step: scalar(update + 1),
    emaDecay: scalar(ema === undefined ? 0 : emaDecay(update + 1, ema)),
  }));
}
