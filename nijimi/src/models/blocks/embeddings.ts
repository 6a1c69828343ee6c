/** Embeddings of time, noise level and pooled text, as diffusers names them. */
import {
  add,
  concat,
  matmul,
  mean,
  mul,
  reshape,
  select,
  softmax,
  swapAxes,
} from "../../graph/ops.ts";
import type { Sym } from "../../graph/primitives.ts";
import { activation } from "../../nn/activations.ts";
import { layerNorm, linear } from "../../nn/basic.ts";
import { normalInit } from "../../nn/initializers.ts";
import { type Layer, module } from "../../nn/layer.ts";
import { joinHeads, splitHeads } from "./attention.ts";

/** Options of {@link timestepMlp}. */
export interface TimestepMlpOptions {
  /** @default "silu" */
  readonly actFn?: string;
  /** Activation of the result. */
  readonly postActFn?: string | null;
  /** Width of a condition added to the input (guidance scale of LCM). */
  readonly condProjDim?: number | null;
  /** @default the hidden width */
  readonly outDim?: number;
  /** @default true */
  readonly bias?: boolean;
}

/** Two linear layers over timestep features: [N, in] → [N, width]. Parameters: linear_1, linear_2, cond_proj. */
export function timestepMlp(
  inputs: number,
  width: number,
  { actFn = "silu", postActFn, condProjDim, outDim = width, bias = true }: TimestepMlpOptions = {},
): Layer<readonly [Sym, Sym?], Sym> {
  const act = activation(actFn);
  const post = activation(postActFn ?? "identity");
  return module(
    {
      linear_1: linear(inputs, width, { bias }),
      condProj:
        condProjDim === undefined || condProjDim === null
          ? undefined
          : linear(condProjDim, inputs, { bias: false }),
      linear_2: linear(width, outDim, { bias }),
    },
    (m, x: Sym, condition?: Sym) => {
      const input =
        m.condProj === undefined || condition === undefined ? x : add(x, m.condProj(condition));
      return post(m.linear_2(act(m.linear_1(input))));
    },
    { kind: "timestepEmbedding" },
  );
}

/** Text tokens pooled by attention and projected: [B, M, C] → [B, width] (Imagen, DeepFloyd IF). */
export function textTimeEmbedding(
  textDim: number,
  width: number,
  heads: number,
): Layer<readonly [Sym], Sym> {
  return module(
    {
      norm1: layerNorm(textDim),
      pool: attentionPooling(textDim, heads),
      proj: linear(textDim, width),
      norm2: layerNorm(width),
    },
    (m, tokens: Sym) => m.norm2(m.proj(m.pool(m.norm1(tokens)))),
  );
}

/** Attention of the tokens' mean over the mean and the tokens: [B, M, C] → [B, C]. */
function attentionPooling(dim: number, heads: number): Layer<readonly [Sym], Sym> {
  return module(
    {
      positionalEmbedding: { shape: [1, dim], init: normalInit(1 / Math.sqrt(dim)) },
      kProj: linear(dim, dim),
      qProj: linear(dim, dim),
      vProj: linear(dim, dim),
    },
    (m, tokens: Sym) => {
      const summary = add(
        mean(tokens, { axes: [1], keepDims: true }),
        reshape(m.positionalEmbedding, [1, 1, dim]),
      );
      const all = concat([summary, tokens], 1);
      const scale = 1 / Math.sqrt(dim / heads);
      const scores = matmul(
        mul(splitHeads(m.qProj(summary), heads), scale),
        swapAxes(splitHeads(m.kProj(all), heads), 2, 3),
      );
      return select(joinHeads(matmul(softmax(scores), splitHeads(m.vProj(all), heads))), 1, 0);
    },
  );
}
