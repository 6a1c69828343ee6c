/**
 * tencent-ailab's IP-Adapter: keys and values for the image's tokens, numbered like the U-Net's attention
 * processors. Every transformer block has two; the second, which looks at the context, is the one that is
 * meant, so numbers are odd. diffusers lists the processors of the way down, the way up, then the middle.
 */
import { NijimiError } from "../../../errors.ts";
import type { Entries } from "../../checkpoint.ts";
import { makeComponent, type Component } from "../component.ts";
import { entriesBelow, toOurs, type KeyMap, type Rule } from "../key-map.ts";
import { shapeOf } from "../stable-diffusion/configs.ts";
import { lastIndex, type UNetOutline } from "../unet-outline.ts";

/**
 * The two parts of a file: the projection of the image's embedding under diffusers' names, and the attention's
 * keys and values under their numbers, which {@link ipAdapterMap} places in a U-Net.
 */
export function readIpAdapter(entries: Entries): Record<string, Component> {
  const loaded = entriesBelow(LOADED_PROJECTION, entries);
  if (Object.keys(loaded).length > 0) return loadedIpAdapter(loaded, entries);
  const projection = entriesBelow("image_proj", entries);
  const { className, config, map } = projectionLayout(projection);
  const { entries: ours, unmapped } = toOurs(map, projection);
  const attention = entriesBelow("ip_adapter", entries);
  const context = Object.values(attention)[0].shape[1];
  return {
    image_projection: makeComponent({ className, config, entries: ours, unexpected: unmapped }),
    ip_adapter: makeComponent({
      className: "IPAdapterAttention",
      config: { cross_attention_dim: context },
      entries: attention,
    }),
  };
}

/** Where diffusers puts the projection in a U-Net that an adapter was loaded into. */
const LOADED_PROJECTION = "encoder_hid_proj.image_projection_layers.0";

/** What diffusers saves of a U-Net with an adapter: all names are its own, attention's by path. */
function loadedIpAdapter(projection: Entries, entries: Entries): Record<string, Component> {
  const attention = Object.fromEntries(
    Object.entries(entries).filter(([name]) => /\.processor\.to_[kv]_ip\.0\.weight$/.test(name)),
  );
  const [first] = Object.values(attention);
  if (first === undefined)
    throw new NijimiError("checkpoint", "The IP-Adapter has no keys and values for attention.");
  return {
    image_projection: makeComponent({ ...projectionConfig(projection), entries: projection }),
    ip_adapter: makeComponent({
      className: "IPAdapterAttention",
      config: { cross_attention_dim: first.shape[1] },
      entries: attention,
    }),
  };
}

/** Class and config of a projection under diffusers' names. */
function projectionConfig(entries: Entries): Pick<ProjectionLayout, "className" | "config"> {
  if ("image_embeds.weight" in entries) return plainProjection(entries, "image_embeds.weight");
  if ("latents" in entries)
    return {
      className: "IPAdapterPlusImageProjection",
      config: perceiverConfig(entries, "layers.0.attn.to_q.weight"),
    };
  const [width, inputs] = shapeOf(entries, "ff.net.0.proj.weight");
  const context = shapeOf(entries, "norm.weight")[0];
  const tokens = shapeOf(entries, "ff.net.2.weight")[0] / context;
  const config = { image_embed_dim: inputs, cross_attention_dim: context };
  return tokens === 1 && width === inputs
    ? { className: "IPAdapterFullImageProjection", config }
    : {
        className: "IPAdapterFaceIDImageProjection",
        config: { ...config, mult: width / inputs, num_tokens: tokens },
      };
}

/** One linear layer to all tokens at once. */
function plainProjection(entries: Entries, weight: string) {
  const [rows, width] = shapeOf(entries, weight);
  const context = shapeOf(entries, "norm.weight")[0];
  return {
    className: "ImageProjection",
    config: {
      image_embed_dim: width,
      cross_attention_dim: context,
      num_image_text_embeds: rows / context,
    },
  };
}

interface ProjectionLayout {
  /** Class of diffusers. */
  readonly className: string;
  readonly config: Readonly<Record<string, number>>;
  readonly map: KeyMap;
}

/** Four published kinds of projection, told by their names. */
function projectionLayout(entries: Entries): ProjectionLayout {
  if ("proj.weight" in entries)
    return {
      ...plainProjection(entries, "proj.weight"),
      map: [
        { foreign: "proj", ours: "image_embeds" },
        { foreign: "norm", ours: "norm" },
      ],
    };
  if ("latents" in entries) return perceiver(entries);
  const isFull = "proj.3.weight" in entries;
  const [width, inputs] = shapeOf(entries, "proj.0.weight");
  const context = shapeOf(entries, isFull ? "proj.3.weight" : "norm.weight")[0];
  const tokens = shapeOf(entries, "proj.2.weight")[0] / context;
  return {
    className: isFull ? "IPAdapterFullImageProjection" : "IPAdapterFaceIDImageProjection",
    config: {
      image_embed_dim: inputs,
      cross_attention_dim: context,
      ...(isFull ? {} : { mult: width / inputs, num_tokens: tokens }),
    },
    map: [
      { foreign: "proj.0", ours: "ff.net.0.proj" },
      { foreign: "proj.2", ours: "ff.net.2" },
      { foreign: "proj.3", ours: "norm" },
      { foreign: "norm", ours: "norm" },
    ],
  };
}

const PERCEIVER_BLOCK: readonly Rule[] = [
  { foreign: "0.norm1", ours: "ln0" },
  { foreign: "0.norm2", ours: "ln1" },
  { foreign: "0.to_q", ours: "attn.to_q" },
  { foreign: "0.to_kv", ours: ["attn.to_k", "attn.to_v"] },
  { foreign: "0.to_out", ours: "attn.to_out.0" },
  { foreign: "1.0", ours: "ff.0" },
  { foreign: "1.1", ours: "ff.1.net.0.proj" },
  { foreign: "1.3", ours: "ff.1.net.2" },
];

/** IP-Adapter Plus: learned queries look at the image's patches. */
function perceiver(entries: Entries): ProjectionLayout {
  const layers = lastIndex(entries, "layers") + 1;
  return {
    className: "IPAdapterPlusImageProjection",
    config: perceiverConfig(entries, "layers.0.0.to_q.weight"),
    map: [
      ...["latents", "proj_in", "proj_out", "norm_out"].map((name) => ({
        foreign: name,
        ours: name,
      })),
      ...Array.from({ length: layers }, (_, i) => ({
        foreign: `layers.${i}`,
        ours: `layers.${i}`,
        rules: PERCEIVER_BLOCK,
      })),
    ],
  };
}

/** @param query name of the first layer's query projection */
function perceiverConfig(entries: Entries, query: string): Readonly<Record<string, number>> {
  const [, queries, width] = shapeOf(entries, "latents");
  return {
    embed_dims: shapeOf(entries, "proj_in.weight")[1],
    output_dims: shapeOf(entries, "proj_out.weight")[0],
    hidden_dims: width,
    depth: lastIndex(entries, "layers") + 1,
    heads: shapeOf(entries, query)[0] / 64,
    num_queries: queries,
  };
}

/** Maps `1.to_k_ip` to `…attn2.processor.to_k_ip.0`, for a U-Net of the given outline. */
export function ipAdapterMap(outline: UNetOutline): KeyMap {
  const paths = crossAttentionPaths(outline);
  return paths.flatMap((path, i) =>
    ["to_k_ip", "to_v_ip"].map((name) => ({
      foreign: `${2 * i + 1}.${name}`,
      ours: `${path}.processor.${name}.0`,
    })),
  );
}

/** Paths of all cross-attentions in the order of diffusers' `attn_processors`. */
export function crossAttentionPaths({ levels, middle }: UNetOutline): string[] {
  const blocks = (path: string, depth: number) =>
    Array.from({ length: depth }, (_, k) => `${path}.transformer_blocks.${k}.attn2`);
  const stage = (path: string, layers: number, depth: number) =>
    Array.from({ length: layers }, (_, j) => blocks(`${path}.attentions.${j}`, depth)).flat();
  return [
    ...levels.flatMap(({ layers, depth }, i) => stage(`down_blocks.${i}`, layers, depth)),
    ...levels
      .toReversed()
      .flatMap(({ layers, depth }, i) => stage(`up_blocks.${i}`, layers + 1, depth)),
    ...(middle.attention ? blocks("mid_block.attentions.0", middle.depth) : []),
  ];
}
