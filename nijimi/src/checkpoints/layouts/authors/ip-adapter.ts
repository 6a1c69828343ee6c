/**
 * tencent-ailab's IP-Adapter: keys and values for the image's tokens, numbered like the U-Net's attention
 * processors. Every transformer block has two; the second, which looks at the context, is the one that is
 * meant, so numbers are odd. diffusers lists the processors of the way down, the way up, then the middle.
 */
import type { KeyMap } from "../key-map.ts";
import type { UNetOutline } from "../unet-outline.ts";

/** Maps `ip_adapter.1.to_k_ip` to `…attn2.processor.to_k_ip.0`, for a U-Net of the given outline. */
export function ipAdapterMap(outline: UNetOutline): KeyMap {
  const paths = crossAttentionPaths(outline);
  return paths.flatMap((path, i) =>
    ["to_k_ip", "to_v_ip"].map((name) => ({
      foreign: `ip_adapter.${2 * i + 1}.${name}`,
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
