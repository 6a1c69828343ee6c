/** Reading what another recipe trained. */
import type { JsonObject } from "../../checkpoints/json.ts";
import { parseJsonObject } from "../../checkpoints/json.ts";
import { openFolder } from "../../checkpoints/files/open-source.ts";
import { openCheckpoint } from "../../checkpoints/open-checkpoint.ts";
import { NijimiError } from "../../errors.ts";
import { cast } from "../../tensor/convert.ts";
import type { Tensor } from "../../tensor/tensor.ts";

/** A network's config and weights, in float32. */
export interface TrainedNetwork {
  readonly config: JsonObject;
  readonly tensors: Readonly<Record<string, Tensor>>;
}

const WEIGHTS = ["diffusion_pytorch_model.safetensors", "model.safetensors"];

/**
 * The network in a folder of diffusers or transformers.
 *
 * @throws NijimiError `file` when there is none
 */
export async function readTrained(path: string): Promise<TrainedNetwork> {
  const text = await readText(path, "config.json");
  for (const name of WEIGHTS) {
    const source = await (await openFolder(path)).open(name);
    if (source === undefined) continue;
    const checkpoint = await openCheckpoint(source);
    const tensors: Record<string, Tensor> = {};
    for (const [key, entry] of Object.entries(checkpoint.entries))
      tensors[key] = cast(await entry.read(), "float32");
    await checkpoint.close();
    return { config: parseJsonObject(text), tensors };
  }
  throw new NijimiError("file", `${path} holds no weights; expected ${WEIGHTS.join(" or ")}.`);
}

/**
 * A text file of a trained model's folder.
 *
 * @throws NijimiError `file` when the folder or the file is missing
 */
export async function readText(path: string, name: string): Promise<string> {
  const folder = await openFolder(path).catch((cause: unknown) => {
    throw new NijimiError(
      "file",
      `${path}: no trained model there. Train it first, or write what a run has learnt so far with --save-model.`,
      { cause },
    );
  });
  const source = await folder.open(name);
  if (source === undefined) throw new NijimiError("file", `${path} holds no ${name}.`);
  const bytes = await source.read(0, source.size);
  await source.close();
  return new TextDecoder().decode(bytes);
}
