/**
 * Attention and transformer blocks of the U-Nets, as diffusers names them.
 *
 * Latent diffusion (arXiv:2112.10752) appendix E: self-attention, cross-attention to the text, GEGLU feed-forward.
 * The spatial form with group norm and residual is DDPM's; the form with added keys and values is GLIDE's and
 * Imagen's (text tokens stand before the pixels).
 */
import { NijimiError, unknownName } from "../../errors.ts";
import { type Dim, multiplyDims } from "../../graph/dim.ts";
import {
  add,
  attention as attend,
  chunk,
  concat,
  div,
  gelu,
  mul,
  pad,
  quickGelu,
  reshape,
  silu,
  slice,
  sub,
  swapAxes,
  transpose,
  unsqueeze,
} from "../../graph/ops.ts";
import type { Sym } from "../../graph/primitives.ts";
import { conv2d, groupNorm, layerNorm, linear } from "../../nn/basic.ts";
import { type Layer, module } from "../../nn/layer.ts";

/** Options of {@link attention}; names are diffusers' Attention's. */
export interface AttentionConfig {
  readonly queryDim: number;
  readonly heads: number;
  readonly dimHead: number;
  /** Width of the context; undefined for self-attention. */
  readonly crossAttentionDim?: number;
  /** Bias of the query, key and value projections. @default false */
  readonly bias?: boolean;
  /** @default true */
  readonly outBias?: boolean;
  /** Group norm of the input (spatial attention). */
  readonly normNumGroups?: number;
  /** Norm of the context: "layer_norm" or "group_norm". */
  readonly crossAttentionNorm?: string | null;
  readonly crossAttentionNormNumGroups?: number;
  /** Width of text tokens whose keys and values stand before the pixels' (GLIDE, Imagen). */
  readonly addedKvProjDim?: number;
  /** With added tokens: attend to them only. @default false */
  readonly onlyCrossAttention?: boolean;
  /** Scores are divided by the root of the heads' width. @default true */
  readonly scaleQk?: boolean;
  /** @default 1e-5 */
  readonly eps?: number;
  /** @default 1 */
  readonly rescaleOutputFactor?: number;
  /** @default false */
  readonly residualConnection?: boolean;
}

/** Arguments of an attention beside its input. */
export interface AttentionContext {
  /** Context tokens [B, M, C]; undefined attends to the input itself. */
  readonly context?: Sym;
  /** Additive mask that broadcasts to [B, 1, N, M]. */
  readonly mask?: Sym;
  /** Attended to by themselves, and the result added: a picture's tokens (IP-Adapter, arXiv:2308.06721, eq. 5). */
  readonly apart?: readonly KeysAndValues[];
}

/** [B, M, heads·D] each. */
export interface KeysAndValues {
  readonly keys: Sym;
  readonly values: Sym;
}

/** [B, N, heads·D] as [B, heads, N, D]. */
export function splitHeads(x: Sym, heads: number): Sym {
  const [batch, tokens, width] = x.shape;
  return transpose(reshape(x, [batch, tokens, heads, (width as number) / heads]), [0, 2, 1, 3]);
}

/** The inverse of {@link splitHeads}. */
export function joinHeads(x: Sym): Sym {
  const [batch, heads, tokens, width] = x.shape;
  return reshape(transpose(x, [0, 2, 1, 3]), [batch, tokens, multiplyDims(heads, width)]);
}

/** Multi-head attention on tokens [B, N, C] or, with its own group norm, on pixels [N, C, H, W]. */
export function attention({
  queryDim,
  heads,
  dimHead,
  crossAttentionDim,
  bias = false,
  outBias = true,
  normNumGroups,
  crossAttentionNorm,
  crossAttentionNormNumGroups = 32,
  addedKvProjDim,
  onlyCrossAttention = false,
  scaleQk = true,
  eps = 1e-5,
  rescaleOutputFactor = 1,
  residualConnection = false,
}: AttentionConfig): Layer<readonly [Sym, AttentionContext?], Sym> {
  const inner = heads * dimHead;
  const keyDim = crossAttentionDim ?? queryDim;
  const own = !onlyCrossAttention || addedKvProjDim === undefined;
  const added = (): ReturnType<typeof linear> | undefined =>
    addedKvProjDim === undefined ? undefined : linear(addedKvProjDim, inner);
  return module(
    {
      groupNorm:
        normNumGroups === undefined ? undefined : groupNorm(normNumGroups, queryDim, { eps }),
      normCross: contextNorm(
        crossAttentionNorm,
        addedKvProjDim ?? keyDim,
        crossAttentionNormNumGroups,
      ),
      toQ: linear(queryDim, inner, { bias }),
      toK: own ? linear(keyDim, inner, { bias }) : undefined,
      toV: own ? linear(keyDim, inner, { bias }) : undefined,
      addKProj: added(),
      addVProj: added(),
      toOut: [linear(inner, queryDim, { bias: outBias })],
    },
    (m, x: Sym, { context, mask, apart = [] }: AttentionContext = {}) => {
      const [batch, channels, ...space] = x.shape;
      const spatial = space.length === 2;
      let h = spatial ? swapAxes(reshape(x, [batch, channels, multiplyDims(...space)]), 1, 2) : x;
      if (m.groupNorm !== undefined) h = swapAxes(m.groupNorm(swapAxes(h, 1, 2)), 1, 2);
      const normed =
        context === undefined || m.normCross === undefined ? context : m.normCross(context);
      const query = splitHeads(m.toQ(h), heads);
      const source = addedKvProjDim === undefined ? (normed ?? h) : h;
      let keys = m.toK === undefined ? undefined : m.toK(source);
      let values = m.toV === undefined ? undefined : m.toV(source);
      if (m.addKProj !== undefined && m.addVProj !== undefined) {
        const tokens = normed ?? h;
        keys = keys === undefined ? m.addKProj(tokens) : concat([m.addKProj(tokens), keys], 1);
        values =
          values === undefined ? m.addVProj(tokens) : concat([m.addVProj(tokens), values], 1);
      }
      const reached = mask === undefined ? undefined : extendMask(mask, (keys as Sym).shape[1]);
      const scale = scaleQk ? {} : { scale: 1 };
      const attendTo = (k: Sym, v: Sym, own?: Sym): Sym =>
        attend(query, splitHeads(k, heads), splitHeads(v, heads), { mask: own, ...scale });
      const attended = apart.reduce(
        (sum, { keys: k, values: v }) => add(sum, attendTo(k, v)),
        attendTo(keys as Sym, values as Sym, reached),
      );
      let y = m.toOut[0](joinHeads(attended));
      if (spatial) y = reshape(swapAxes(y, 1, 2), x.shape);
      if (residualConnection) y = add(y, x);
      return rescaleOutputFactor === 1 ? y : div(y, rescaleOutputFactor);
    },
    { kind: "attention" },
  );
}

function contextNorm(
  name: string | null | undefined,
  size: number,
  groups: number,
): Layer<readonly [Sym], Sym> | undefined {
  if (name === undefined || name === null) return undefined;
  if (name === "layer_norm") return layerNorm(size);
  if (name === "group_norm") {
    const norm = groupNorm(groups, size);
    return {
      ...norm,
      apply: (scope, path, x) => swapAxes(norm.apply(scope, path, swapAxes(x, 1, 2)), 1, 2),
    };
  }
  throw unknownName("norm of the context", name, ["layer_norm", "group_norm"]);
}

/** A mask over the context, continued with zeros over the input's own keys. */
function extendMask(mask: Sym, keys: Dim): Sym {
  const given = mask.shape.at(-1) as Dim;
  if (given === keys) return mask;
  if (typeof given !== "number" || typeof keys !== "number")
    throw new NijimiError("shape", "attention: a mask over added tokens needs fixed sizes.");
  const before = mask.shape.map(() => 0);
  return pad(mask, before, before.with(-1, keys - given));
}

/** A context mask [B, M] (1 = attend, 0 = ignore) as an additive mask [B, 1, 1, M]: diffusers' −10000. */
export function contextMask(mask: Sym): Sym {
  return unsqueeze(unsqueeze(mul(add(mul(mask, -1), 1), -10000), 1), 1);
}

/** Options of {@link feedForward}. */
export interface FeedForwardOptions {
  /** Hidden width over input width. @default 4 */
  readonly mult?: number;
  /** @default dim */
  readonly dimOut?: number;
  /** @default "geglu" */
  readonly activationFn?: string;
  /** Hidden width. @default mult · dim */
  readonly innerDim?: number;
  /** @default true */
  readonly bias?: boolean;
}

/** How each activation of a feed-forward projects: the width factor, and what happens to the projection. */
const FEED_FORWARD: Readonly<
  Record<string, { readonly width: number; readonly act: (h: Sym) => Sym }>
> = {
  geglu: { width: 2, act: gated((gate) => gelu(gate)) },
  swiglu: { width: 2, act: gated(silu) },
  gelu: { width: 1, act: (h) => gelu(h) },
  "gelu-approximate": { width: 1, act: (h) => gelu(h, "tanh") },
  "geglu-approximate": { width: 1, act: quickGelu },
  "linear-silu": { width: 1, act: silu },
};

/** The first half times the activated second half. */
function gated(act: (gate: Sym) => Sym): (h: Sym) => Sym {
  return (h) => {
    const [value, gate] = chunk(h, -1, 2);
    return mul(value, act(gate));
  };
}

/** Two linear layers with a (gated) activation between. Parameters: net.0.proj, net.2. */
export function feedForward(
  dim: number,
  {
    mult = 4,
    dimOut = dim,
    activationFn = "geglu",
    innerDim: inner = Math.floor(dim * mult),
    bias = true,
  }: FeedForwardOptions = {},
): Layer<readonly [Sym], Sym> {
  const form = FEED_FORWARD[activationFn];
  if (form === undefined)
    throw unknownName("activation of a feed-forward", activationFn, Object.keys(FEED_FORWARD));
  return module(
    {
      net: {
        0: { proj: linear(dim, inner * form.width, { bias }) },
        2: linear(inner, dimOut, { bias }),
      },
    },
    ({ net }, x: Sym) => net[2](form.act(net[0].proj(x))),
    { kind: "feedForward" },
  );
}

/** Options of {@link basicTransformerBlock}. */
export interface TransformerBlockOptions {
  readonly dim: number;
  readonly heads: number;
  readonly dimHead: number;
  readonly crossAttentionDim?: number;
  /** @default "geglu" */
  readonly activationFn?: string;
  readonly attentionBias?: boolean;
  /** The first attention, too, looks at the context. @default false */
  readonly onlyCrossAttention?: boolean;
  readonly doubleSelfAttention?: boolean;
  /** @default 1e-5 */
  readonly normEps?: number;
  /** The norms have weights. @default true */
  readonly normAffine?: boolean;
  readonly feedForward?: FeedForwardOptions;
  /** @default true */
  readonly attentionOutBias?: boolean;
}

/** Self-attention, cross-attention, feed-forward, each normalised before and added: [B, N, C] → [B, N, C]. */
export function basicTransformerBlock({
  dim,
  heads,
  dimHead,
  crossAttentionDim,
  activationFn,
  attentionBias = false,
  onlyCrossAttention = false,
  doubleSelfAttention = false,
  normEps = 1e-5,
  normAffine = true,
  feedForward: inner = {},
  attentionOutBias = true,
}: TransformerBlockOptions): Layer<readonly [Sym, AttentionContext?], Sym> {
  const common = {
    queryDim: dim,
    heads,
    dimHead,
    bias: attentionBias,
    outBias: attentionOutBias,
  };
  const norm = () => layerNorm(dim, { eps: normEps, affine: normAffine });
  const second = crossAttentionDim !== undefined || doubleSelfAttention;
  return module(
    {
      norm1: norm(),
      attn1: attention({ ...common, ...(onlyCrossAttention ? { crossAttentionDim } : {}) }),
      norm2: second ? norm() : undefined,
      attn2: second
        ? attention({ ...common, ...(doubleSelfAttention ? {} : { crossAttentionDim }) })
        : undefined,
      norm3: norm(),
      ff: feedForward(dim, { activationFn, ...inner }),
    },
    (m, x: Sym, given: AttentionContext = {}) => {
      // As published: the context's mask belongs to the second attention alone.
      const first = onlyCrossAttention ? { context: given.context } : {};
      let h = add(x, m.attn1(m.norm1(x), first));
      if (m.attn2 !== undefined && m.norm2 !== undefined) h = add(h, m.attn2(m.norm2(h), given));
      return add(h, m.ff(m.norm3(h)));
    },
    { kind: "transformerBlock" },
  );
}

/** Options of {@link transformer2d}. */
export interface Transformer2dOptions {
  readonly inChannels: number;
  readonly heads: number;
  readonly dimHead: number;
  /** Number of blocks. @default 1 */
  readonly layers?: number;
  readonly crossAttentionDim?: number;
  /** @default 32 */
  readonly normNumGroups?: number;
  /** Linear instead of 1×1 convolution around the blocks. @default false */
  readonly useLinearProjection?: boolean;
  readonly onlyCrossAttention?: boolean;
  readonly doubleSelfAttention?: boolean;
  readonly activationFn?: string;
  readonly attentionBias?: boolean;
  /** Of the blocks' layer norms. @default 1e-5 */
  readonly normEps?: number;
  /** The blocks' layer norms have weights. @default true */
  readonly normAffine?: boolean;
}

/** Transformer blocks over the pixels of [N, C, H, W], added to the input. */
export function transformer2d({
  inChannels,
  heads,
  dimHead,
  layers = 1,
  crossAttentionDim,
  normNumGroups = 32,
  useLinearProjection = false,
  onlyCrossAttention,
  doubleSelfAttention,
  activationFn,
  attentionBias,
  normEps,
  normAffine,
}: Transformer2dOptions): Layer<readonly [Sym, AttentionContext?], Sym> {
  const inner = heads * dimHead;
  const project = (from: number, to: number): Layer<readonly [Sym], Sym> =>
    useLinearProjection ? linear(from, to) : conv2d(from, to, 1);
  const block = {
    dim: inner,
    heads,
    dimHead,
    crossAttentionDim,
    activationFn,
    attentionBias,
    onlyCrossAttention,
    doubleSelfAttention,
    normEps,
    normAffine,
  };
  return module(
    {
      norm: groupNorm(normNumGroups, inChannels, { eps: 1e-6 }),
      projIn: project(inChannels, inner),
      transformerBlocks: Array.from({ length: layers }, () => basicTransformerBlock(block)),
      projOut: project(inner, inChannels),
    },
    (m, x: Sym, given: AttentionContext = {}) => {
      const [n, , height, width] = x.shape;
      const toTokens = (h: Sym): Sym =>
        reshape(transpose(h, [0, 2, 3, 1]), [n, multiplyDims(height, width), h.shape[1]]);
      const toPixels = (h: Sym): Sym =>
        transpose(reshape(h, [n, height, width, h.shape[2]]), [0, 3, 1, 2]);
      const normed = m.norm(x);
      let h = useLinearProjection ? m.projIn(toTokens(normed)) : toTokens(m.projIn(normed));
      for (const transformerBlock of m.transformerBlocks) h = transformerBlock(h, given);
      return add(useLinearProjection ? toPixels(m.projOut(h)) : m.projOut(toPixels(h)), x);
    },
    { kind: "transformer2d" },
  );
}

/** Options of {@link dualTransformer2d}. */
export interface DualTransformer2dOptions extends Pick<
  Transformer2dOptions,
  "inChannels" | "heads" | "dimHead" | "crossAttentionDim" | "normNumGroups"
> {
  /** Context tokens of the first and second part. @default [77, 257] */
  readonly conditionLengths?: readonly [number, number];
  /** The transformer for each part. @default [1, 0] */
  readonly order?: readonly [number, number];
  /** Share of the first part in the sum. @default 0.5 */
  readonly mixRatio?: number;
}

/** Two transformers, one for the text and one for the picture in the context, mixed (Versatile Diffusion). */
export function dualTransformer2d({
  conditionLengths = [77, 257],
  order = [1, 0],
  mixRatio = 0.5,
  ...options
}: DualTransformer2dOptions): Layer<readonly [Sym, AttentionContext?], Sym> {
  return module(
    { transformers: [transformer2d(options), transformer2d(options)] },
    (m, x: Sym, { context }: AttentionContext = {}) => {
      if (context === undefined)
        throw new NijimiError("option", "dualTransformer2d: expected a context.");
      let start = 0;
      const changes = order.map((which, part) => {
        const tokens = slice(context, 1, start, start + conditionLengths[part]);
        start += conditionLengths[part];
        const change = sub(m.transformers[which](x, { context: tokens }), x);
        return mul(change, part === 0 ? mixRatio : 1 - mixRatio);
      });
      return add(add(changes[0], changes[1]), x);
    },
    { kind: "dualTransformer2d" },
  );
}
