/**
 * A training step from one trace, in two forms.
 *
 * `step`: forward, loss, gradients, optimiser and average in one graph over flat vectors; one session run an update.
 * `gradients` + `apply`: the same in two graphs, for accumulation, all-reduce between machines and two-player games.
 */
import { gradients } from "../graph/gradient.ts";
import { concat, reshape } from "../graph/ops.ts";
import type { Sym } from "../graph/primitives.ts";
import { spec, type InputSpec } from "../graph/trace.ts";
import { type FlatLayout, recordScope, unflatten } from "../nn/scopes.ts";
import type { Scope } from "../nn/layer.ts";
import { clipByNorm } from "./optimisers/clip.ts";
import type { Optimiser } from "./optimisers/optimiser.ts";
import { emaUpdate } from "./ema.ts";

/** A loss as a function of the model's parameters and a batch. */
export type LossFunction<Batch> = (
  scope: Scope,
  batch: { readonly [K in keyof Batch]: Sym },
) => {
  /** float32 scalar. */
  readonly loss: Sym;
  /** Further scalars to report. */
  readonly metrics?: Readonly<Record<string, Sym>>;
};

/** What makes a training step. */
export interface StepDefinition<Batch extends Readonly<Record<string, InputSpec>>> {
  readonly layout: FlatLayout;
  readonly batch: Batch;
  readonly loss: LossFunction<Batch>;
  readonly optimiser: Optimiser;
  /** Largest global norm of the gradient; none when absent. */
  readonly clipNorm?: number;
  /** Keep a moving average of the parameters. @default false */
  readonly ema?: boolean;
}

/** Scalars of one update. */
export const CONTROL = {
  learningRate: spec("float32", []),
  step: spec("float32", []),
  emaDecay: spec("float32", []),
};

/** Specs of the flat vectors that an update changes: parameters, optimiser state and average. */
export function vectorSpecs({
  layout,
  optimiser,
  ema,
}: Pick<StepDefinition<never>, "layout" | "optimiser" | "ema">): Record<string, InputSpec> {
  const names = ["parameters", ...optimiser.state, ...(ema === true ? ["ema"] : [])];
  return Object.fromEntries(names.map((name) => [name, spec("float32", [layout.size])]));
}

/** Loss, metrics and the flat gradient of the parameters. */
export function gradientGraph<Batch extends Readonly<Record<string, InputSpec>>>(
  { layout, loss }: Pick<StepDefinition<Batch>, "layout" | "loss">,
  parameters: Sym,
  batch: { readonly [K in keyof Batch]: Sym },
): { readonly loss: Sym; readonly metrics: Readonly<Record<string, Sym>>; readonly gradient: Sym } {
  const tensors = unflatten(parameters, layout);
  const result = loss(recordScope(tensors), batch);
  const parts = gradients(result.loss, Object.values(tensors));
  return {
    loss: result.loss,
    metrics: result.metrics ?? {},
    gradient: concat(
      parts.map((part) => reshape(part, [-1])),
      0,
    ),
  };
}

/** The vectors after an update, and the gradient's norm when it is clipped. */
export function applyGraph(
  { optimiser, clipNorm, ema }: Pick<StepDefinition<never>, "optimiser" | "clipNorm" | "ema">,
  vectors: Readonly<Record<string, Sym>>,
  gradient: Sym,
  control: { readonly [K in keyof typeof CONTROL]: Sym },
): { readonly vectors: Readonly<Record<string, Sym>>; readonly gradientNorm?: Sym } {
  const { parameters, ema: average, ...state } = vectors;
  const clipped = clipNorm === undefined ? undefined : clipByNorm(gradient, clipNorm);
  const updated = optimiser.update({
    parameters,
    gradient: clipped?.gradient ?? gradient,
    state,
    learningRate: control.learningRate,
    step: control.step,
  });
  return {
    vectors: {
      parameters: updated.parameters,
      ...updated.state,
      ...(ema === true ? { ema: emaUpdate(average, updated.parameters, control.emaDecay) } : {}),
    },
    ...(clipped === undefined ? {} : { gradientNorm: clipped.norm }),
  };
}
