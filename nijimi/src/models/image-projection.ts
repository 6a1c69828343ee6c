/**
 * Pictures as tokens of a text's kind: the projections of IP-Adapter (Ye et al. 2023, arXiv:2308.06721) between CLIP's
 * image tower and the U-Net's cross-attention. Names and options are diffusers' classes' in models/embeddings.py.
 */
import { NijimiError, unknownName } from "../errors.ts";
import { add, concat, expand, reshape } from "../graph/ops.ts";
import type { Sym } from "../graph/primitives.ts";
import { layerNorm, linear } from "../nn/basic.ts";
import { normalInit } from "../nn/initializers.ts";
import { type Layer, module } from "../nn/layer.ts";
import { attention, feedForward } from "./blocks/attention.ts";
import type { ConfigJson } from "./config.ts";

/** A projection. */
export interface ImageProjection {
  /** The tower's embedding [N, E], or the states of its penultimate layer [N, T, C]. */
  readonly sees: "embedding" | "states";
  /** → tokens [N, M, D]. */
  readonly layer: Layer<readonly [Sym], Sym>;
}

const KINDS: Readonly<Record<string, (config: ConfigJson) => ImageProjection>> = {
  ImageProjection: (config) => ({
    sees: "embedding",
    layer: linearProjection(
      whole(config, "image_embed_dim"),
      whole(config, "cross_attention_dim"),
      whole(config, "num_image_text_embeds"),
    ),
  }),
  IPAdapterFullImageProjection: (config) => ({
    sees: "states",
    layer: fullProjection(whole(config, "image_embed_dim"), whole(config, "cross_attention_dim")),
  }),
  IPAdapterPlusImageProjection: (config) => ({ sees: "states", layer: resampler(config) }),
};

/**
 * The projection of a class of diffusers.
 *
 * @throws NijimiError `unsupported` for those that see faces by another network than CLIP
 */
export function imageProjection(className: string, config: ConfigJson): ImageProjection {
  if (className.startsWith("IPAdapterFaceID"))
    throw new NijimiError(
      "unsupported",
      `${className} sees a face by its embedding of another network (InsightFace), which is not supported; take an adapter that sees pictures.`,
    );
  if (!Object.hasOwn(KINDS, className))
    throw unknownName("image projection", className, Object.keys(KINDS));
  return KINDS[className](config);
}

function whole(config: ConfigJson, key: string): number {
  const value = config[key];
  if (typeof value === "number" && Number.isInteger(value) && value > 0) return value;
  throw new NijimiError(
    "option",
    `Image projection: ${key} must be a whole number above 0; got ${String(value)}.`,
  );
}

/** One linear layer to all tokens. */
function linearProjection(
  inputs: number,
  width: number,
  tokens: number,
): Layer<readonly [Sym], Sym> {
  return module(
    { imageEmbeds: linear(inputs, tokens * width), norm: layerNorm(width) },
    (m, x: Sym) => m.norm(reshape(m.imageEmbeds(x), [x.shape[0], tokens, width])),
  );
}

/** Every state by itself. */
function fullProjection(inputs: number, width: number): Layer<readonly [Sym], Sym> {
  return module(
    {
      ff: feedForward(inputs, { dimOut: width, mult: 1, activationFn: "gelu" }),
      norm: layerNorm(width),
    },
    (m, x: Sym) => m.norm(m.ff(x)),
  );
}

/** Learned queries that look at the states and at themselves (a perceiver, arXiv:2204.14198). */
function resampler(config: ConfigJson): Layer<readonly [Sym], Sym> {
  const width = whole(config, "hidden_dims");
  const outputs = whole(config, "output_dims");
  const queries = whole(config, "num_queries");
  return module(
    {
      latents: { shape: [1, queries, width], init: normalInit(width ** -0.5) },
      projIn: linear(whole(config, "embed_dims"), width),
      projOut: linear(width, outputs),
      normOut: layerNorm(outputs),
      layers: Array.from({ length: whole(config, "depth") }, () =>
        resamplerBlock(width, whole(config, "heads")),
      ),
    },
    (m, x: Sym) => {
      const states = m.projIn(x);
      const start = expand(m.latents, [x.shape[0], queries, width]);
      return m.normOut(m.projOut(m.layers.reduce((h, block) => block(h, states), start)));
    },
  );
}

const HEAD_WIDTH = 64;

function resamplerBlock(width: number, heads: number): Layer<readonly [Sym, Sym], Sym> {
  return module(
    {
      ln0: layerNorm(width),
      ln1: layerNorm(width),
      attn: attention({ queryDim: width, heads, dimHead: HEAD_WIDTH, outBias: false }),
      ff: [layerNorm(width), feedForward(width, { activationFn: "gelu", bias: false })],
    },
    ({ ln0, ln1, attn, ff: [norm, feed] }, latents: Sym, states: Sym) => {
      const own = ln1(latents);
      const h = add(attn(own, { context: concat([ln0(states), own], 1) }), latents);
      return add(feed(norm(h)), h);
    },
  );
}
