/**
 * Finding the weights of one part of a diffusers folder: safetensors before pickles, one file or shards with
 * an index, plain or of a variant such as fp16.
 */
import { NijimiError } from "../../../errors.ts";
import type { Checkpoint } from "../../checkpoint.ts";
import type { Folder } from "../../files/folder.ts";
import { openCheckpoint } from "../../open-checkpoint.ts";
import { openSharded } from "../../sharded.ts";

/** Names that diffusers and transformers give to weights, without variant and ending. */
const STEMS = ["diffusion_pytorch_model", "model", "pytorch_model"];

/** Variants that are looked for when none is asked for and there are no plain files. */
const USUAL_VARIANTS = ["fp16", "bf16", "fp32", "non_ema", "ema"];

/**
 * Opens the weights in a folder.
 *
 * @param path below the folder; "" for the folder itself
 * @param variant only files of this variant, e.g. `"fp16"`; by default plain ones are preferred
 * @throws NijimiError `checkpoint` when there are none, naming what was looked for
 */
export async function openWeights(
  folder: Folder,
  path: string,
  variant?: string,
): Promise<Checkpoint> {
  const present = await folder.list();
  const variants = variant === undefined ? [undefined, ...USUAL_VARIANTS] : [variant];
  const looked: string[] = [];
  for (const candidate of variants)
    for (const name of candidates(candidate)) {
      const file = path === "" ? name : `${path}/${name}`;
      looked.push(name);
      if (present && !present.includes(file)) continue;
      const source = await folder.open(file);
      if (!source) continue;
      if (!name.endsWith(".json")) return openCheckpoint(source);
      await source.close();
      return openSharded(folder, file);
    }
  const wanted = variant === undefined ? "weights" : `weights of the variant "${variant}"`;
  throw new NijimiError(
    "checkpoint",
    `${where(folder, path)} has no ${wanted}; looked for ${looked.slice(0, 4).join(", ")} and others.`,
  );
}

function candidates(variant: string | undefined): string[] {
  const infix = variant === undefined ? "" : `.${variant}`;
  return ["safetensors", "bin"].flatMap((ending) =>
    STEMS.flatMap((stem) => [
      `${stem}${infix}.${ending}`,
      `${stem}${infix}.${ending}.index.json`,
      ...(variant === undefined ? [] : [`${stem}.${ending}.index.${variant}.json`]),
    ]),
  );
}

/** A part of a folder, for messages. */
export function where(folder: Folder, path: string): string {
  return path === "" ? folder.name : `${folder.name}/${path}`;
}
