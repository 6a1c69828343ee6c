/** Finding the weights of a component in its folder, under the names that diffusers and transformers use. */
import { NijimiError } from "../../errors.ts";
import type { Checkpoint } from "../checkpoint.ts";
import type { Folder } from "../files/folder.ts";
import { openCheckpoint } from "../open-checkpoint.ts";
import { openSharded } from "./sharded.ts";

/** Names of weights files without variant and extension: diffusers' models, transformers' models, older ones. */
const STEMS = ["diffusion_pytorch_model", "model", "pytorch_model"];

/** How {@link openWeights} looks. */
export interface WeightsOptions {
  /** The word in `diffusion_pytorch_model.fp16.safetensors`. @default none; the only variant where there is nothing else */
  readonly variant?: string;
}

/**
 * Opens the weights in `component`: safetensors before torch's pickles, one file before several with an index.
 *
 * @param component path of its folder; "" for the folder itself
 * @throws NijimiError `file` naming what was looked for when there are none
 * @example
 * const unet = await openWeights(await openFolder("stable-diffusion-v1-5"), "unet", { variant: "fp16" });
 */
export async function openWeights(
  folder: Folder,
  component: string,
  { variant }: WeightsOptions = {},
): Promise<Checkpoint> {
  const found =
    (await openVariant(folder, component, variant)) ??
    (variant === undefined ? await openOnlyVariant(folder, component) : undefined);
  if (found) return found;
  const where = component === "" ? folder.name : `${folder.name}/${component}`;
  const which = variant === undefined ? "" : ` of the variant "${variant}"`;
  throw new NijimiError(
    "file",
    `${where} has no weights file${which}; looked for ${STEMS.map((stem) => fileName(stem, variant, "safetensors")).join(", ")}, their .bin and their indices.`,
  );
}

async function openVariant(
  folder: Folder,
  component: string,
  variant: string | undefined,
): Promise<Checkpoint | undefined> {
  for (const extension of ["safetensors", "bin"])
    for (const stem of STEMS) {
      const source = await folder.open(join(component, fileName(stem, variant, extension)));
      if (source) return openCheckpoint(source);
      const index = join(component, indexName(stem, variant, extension));
      const indexSource = await folder.open(index);
      await indexSource?.close();
      if (indexSource) return openSharded(folder, index);
    }
  return undefined;
}

/** The weights of the one variant that is there, when there are none without a variant. */
async function openOnlyVariant(folder: Folder, component: string): Promise<Checkpoint | undefined> {
  const files = (await folder.list()) ?? [];
  const pattern = new RegExp(
    `^(?:${STEMS.join("|")})\\.([\\w-]+?)(?:-\\d{5}-of-\\d{5})?\\.(?:safetensors|bin)$`,
  );
  const prefix = join(component, "");
  const variants = new Set(
    files
      .filter((file) => file.startsWith(prefix))
      .flatMap((file) => pattern.exec(file.slice(prefix.length))?.[1] ?? []),
  );
  return variants.size === 1 ? openVariant(folder, component, [...variants][0]) : undefined;
}

/** `model.fp16.safetensors` */
export function fileName(stem: string, variant: string | undefined, extension: string): string {
  return variant === undefined ? `${stem}.${extension}` : `${stem}.${variant}.${extension}`;
}

/** `model.safetensors.index.fp16.json` */
export function indexName(stem: string, variant: string | undefined, extension: string): string {
  return `${stem}.${extension}.index.${variant === undefined ? "" : `${variant}.`}json`;
}

function join(folder: string, file: string): string {
  return folder === "" ? file : `${folder}/${file}`;
}
