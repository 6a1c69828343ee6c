/**
 * TencentARC's T2I-Adapter against diffusers' T2IAdapter: the original numbers its residual blocks through
 * all levels (`body.5.block1`), diffusers level by level (`adapter.body.2.resnets.1.block1`).
 */
import type { Entries } from "../../checkpoint.ts";
import type { FoundConfig } from "../component.ts";
import type { KeyMap } from "../key-map.ts";
import { header, shapeOf } from "../stable-diffusion/configs.ts";
import { lastIndex } from "../unet-outline.ts";

/** Residual blocks of a level. All released adapters have two. */
const BLOCKS = 2;

/** @param levels levels of the adapter */
export function t2iAdapterMap(levels: number): KeyMap {
  const blocks = Array.from({ length: levels * BLOCKS }, (_, n) => {
    const level = Math.floor(n / BLOCKS);
    return [
      { foreign: `body.${n}.in_conv`, ours: `adapter.body.${level}.in_conv` },
      { foreign: `body.${n}`, ours: `adapter.body.${level}.resnets.${n % BLOCKS}` },
    ];
  });
  return [{ foreign: "conv_in", ours: "adapter.conv_in" }, ...blocks.flat()];
}

/** Levels in a file of the original layout. */
export function t2iAdapterLevels(entries: Entries): number {
  return (lastIndex(entries, "body") + 1) / BLOCKS;
}

/**
 * T2IAdapter's config under our names. The picture is unshuffled by 8 for Stable Diffusion 1, by 16 for XL; the
 * channels of the first convolution tell by how much, and whether the picture is in colour.
 */
export function t2iAdapterConfig(entries: Entries): FoundConfig {
  const [, shuffled] = shapeOf(entries, "adapter.conv_in.weight");
  const levels = lastIndex(entries, "adapter.body") + 1;
  const colours = shuffled % 3 === 0 ? 3 : 1;
  const factor = Math.sqrt(shuffled / colours);
  const config = {
    ...header("T2IAdapter"),
    in_channels: colours,
    channels: Array.from(
      { length: levels },
      (_, i) => shapeOf(entries, `adapter.body.${i}.resnets.0.block2.weight`)[0],
    ),
    num_res_blocks: lastIndex(entries, "adapter.body.0.resnets") + 1,
    downscale_factor: factor,
    adapter_type: factor === 16 ? "full_adapter_xl" : "full_adapter",
  };
  return { config, undetermined: [] };
}
