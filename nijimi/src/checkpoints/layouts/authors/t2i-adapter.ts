/**
 * TencentARC's T2I-Adapter against diffusers' T2IAdapter: the original numbers its residual blocks through
 * all levels (`body.5.block1`), diffusers level by level (`adapter.body.2.resnets.1.block1`).
 */
import type { Entries } from "../../checkpoint.ts";
import type { KeyMap } from "../key-map.ts";
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
