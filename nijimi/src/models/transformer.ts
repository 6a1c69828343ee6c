/**
 * The pre-norm transformer of CLIP's and ViT's towers, under transformers' parameter names:
 * `layers.N.{layer_norm1, self_attn.{q,k,v,out}_proj, layer_norm2, mlp.{fc1, fc2}}`.
 */
import { add, attention } from "../graph/ops.ts";
import type { Sym } from "../graph/primitives.ts";
import { activation } from "../nn/activations.ts";
import { layerNorm, linear } from "../nn/basic.ts";
import type { Initializer } from "../nn/initializers.ts";
import { type Layer, module } from "../nn/layer.ts";
import { joinHeads, splitHeads } from "./blocks/attention.ts";

/** Options of {@link transformerEncoder}. */
export interface TransformerOptions {
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  /** Hidden width of the feed-forward. */
  readonly intermediate: number;
  /** @default "quick_gelu" */
  readonly act?: string;
  /** @default 1e-5 */
  readonly eps?: number;
  /** Each token sees itself and those before it. @default false */
  readonly causal?: boolean;
  /** Initial values of the attention's inputs, the residual branches' ends and the feed-forward's first layer. */
  readonly init?: {
    readonly attention: Initializer;
    readonly output: Initializer;
    readonly mlp: Initializer;
  };
}

/** Self-attention with separate projections: [B, N, C] and an additive mask → [B, N, C]. */
export function selfAttention(
  width: number,
  heads: number,
  {
    causal = false,
    init,
  }: { readonly causal?: boolean; readonly init?: TransformerOptions["init"] } = {},
): Layer<readonly [Sym, Sym?], Sym> {
  const projection = () => linear(width, width, { init: init?.attention });
  return module(
    {
      kProj: projection(),
      vProj: projection(),
      qProj: projection(),
      outProj: linear(width, width, { init: init?.output }),
    },
    (m, x: Sym, mask?: Sym) => {
      const [q, k, v] = [m.qProj(x), m.kProj(x), m.vProj(x)].map((y) => splitHeads(y, heads));
      return m.outProj(joinHeads(attention(q, k, v, { causal, mask })));
    },
    { kind: "attention" },
  );
}

/** All layers; returns every hidden state, the input first. */
export function transformerEncoder({
  width,
  layers,
  heads,
  intermediate,
  act = "quick_gelu",
  eps = 1e-5,
  causal = false,
  init,
}: TransformerOptions): Layer<readonly [Sym, Sym?], readonly Sym[]> {
  const activate = activation(act);
  const block = () =>
    module(
      {
        selfAttn: selfAttention(width, heads, { causal, init }),
        layerNorm1: layerNorm(width, { eps }),
        mlp: {
          fc1: linear(width, intermediate, { init: init?.mlp }),
          fc2: linear(intermediate, width, { init: init?.output }),
        },
        layerNorm2: layerNorm(width, { eps }),
      },
      (m, x: Sym, mask?: Sym) => {
        const h = add(x, m.selfAttn(m.layerNorm1(x), mask));
        return add(h, m.mlp.fc2(activate(m.mlp.fc1(m.layerNorm2(h)))));
      },
      { kind: "transformerLayer" },
    );
  return module(
    { layers: Array.from({ length: layers }, block) },
    (m, x: Sym, mask?: Sym) =>
      m.layers.reduce<readonly Sym[]>(
        (states, layer) => [...states, layer(states[states.length - 1], mask)],
        [x],
      ),
    { kind: "transformer" },
  );
}
