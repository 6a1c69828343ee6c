/**
 * What is trained: players with parameters and an optimiser of their own, and one traced function that gives each its
 * loss. Most programs have one player; adversarial ones have two, whose losses see both parameter sets.
 */
import type { InputSpec } from "../graph/trace.ts";
import type { Sym } from "../graph/primitives.ts";
import { type FlatLayout, flatLayout } from "../nn/scopes.ts";
import type { ParameterSpec, Scope } from "../nn/layer.ts";
import type { RandomSource } from "../nn/initializers.ts";
import { sizeOf, tensor, type Tensor } from "../tensor/tensor.ts";
import type { EmaOptions } from "./ema.ts";
import type { Optimiser } from "./optimisers/optimiser.ts";

/** Parameters that one optimiser moves. */
export interface Player {
  /** Parameters by name, as a layer lists them. */
  readonly parameters: Readonly<Record<string, ParameterSpec>>;
  readonly optimiser: Optimiser;
  /** Rate of update n, from 0. */
  readonly learningRate: (update: number) => number;
  /** Largest global norm of the gradient. @default none */
  readonly clipNorm?: number;
  /** Keep a moving average of the parameters. @default none */
  readonly ema?: EmaOptions;
  /** The values of parameters that are never trained, such as fixed frequencies. */
  readonly buffers?: Readonly<Record<string, Tensor>>;
  /** Values to begin with, by parameter name; the others are initialised. */
  readonly pretrained?: Readonly<Record<string, Tensor>>;
}

/** Numbers that a program's losses depend on beside the batch, e.g. a weight that rises. */
export type Controls = Readonly<Record<string, number>>;

/** What the losses are made from. */
export interface LossInputs {
  /** Parameters of each player, and of the networks that stay as they are. */
  readonly scopes: Readonly<Record<string, Scope>>;
  readonly batch: Readonly<Record<string, Sym>>;
  /** float32 scalars. */
  readonly controls: Readonly<Record<string, Sym>>;
  /** What {@link Program.embed} gives, of the whole batch: of all parts of it and all processes, in order. */
  readonly embeds: Readonly<Record<string, Sym>>;
}

/** Losses and what else is worth reporting, all float32 scalars. */
export interface Losses {
  /** By player; each is differentiated with respect to that player's parameters alone. */
  readonly losses: Readonly<Record<string, Sym>>;
  readonly metrics?: Readonly<Record<string, Sym>>;
}

/**
 * A program: everything a training step is compiled from.
 *
 * @example
 * const program: Program = {
 *   players: { model: { parameters: net.parameters, optimiser: adamW(), learningRate: () => 1e-4 } },
 *   batch: { x: spec("float32", [8, 3, 32, 32]) },
 *   losses: ({ scopes, batch }) => ({ losses: { model: lossOf(net.apply(scopes.model, "", batch.x)) } }),
 * };
 */
export interface Program {
  readonly players: Readonly<Record<string, Player>>;
  /** Tensors of a batch, all dimensions known. */
  readonly batch: Readonly<Record<string, InputSpec>>;
  readonly losses: (inputs: LossInputs) => Losses;
  /**
   * Tensors [B, …] that the losses compare across the batch, as a contrastive loss does. Where a batch is computed in
   * parts, they are gathered, so that the losses see those of the whole batch.
   */
  readonly embed?: (inputs: Omit<LossInputs, "embeds">) => Readonly<Record<string, Sym>>;
  /** Networks that are used and not trained, by scope: weights by name. */
  readonly frozen?: Readonly<Record<string, Readonly<Record<string, Tensor>>>>;
  /** Values of the controls at update n, from 0. The names must not change. */
  readonly controls?: (update: number) => Controls;
  /** What keeps batches from being cut into parts whose gradients are averaged: statistics of the batch, for one. */
  readonly indivisible?: string;
}

/** Everything that an update changes, by player and name: `parameters`, the optimiser's vectors, `ema`. */
export type Vectors = Readonly<Record<string, Readonly<Record<string, Tensor>>>>;

/** Names of a player's vectors. */
export function vectorNames({ optimiser, ema }: Player): readonly string[] {
  return ["parameters", ...optimiser.state, ...(ema === undefined ? [] : ["ema"])];
}

/** A player's layout; its buffers lie outside. */
export function layoutOf({ parameters }: Player): FlatLayout {
  return flatLayout(parameters);
}

/** Vectors before the first update. Each player draws from a stream of its own. */
export function initialVectors(
  program: Program,
  randomFor: (player: string) => RandomSource,
): Vectors {
  return mapRecord(program.players, (player, name) => {
    const layout = layoutOf(player);
    const values = initialValues(player, randomFor(name));
    const parameters = flatten(layout, values);
    const zeros = (): Tensor => flatTensor(new Float32Array(layout.size));
    return Object.fromEntries(
      vectorNames(player).map((vector) => [
        vector,
        vector === "parameters"
          ? parameters
          : vector === "ema"
            ? flatTensor((parameters.data as Float32Array).slice())
            : zeros(),
      ]),
    );
  });
}

function initialValues(
  { parameters, pretrained = {} }: Player,
  random: RandomSource,
): Record<string, Tensor> {
  return mapRecord(
    parameters,
    ({ shape, init }, name) => pretrained[name] ?? tensor("float32", shape, init(shape, random)),
  );
}

/** Tensors by name as one flat vector. */
export function flatten(
  { entries, size }: FlatLayout,
  tensors: Readonly<Record<string, Tensor>>,
): Tensor {
  const data = new Float32Array(size);
  for (const [name, { offset }] of Object.entries(entries))
    data.set(tensors[name].data as Float32Array, offset);
  return flatTensor(data);
}

/** The tensors of a flat vector by name, without copying. */
export function unflattenTensor(
  { entries }: FlatLayout,
  { data }: Tensor,
): Record<string, Tensor<"float32">> {
  return mapRecord(entries, ({ offset, shape }) =>
    tensor("float32", shape, (data as Float32Array).subarray(offset, offset + sizeOf(shape))),
  );
}

function flatTensor(data: Float32Array): Tensor {
  return tensor("float32", [data.length], data);
}

/** The record with every value replaced. */
export function mapRecord<T, R>(
  record: Readonly<Record<string, T>>,
  fn: (value: T, key: string) => R,
): Record<string, R> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, fn(value, key)]));
}
