/** The graphs of a program: losses with gradients, and the update of its vectors. */
import { gradients } from "../graph/gradient.ts";
import {
  add,
  concat,
  constant,
  matmul,
  mul,
  reshape,
  stopGradient,
  sub,
  sum,
} from "../graph/ops.ts";
import type { Sym } from "../graph/primitives.ts";
import { type InputSpec, spec } from "../graph/trace.ts";
import type { Scope } from "../nn/layer.ts";
import { recordScope, unflatten } from "../nn/scopes.ts";
import { layoutOf, mapRecord, type Program, vectorNames } from "./program.ts";
import { applyGraph, CONTROL } from "./step.ts";

/** Symbolic inputs of a loss graph. */
export interface LossGraphInputs {
  /** Flat parameters by player. */
  readonly parameters: Readonly<Record<string, Sym>>;
  readonly batch: Readonly<Record<string, Sym>>;
  readonly controls: Readonly<Record<string, Sym>>;
}

/** What other parts of the batch embed, and where this part's place among them is. */
export interface Gathered {
  /** [P·B, …] by name; this part's own rows are not looked at. */
  readonly all: Readonly<Record<string, Sym>>;
  /** [P·B, B]: 1 where row i of the whole is row j of this part. */
  readonly placement: Sym;
  /** Number of parts P. */
  readonly parts: number;
}

/** Losses, metrics and each player's flat gradient. */
export function lossGraph(program: Program, inputs: LossGraphInputs, gathered?: Gathered) {
  const { tensors, scopes } = scopesOf(program, inputs.parameters);
  const { batch, controls } = inputs;
  const own = program.embed?.({ scopes, batch, controls }) ?? {};
  const embeds =
    gathered === undefined
      ? own
      : mapRecord(own, (part, name) => placed(part, gathered.all[name], gathered));
  const { losses, metrics = {} } = program.losses({ scopes, batch, controls, embeds });
  return {
    losses,
    metrics,
    gradients: mapRecord(tensors, (parameters, name) => {
      const parts = gradients(losses[name], Object.values(parameters));
      return concat(
        parts.map((part) => reshape(part, [-1])),
        0,
      );
    }),
  };
}

/** What this part of the batch embeds. */
export function embedGraph(program: Program, { parameters, batch, controls }: LossGraphInputs) {
  const { scopes } = scopesOf(program, parameters);
  return program.embed?.({ scopes, batch, controls }) ?? {};
}

function scopesOf(program: Program, parameters: Readonly<Record<string, Sym>>) {
  const tensors = mapRecord(program.players, (player, name) =>
    unflatten(parameters[name], layoutOf(player)),
  );
  const scopes: Record<string, Scope> = {
    ...mapRecord(program.frozen ?? {}, (weights) => recordScope(mapRecord(weights, constant))),
    ...mapRecord(program.players, ({ buffers = {} }, name) =>
      recordScope({ ...tensors[name], ...mapRecord(buffers, constant) }),
    ),
  };
  return { tensors, scopes };
}

/**
 * The embeddings of the whole batch, in which only this part's depend on the parameters. Gradients of the parts will be
 * averaged, but those through embeddings have to be summed: here they are multiplied by the number of parts.
 */
function placed(part: Sym, all: Sym, { placement, parts }: Gathered): Sym {
  const weighted = sub(mul(part, parts), stopGradient(mul(part, parts - 1)));
  const rows = reshape(matmul(placement, reshape(weighted, [part.shape[0], -1])), all.shape);
  const others = sub(1, sum(placement, { axes: [1] }));
  const column = reshape(others, [all.shape[0], ...all.shape.slice(1).map(() => 1)]);
  return add(mul(all, column), rows);
}

/** Vectors after an update, and the norms of clipped gradients. */
export function updateGraph(
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

/** Specs of all vectors of a program. */
export function vectorSpecsOf(program: Program): Record<string, Record<string, InputSpec>> {
  return mapRecord(program.players, (player) => {
    const { size } = layoutOf(player);
    return Object.fromEntries(
      vectorNames(player).map((name) => [name, spec("float32", [size])] as const),
    );
  });
}

/** One flat vector per player: parameters, or gradients. */
export function flatSpecs({ players }: Program): Record<string, InputSpec> {
  return mapRecord(players, (player) => spec("float32", [layoutOf(player).size]));
}

/** Specs of the program's controls. */
export function controlSpecs({ controls }: Program): Record<string, InputSpec> {
  return mapRecord(controls?.(0) ?? {}, () => spec("float32", []));
}

/** Specs of the numbers of an update, by player. */
export function updateSpecs({ players }: Program): Record<string, typeof CONTROL> {
  return mapRecord(players, () => CONTROL);
}
