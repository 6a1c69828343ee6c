/**
 * Norms whose scale and shift come from the quantised latents at every place (MoVQ, Zheng et al. 2022,
 * arXiv:2209.09002), and the blocks of a decoder that has them. diffusers' VQModel with `norm_type` "spatial".
 */
import { add, mul } from "../../graph/ops.ts";
import type { Sym } from "../../graph/primitives.ts";
import { activation } from "../../nn/activations.ts";
import { conv2d, groupNorm } from "../../nn/basic.ts";
import { type Layer, module } from "../../nn/layer.ts";
import { interpolate } from "../../nn/resize.ts";
import { attention } from "./attention.ts";

/** As published, whatever the config says. */
const GROUPS = 32;
const EPS = 1e-6;

/** A layer over features [N, C, H, W] and latents [N, Z, h, w]. */
export type SpatialLayer = Layer<readonly [Sym, Sym], Sym>;

/** Group norm of the features, scaled and shifted by the latents enlarged to their size. */
export function spatialNorm(channels: number, latentChannels: number): SpatialLayer {
  return module(
    {
      normLayer: groupNorm(GROUPS, channels, { eps: EPS }),
      convY: conv2d(latentChannels, channels, 1),
      convB: conv2d(latentChannels, channels, 1),
    },
    (m, x: Sym, z: Sym) => {
      const large = interpolate(z, { size: [x.shape[2], x.shape[3]] });
      return add(mul(m.normLayer(x), m.convY(large)), m.convB(large));
    },
    { kind: "spatialNorm" },
  );
}

/** A residual block with such norms. */
export function spatialResnetBlock(
  inChannels: number,
  outChannels: number,
  latentChannels: number,
  actFn: string,
): SpatialLayer {
  const act = activation(actFn);
  return module(
    {
      norm1: spatialNorm(inChannels, latentChannels),
      conv1: conv2d(inChannels, outChannels, 3, { padding: 1 }),
      norm2: spatialNorm(outChannels, latentChannels),
      conv2: conv2d(outChannels, outChannels, 3, { padding: 1 }),
      convShortcut: inChannels === outChannels ? undefined : conv2d(inChannels, outChannels, 1),
    },
    (m, x: Sym, z: Sym) => {
      const h = m.conv1(act(m.norm1(x, z)));
      return add(m.convShortcut?.(x) ?? x, m.conv2(act(m.norm2(h, z))));
    },
    { kind: "spatialResnetBlock" },
  );
}

/** Self-attention over pixels of one head behind such a norm, added to its input. */
export function spatialNormAttention(channels: number, latentChannels: number): SpatialLayer {
  const inner = attention({ queryDim: channels, heads: 1, dimHead: channels, bias: true });
  const norm = spatialNorm(channels, latentChannels);
  return {
    kind: "spatialNormAttention",
    parameters: {
      ...inner.parameters,
      ...Object.fromEntries(
        Object.entries(norm.parameters).map(([name, spec]) => [`spatial_norm.${name}`, spec]),
      ),
    },
    apply: (scope, path, x, z) => {
      const prefix = path === "" ? "" : `${path}.`;
      return add(x, inner.apply(scope, path, norm.apply(scope, `${prefix}spatial_norm`, x, z)));
    },
  };
}
